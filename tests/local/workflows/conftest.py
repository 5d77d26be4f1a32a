"""The Executions API on workflows that tests write."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.cloud.workflows.executions_v1 import Execution, ExecutionsClient
from google.cloud.workflows.executions_v1.services.executions.transports import ExecutionsGrpcTransport

from local.components.workflows import server_command
from local.config import base_environment
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Processes
from tests.support.mortal import Mortal
from tests.support.waiting import wait_until

PARENT = "projects/p/locations/l/workflows"


class Server:
    """A server of executions that can be killed and started again."""

    def __init__(self, directory: Path, port: int, rest_port: int, processes: Processes) -> None:
        self.workflows = directory / "workflows"
        self.workflows.mkdir()
        self.rest = f"http://{HOST}:{rest_port}/v1"
        environment = {**base_environment({}), "PATH": "/usr/bin:/bin"}
        command = server_command(
            port=port,
            rest_port=rest_port,
            workflows=self.workflows,
            prefix="t-",
            data=directory / "data",
            # Nothing listens there.
            issuer=f"http://{HOST}:9",
            pace="0.01",
        )
        process = Mortal(processes, "workflows", command, environment, (port, rest_port))
        self.start, self.kill = process.start, process.kill
        channel = grpc.insecure_channel(f"{HOST}:{port}")
        self.client = ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))

    def begin(self, text: str, argument: str = "null", workflow: str = "w") -> str:
        """Start an execution of a workflow, and return its name."""
        (self.workflows / f"{workflow}.yaml").write_text(text)
        execution = Execution(argument=argument)
        return str(self.client.create_execution(parent=f"{PARENT}/t-{workflow}", execution=execution).name)

    def ended(self, name: str) -> Execution:
        """Return an execution when it has ended."""

        def over() -> Execution | None:
            found = self.client.get_execution(name=name)
            return None if found.state == Execution.State.ACTIVE else found

        found: Execution = wait_until(over, f"{name} ends")
        return found

    def run(self, text: str, argument: str = "null", workflow: str = "w") -> Execution:
        """Run a workflow to its end."""
        return self.ended(self.begin(text, argument, workflow))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server."""
    with reserve() as keeper, reserve() as second, Processes() as processes:
        ports = (one.getsockname()[1] for one in (keeper, second))
        one = Server(tmp_path_factory.mktemp("executions"), *ports, processes)
        one.start()
        yield one
