"""The methods of the Executions API, v1, on the executions of this machine, however they are called."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.workflows.executions_v1 import types

from workflows_server.executions import REVISION, Execution, Executions, UnknownWorkflow
from workflows_server.listing import NotUnderstood, chosen

# The API: at most so many a page, by view.
_LARGEST_PAGE = {types.ExecutionView.BASIC: 1000, types.ExecutionView.FULL: 100}
_PAGE = 100


class Failed(Exception):
    """A method failed; `status` is the name of a code of gRPC."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Methods:
    """Each takes a request of the API and returns an answer. Raises Failed."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions

    def create(self, request: types.CreateExecutionRequest) -> types.Execution:
        """Begin an execution."""
        wanted = types.Execution.to_dict(request.execution)
        given = {name for name, value in wanted.items() if value}
        if unknown := given - {"argument", "call_log_level"}:
            raise Failed("UNIMPLEMENTED", f"execution.{min(unknown)}: not known here")
        try:
            return message(self._executions.create(request.parent, request.execution.argument))
        except UnknownWorkflow as error:
            raise Failed("NOT_FOUND", f"workflow {error} not found") from error

    def get(self, request: types.GetExecutionRequest) -> types.Execution:
        """Return an execution."""
        return message(self._found(request.name), request.view or types.ExecutionView.FULL)

    def list(self, request: types.ListExecutionsRequest) -> types.ListExecutionsResponse:
        """Return a page of a workflow's executions, the newest first."""
        view = request.view or types.ExecutionView.BASIC
        try:
            first = int(request.page_token or 0)
            found = chosen(
                self._executions.list(f"{request.parent}/executions/"),
                filter_=request.filter,
                order_by=request.order_by,
            )
        except NotUnderstood as error:
            raise Failed("INVALID_ARGUMENT", str(error)) from error
        except ValueError as error:
            raise Failed("INVALID_ARGUMENT", f"page_token: {request.page_token!r}") from error
        end = first + min(request.page_size or _PAGE, _LARGEST_PAGE[view])
        return types.ListExecutionsResponse(
            executions=[message(one, view) for one in found[first:end]],
            next_page_token=str(end) if end < len(found) else "",
        )

    def cancel(self, request: types.CancelExecutionRequest) -> types.Execution:
        """End an execution."""
        if self._found(request.name).state != "ACTIVE":
            raise Failed("FAILED_PRECONDITION", f"{request.name} has ended")
        return message(self._executions.cancel(request.name) or self._found(request.name))

    def _found(self, name: str) -> Execution:
        execution = self._executions.get(name)
        if execution is None:
            raise Failed("NOT_FOUND", f"{name} not found")
        return execution


Method = Callable[[Any], Any]


def message(execution: Execution, view: int = types.ExecutionView.FULL) -> types.Execution:
    """Return an execution as the API has it, with all that a view shows."""
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
