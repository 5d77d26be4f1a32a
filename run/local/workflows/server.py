"""The Executions API of Cloud Workflows, v1, by gRPC."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
from google.cloud.workflows.executions_v1 import types

from run.local.workflows.executions import Execution, Executions, UnknownWorkflow

_SERVICE = "google.cloud.workflows.executions.v1.Executions"
_PAGE = 100


def serve(executions: Executions, address: str) -> grpc.Server:
    """Return a server at `address` (host:port), started."""
    service = Service(executions)
    server = grpc.server(ThreadPoolExecutor(16))
    methods = {
        "CreateExecution": (service.create, types.CreateExecutionRequest, types.Execution),
        "GetExecution": (service.get, types.GetExecutionRequest, types.Execution),
        "ListExecutions": (service.list, types.ListExecutionsRequest, types.ListExecutionsResponse),
        "CancelExecution": (service.cancel, types.CancelExecutionRequest, types.Execution),
    }
    handlers = {name: _handler(*method) for name, method in methods.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    if not server.add_insecure_port(address):
        raise OSError(f"{address} cannot be listened on")
    server.start()
    return server


def _handler(method: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request.deserialize, response_serializer=response.serialize
    )


class Service:
    """The methods of the API."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions

    def create(self, request: Any, context: grpc.ServicerContext) -> types.Execution:
        """Begin an execution."""
        try:
            return _message(self._executions.create(request.parent, request.execution.argument))
        except UnknownWorkflow as error:
            return _not_found(context, f"workflow {error} does not exist")

    def get(self, request: Any, context: grpc.ServicerContext) -> types.Execution:
        """Return an execution."""
        execution = self._executions.get(request.name)
        return _message(execution) if execution else _not_found(context, request.name)

    def list(self, request: Any, _: grpc.ServicerContext) -> types.ListExecutionsResponse:
        """Return a page of a workflow's executions."""
        first = int(request.page_token or 0)
        size = request.page_size or _PAGE
        found = self._executions.list(f"{request.parent}/executions/")
        return types.ListExecutionsResponse(
            executions=[_message(one) for one in found[first : first + size]],
            next_page_token=str(first + size) if first + size < len(found) else "",
        )

    def cancel(self, request: Any, context: grpc.ServicerContext) -> types.Execution:
        """End an execution."""
        execution = self._executions.cancel(request.name)
        return _message(execution) if execution else _not_found(context, request.name)


def _not_found(context: grpc.ServicerContext, what: str) -> NoReturn:
    context.abort(grpc.StatusCode.NOT_FOUND, f"{what} not found")
    raise AssertionError("abort raises")


def _message(execution: Execution) -> types.Execution:
    message = types.Execution(
        name=execution.name,
        argument=execution.argument,
        start_time=datetime.fromtimestamp(execution.start_time, UTC),
        state=getattr(types.Execution.State, execution.state),
        result=execution.result,
        workflow_revision_id="000001-000",
    )
    if execution.end_time:
        message.end_time = datetime.fromtimestamp(execution.end_time, UTC)
    if execution.error:
        message.error = types.Execution.Error(payload=execution.error)
    return message
