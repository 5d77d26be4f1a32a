"""The processes that imports need beside the shared stack: workflows, the functions, and an API."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import probes
from local.api import api_process
from local.components.workflows import server_command
from local.config import base_environment
from local.source_tree import ROOT
from local.supervisor import forkserver
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Process, Processes
from tests.support.api import Api, new_uuid
from tests.support.clouds import SCHEMES, Clouds
from tests.support.waiting import wait_until

_PREFIX = "dss-"
_FUNCTIONS = ("importer", "copy")


@dataclass(frozen=True)
class ImportHarness:
    """An API that starts imports, as somebody who may write, and the clouds."""

    env: Mapping[str, str]
    api: Api
    admin: Api
    clouds: Clouds
    functions: Process

    def peak_memory(self) -> int:
        """Return the peak memory of the largest process of the functions, in bytes."""
        peaks = []
        for pid in self.functions.living():
            status = (Path("/proc") / str(pid) / "status").read_text()
            peaks += [int(kib) * 1024 for kib in re.findall(r"VmHWM:\s+(\d+) kB", status)]
        return max(peaks)

    def folder(self, replica: str, objects: Mapping[str, bytes], *, name: str = "") -> str:
        """Put objects without claims into a new folder of a staging bucket; return its URL."""
        name = name or new_uuid()
        for key, data in objects.items():
            self.clouds.stage(replica, data, metadata={}, key=f"{name}/{key}")
        return f"{SCHEMES[replica]}://{self.clouds.staging[replica]}/{name}/"

    def list(self, **body: Any) -> dict[str, Any]:
        """Have an import listed to its end, and return its status."""
        import_id = new_uuid()
        answer = self.api.put(f"/imports/{import_id}", json=body)
        assert answer.status_code == 201, answer.text
        return self.ended(import_id)

    def run(self, **body: Any) -> dict[str, Any]:
        """Have an import listed, and imported, to its end; return its status."""
        return self.start(self.list(**body)["uuid"])

    def start(self, import_id: str) -> dict[str, Any]:
        """Have a listed import imported to its end, and return its status."""
        answer = self.api.post(f"/imports/{import_id}/start")
        assert answer.status_code == 202, answer.text
        return self.ended(import_id)

    def ended(self, import_id: str, seconds: float = 120) -> dict[str, Any]:
        """Wait for the end of an attempt, and return the status."""

        def has_ended() -> bool:
            return status(self.api, import_id)["status"] != "RUNNING"

        wait_until(has_ended, f"import {import_id} ends", seconds)
        return status(self.api, import_id)

    def report(self, import_id: str) -> Sequence[Mapping[str, Any]]:
        """Return all lines of the report of an import."""
        lines: list[Mapping[str, Any]] = []
        part: int | None = 0
        while part is not None:
            answer = self.api.get(f"/imports/{import_id}/report", part=part)
            assert answer.status_code == 200, answer.text
            lines += answer.json()["lines"]
            part = answer.json().get("next")
        return lines


def status(api: Api, import_id: str) -> dict[str, Any]:
    """Return the status of an import."""
    answer = api.get(f"/imports/{import_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@contextmanager
def import_harness(stack: Mapping[str, str], scratch: Path, **settings: str) -> Iterator[ImportHarness]:
    """Run the workflows server, the functions and the API that imports need."""
    with ExitStack() as exits:
        ports = {
            name: exits.enter_context(reserve()).getsockname()[1]
            for name in ("workflows", "rest", *_FUNCTIONS)
        }
        processes = exits.enter_context(Processes())
        env = {
            **stack,
            "DSS_WORKFLOWS_EMULATOR_HOST": f"{HOST}:{ports['workflows']}",
            "DSS_WORKFLOWS_PREFIX": _PREFIX,
            **settings,
        }
        called = {f"DSS_{name.upper()}_FUNCTION_URL": f"http://{HOST}:{ports[name]}" for name in _FUNCTIONS}
        served = tuple(f"{name}={ports[name]}" for name in _FUNCTIONS)
        commands = {
            "workflows": server_command(
                port=ports["workflows"],
                rest_port=ports["rest"],
                workflows=ROOT / "workflows",
                prefix=_PREFIX,
                data=scratch / "runs",
                issuer=stack["OIDC_ISSUER"],
                pace="0.005",
            ),
            "functions": (
                *(sys.executable, "-m", "local.servers.functions", "--threads", "8"),
                *("--logs", str(scratch), *served),
            ),
        }
        started = {}
        for name, command in commands.items():
            started[name] = forkserver.start(
                processes,
                name,
                command,
                {**base_environment(os.environ), **env, **called},
                log=scratch / f"{name}.log",
                directory=scratch,
            )
        for port in ports.values():
            wait_until(lambda port=port: _listens(port), f"port {port} is listened on")  # type: ignore[misc]
        api = Api(exits.enter_context(api_process(env)).url, stack["DSS_TOKEN"])
        yield ImportHarness(
            env, api, api.signed_in(stack["DSS_ADMIN_TOKEN"]), Clouds(env), started["functions"]
        )


def _listens(port: int) -> bool:
    try:
        probes.listens(HOST, port)
    except probes.NotReady:
        return False
    return True
