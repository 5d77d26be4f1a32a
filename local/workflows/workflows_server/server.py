"""The Executions API by gRPC, as `google-cloud-workflows` speaks it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.cloud.workflows.executions_v1 import types

from workflows_server.methods import Method, MethodFailed, Methods

_SERVICE = "google.cloud.workflows.executions.v1.Executions"


def serve(methods: Methods, address: str) -> grpc.Server:
    """Start a server at `address` (host:port) and return it. Raises OSError."""
    server = grpc.server(ThreadPoolExecutor(16))
    rows = {
        "CreateExecution": (methods.create, types.CreateExecutionRequest, types.Execution),
        "GetExecution": (methods.get, types.GetExecutionRequest, types.Execution),
        "ListExecutions": (methods.list, types.ListExecutionsRequest, types.ListExecutionsResponse),
        "CancelExecution": (methods.cancel, types.CancelExecutionRequest, types.Execution),
    }
    handlers = {name: _handler(*row) for name, row in rows.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    if not server.add_insecure_port(address):
        raise OSError(f"{address} is in use, or is not an address of this machine")
    server.start()
    return server


def _handler(method: Method, request: Any, response: Any) -> Any:
    def call(request_message: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(request_message)
        except MethodFailed as failure:
            context.abort(grpc.StatusCode[failure.status], failure.message)

    return grpc.unary_unary_rpc_method_handler(
        call, request_deserializer=request.deserialize, response_serializer=response.serialize
    )
