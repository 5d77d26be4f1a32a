"""The methods of the Executions API, v1, for gRPC and REST alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.workflows.executions_v1 import types

from workflows_server.executions import REVISION, Execution, Executions, UnknownWorkflow
from workflows_server.listing import InvalidQuery, select

# https://cloud.google.com/workflows/docs/reference/executions/rest: the largest page, by view.
_LARGEST_PAGE = {types.ExecutionView.BASIC: 1000, types.ExecutionView.FULL: 100}
_PAGE = 100


class MethodFailed(Exception):
    """A method failed; `status` is the name of a gRPC status code."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Methods:
    """Each method takes a request of the API and returns its answer. Raises MethodFailed."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions

    def create(self, request: types.CreateExecutionRequest) -> types.Execution:
        """Start an execution."""
        fields = types.Execution.to_dict(request.execution)
        given = {name for name, value in fields.items() if value}
        if unknown := given - {"argument", "call_log_level"}:
            raise MethodFailed("UNIMPLEMENTED", f"execution.{min(unknown)}: not supported")
        try:
            return message(self._executions.create(request.parent, request.execution.argument))
        except UnknownWorkflow as error:
            raise MethodFailed("NOT_FOUND", f"workflow {error} not found") from error

    def get(self, request: types.GetExecutionRequest) -> types.Execution:
        """Return an execution."""
        return message(self._existing(request.name), request.view or types.ExecutionView.FULL)

    def list(self, request: types.ListExecutionsRequest) -> types.ListExecutionsResponse:
        """Return a page of a workflow's executions, the newest first."""
        view = request.view or types.ExecutionView.BASIC
        try:
            first = int(request.page_token or 0)
            executions = select(
                self._executions.list(f"{request.parent}/executions/"),
                filter_=request.filter,
                order_by=request.order_by,
            )
        except InvalidQuery as error:
            raise MethodFailed("INVALID_ARGUMENT", str(error)) from error
        except ValueError as error:
            raise MethodFailed("INVALID_ARGUMENT", f"page_token: {request.page_token!r}") from error
        end = first + min(request.page_size or _PAGE, _LARGEST_PAGE[view])
        return types.ListExecutionsResponse(
            executions=[message(one, view) for one in executions[first:end]],
            next_page_token=str(end) if end < len(executions) else "",
        )

    def cancel(self, request: types.CancelExecutionRequest) -> types.Execution:
        """Kill an execution."""
        if self._existing(request.name).state != "ACTIVE":
            raise MethodFailed("FAILED_PRECONDITION", f"{request.name} has ended")
        return message(self._executions.cancel(request.name) or self._existing(request.name))

    def _existing(self, name: str) -> Execution:
        execution = self._executions.get(name)
        if execution is None:
            raise MethodFailed("NOT_FOUND", f"{name} not found")
        return execution


Method = Callable[[Any], Any]


def message(execution: Execution, view: int = types.ExecutionView.FULL) -> types.Execution:
    """Return the API's form of an execution, with the fields of a view."""
    shown = types.Execution(
        name=execution.name,
        start_time=datetime.fromtimestamp(execution.start_time, UTC),
        state=getattr(types.Execution.State, execution.state),
        workflow_revision_id=REVISION,
    )
    if execution.end_time:
        shown.end_time = datetime.fromtimestamp(execution.end_time, UTC)
        shown.duration = timedelta(seconds=execution.end_time - execution.start_time)
    if view == types.ExecutionView.FULL:
        shown.argument, shown.result = execution.argument, execution.result
        if execution.error:
            shown.error = types.Execution.Error(payload=execution.error)
    return shown
