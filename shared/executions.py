"""Cloud Workflows behind the `Workflows` protocol; only this module imports its SDK."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import grpc
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from shared.deadlines import limited
from shared.errors import NotFound, Unavailable
from shared.workflows import Outcome

if TYPE_CHECKING:
    from google.cloud.workflows.executions_v1 import ExecutionsClient

_TIMEOUT_SECONDS = 20


class CloudWorkflows:
    """Workflows deployed to one location of a project; their names begin with one prefix.

    `emulator_host` (host:port) is a local server of the Executions API, if not empty.
    """

    def __init__(self, *, project: str, location: str, prefix: str, emulator_host: str) -> None:
        self._parent = f"projects/{project}/locations/{location}/workflows/{prefix}"
        self._emulator_host = emulator_host

    @cached_property
    def _client(self) -> "ExecutionsClient":
        # Imported and created at the first use: most processes never start a workflow.
        from google.cloud.workflows.executions_v1 import ExecutionsClient
        from google.cloud.workflows.executions_v1.services.executions.transports import (
            ExecutionsGrpcTransport,
        )

        if not self._emulator_host:
            return ExecutionsClient()
        channel = grpc.insecure_channel(self._emulator_host)
        return ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))

    def start(self, workflow: str, argument: Mapping[str, Any]) -> str:
        """Start an execution, and return its name. Raises Unavailable if Cloud Workflows does not answer."""
        from google.cloud.workflows.executions_v1.types import Execution

        try:
            execution = self._client.create_execution(
                parent=self._parent + workflow,
                execution=Execution(argument=json.dumps(argument)),
                # Not retried: after a lost answer, another attempt would be a second execution.
                retry=None,
                timeout=limited(_TIMEOUT_SECONDS),
            )
        except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as error:
            raise Unavailable(f"workflow {workflow}: it could not be started") from error
        name: str = execution.name
        return name

    def look(self, execution: str) -> Outcome:
        """Return the present outcome of an execution. Raises Unavailable, and NotFound."""
        try:
            answer = self._client.get_execution(name=execution, timeout=limited(_TIMEOUT_SECONDS))
        except exceptions.NotFound as error:
            raise NotFound(f"execution {execution} does not exist") from error
        except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as error:
            raise Unavailable(f"execution {execution}: Cloud Workflows does not answer") from error
        return Outcome(answer.state.name, _as_text(answer.error.payload))


def _as_text(payload: str) -> str:
    """Return the error of a workflow as text: the string itself, if it raised a string."""
    try:
        raised = json.loads(payload)
    except ValueError:
        return payload
    return raised if isinstance(raised, str) else payload
