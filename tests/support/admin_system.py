"""A system with its administrative workflow. Tests may let its function fail, and kill it or the server."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.cloud.workflows.executions_v1 import Execution

from local.components import API_TABLE
from local.components import events as event_components
from local.components import workflows as workflow_components
from local.components.base import Component, Exported, nothing
from local.config import StackConfig, base_environment
from local.stack import Stack
from local.supervisor.processes import Processes
from shared.catalog import AdminRun
from shared.workflows import ADMINISTER
from tests.support.api import new_uuid
from tests.support.function_proxy import FunctionProxy, function_proxy, serve_proxy
from tests.support.manual_system import ManualSystem, opened
from tests.support.mortal import Mortal
from tests.support.waiting import wait_until

ACTIVE, SUCCEEDED, FAILED = Execution.State.ACTIVE, Execution.State.SUCCEEDED, Execution.State.FAILED


@dataclass(frozen=True, kw_only=True)
class AdminSystem(ManualSystem):
    """A system in which nothing happens but the runs that an operator starts."""

    front: FunctionProxy
    workflows: Mortal

    def start(self, **argument: Any) -> str:
        """Start the workflow and return the name of its execution."""
        return self.dss.workflows.start(ADMINISTER, argument)

    def wait_for_end(self, name: str) -> Execution:
        """Wait for the end of an execution and return it."""
        client = self.dss.workflows._client  # type: ignore[attr-defined]

        def over() -> Execution | None:
            found = client.get_execution(name=name)
            return None if found.state == ACTIVE else found

        found: Execution = wait_until(over, f"{name} ends")
        return found

    def run(self, **argument: Any) -> AdminRun:
        """Make a run, and return it once it has succeeded."""
        name = self.start(**argument)
        execution = self.wait_for_end(name)
        assert execution.state == SUCCEEDED, execution.error.payload
        return self.get_run(name)

    def run_and_fail(self, **argument: Any) -> str:
        """Make a run whose execution fails, and return the error."""
        execution = self.wait_for_end(self.start(**argument))
        assert execution.state == FAILED, execution.result
        return str(json.loads(execution.error.payload))

    def get_run(self, name: str) -> AdminRun:
        """Return the run of an execution."""
        run = self.dss.catalog.runs.get(name.rpartition("/")[2])
        assert run
        return run

    def report_lines(self, run: AdminRun) -> list[dict[str, Any]]:
        """Return all lines of a run's report, without the last line of each part."""
        lines = [
            json.loads(line)
            for name in self.report_parts(run)
            for line in self.read_report(name).splitlines()
        ]
        return [line for line in lines if "state_of_run" not in line]

    def report_parts(self, run: AdminRun) -> list[str]:
        """Return the object names of the parts of a run's report."""
        blobs = self.clouds.gcs.list_blobs(self.env["DSS_REPORTS_BUCKET"])
        return [blob.name for blob in blobs if run.id in blob.name and blob.name.endswith(".jsonl")]

    def read_report(self, name: str) -> bytes:
        """Return the content of an object of the reports bucket."""
        content: bytes = self.clouds.gcs.bucket(self.env["DSS_REPORTS_BUCKET"]).blob(name).download_as_bytes()
        return content

    def summary(self, run: AdminRun, name: str = "summary") -> dict[str, Any]:
        """Return the summary of a run, or another closing document, from the bucket."""
        folder = self.report_parts(run)[0].rpartition("/")[0]
        said: dict[str, Any] = json.loads(self.read_report(f"{folder}/{name}.json"))
        return said


@contextlib.contextmanager
def admin_system() -> Iterator[AdminSystem]:
    """Run such a system."""
    front: list[FunctionProxy] = []
    held: list[tuple[Component, tuple[int, int]]] = []
    with serve_proxy(front) as url:

        def workflows(config: StackConfig, exported: Exported) -> Component:
            component = workflow_components.workflows(config, exported)
            held.append((component, (config.ports.of("workflows"), config.ports.of("workflows rest"))))
            return replace(component, command=(), ready=nothing)

        caller = {**os.environ, "DSS_LOCAL_WORKFLOWS_PACE": "0.005"}
        copy = event_components.functions_of("copy", processes={})
        table = (*API_TABLE, event_components.topics, workflows, copy)
        with (
            Stack(port=0, caller=caller, table=table).running() as env,
            function_proxy(env, front, "administer") as function,
            Processes() as processes,
        ):
            [(component, ports)] = held
            inherited = {**base_environment(caller), **component.environment}
            environment = {**inherited, "DSS_ADMINISTER_FUNCTION_URL": url}
            server = Mortal(processes, component.name, component.command, environment, ports)
            server.start()
            yield AdminSystem(**opened(env), front=function, workflows=server)


def put_list(system: AdminSystem, lines: Sequence[str] | bytes, *, key: str = "") -> str:
    """Put a list into the reports bucket, as operators do, and return its URL."""
    data = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
    bucket = system.env["DSS_REPORTS_BUCKET"]
    return system.clouds.stage("gcp", data, bucket=bucket, key=key or f"lists/{new_uuid()}", metadata={})
