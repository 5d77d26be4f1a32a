"""The processes that checkouts need beside the shared stack, with ways to make steps fail."""

import dataclasses
import email
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message
from itertools import cycle
from pathlib import Path
from typing import Any

from local import probes
from local.api import ApiProcess, api_process
from local.components.workflows import server_command
from local.config import base_environment
from local.source_tree import ROOT
from local.supervisor import forkserver
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Processes
from shared.catalog.bundles import PAGE_FILES
from shared.checksums import MIB
from shared.clock import Clock, SystemClock
from shared.system import Dss
from tests.support.api import Api, Version, put_bundle, put_file
from tests.support.checkouts import LISTED, check_out
from tests.support.clouds import Clouds
from tests.support.dss import open_dss
from tests.support.function_proxy import FunctionProxy, Rule, function_proxy, serve_proxy
from tests.support.waiting import wait_until

_WORKFLOWS = ROOT / "workflows"
_PREFIX = "dss-"
# What is larger goes through the copy workflow.
INLINE_BYTES = 4 * MIB


@dataclass(frozen=True)
class Harness:
    """An API, the clouds, the system's dependencies, and the function `checkout` behind a proxy."""

    process: ApiProcess
    api: Api
    admin: Api
    clouds: Clouds
    dss: Dss
    front: FunctionProxy
    box: Path

    def at(self, clock: Clock) -> Dss:
        """Return the dependencies with another clock."""
        dss = dataclasses.replace(self.dss, clock=clock)
        database = dss.catalog.database
        database.clock = clock
        return dss

    def mails(self, address: str) -> list[Message]:
        """Return the mails to an address."""
        files = (self.box / "new").glob("*") if self.box.exists() else []
        found = [email.message_from_bytes(file.read_bytes()) for file in files]
        return [mail for mail in found if mail["To"] == address]

    def check_out(self, replica: str, bundle: Any, rule: Rule | None = None, **body: Any) -> str:
        """Ask for a checkout, apply `rule` to all its steps, and return the job's id."""
        self.front.rules = _Every(rule)  # type: ignore[assignment]
        return check_out(self.api, replica, bundle, **body)


def two_page_bundle(rig: Harness, replica: str, contents: Sequence[bytes]) -> Version:
    """Return a bundle whose checkout takes a step for each of two pages: of these contents, in turns."""
    files = [put_file(rig.api, rig.clouds.stage(replica, data)) for data in contents]
    names = [f"{number:03d}.bin" for number in range(PAGE_FILES + 1)]
    return put_bundle(rig.api, replica, [file.named(name) for name, file in zip(names, cycle(files))])


class ClockAhead:
    """A clock that is ahead of the system's."""

    def __init__(self, ahead: timedelta) -> None:
        self._clock = SystemClock()
        self._ahead = ahead

    def now(self) -> datetime:
        return self._clock.now() + self._ahead

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


class LostWorkflows:
    """Workflows whose executions never run."""

    def start(self, *_: Any) -> str:
        return "killed"


class _Every(dict[str, Any]):
    """One rule for all jobs."""

    def __init__(self, rule: Rule | None) -> None:
        super().__init__()
        self._rule = rule

    def get(self, _: str, __: Any = None) -> Any:
        return self._rule


@contextmanager
def checkout_harness(stack: Mapping[str, str], scratch: Path) -> Iterator[Harness]:
    """Run the workflows server, the functions and the mail server that checkouts need."""
    front: list[FunctionProxy] = []
    with ExitStack() as exits:
        checkout_url = exits.enter_context(serve_proxy(front))
        ports = [exits.enter_context(reserve()).getsockname()[1] for _ in range(4)]
        workflows, rest, copy, mail = ports
        processes = exits.enter_context(Processes())
        env = {
            **stack,
            **LISTED,
            "DSS_WORKFLOWS_EMULATOR_HOST": f"{HOST}:{workflows}",
            "DSS_WORKFLOWS_PREFIX": _PREFIX,
            "DSS_INLINE_COPY_BYTES": str(INLINE_BYTES),
            "DSS_INLINE_VERIFY_BYTES": str(INLINE_BYTES),
            "DSS_SMTP_HOST": HOST,
            "DSS_SMTP_PORT": str(mail),
            "DSS_SMTP_TLS": "none",
            "DSS_SMTP_SENDER": "dss@example.org",
        }
        box = scratch / "box"
        commands = {
            "workflows": server_command(
                port=workflows,
                rest_port=rest,
                workflows=_WORKFLOWS,
                prefix=_PREFIX,
                data=scratch / "runs",
                issuer=stack["OIDC_ISSUER"],
                pace="0.005",
            ),
            "copy": (sys.executable, "-m", "local.servers.functions", "--logs", str(scratch), f"copy={copy}"),
            "mail": (
                *(sys.executable, "-m", "aiosmtpd", "--nosetuid", "--listen", f"{HOST}:{mail}"),
                *("--class", "aiosmtpd.handlers.Mailbox", str(box)),
            ),
        }
        called = {
            "DSS_CHECKOUT_FUNCTION_URL": checkout_url,
            "DSS_COPY_FUNCTION_URL": f"http://{HOST}:{copy}",
        }
        for name, command in commands.items():
            forkserver.start(
                processes,
                name,
                command,
                {**base_environment(os.environ), **env, **called},
                log=scratch / f"{name}.log",
                directory=scratch,
            )
        for port in ports:
            wait_until(lambda port=port: _listens(port), f"port {port} is listened on")  # type: ignore[misc]
        one = exits.enter_context(function_proxy(env, front, "checkout"))
        process = exits.enter_context(api_process(env))
        dss = exits.enter_context(open_dss(env))
        api = Api(process.url, stack["DSS_TOKEN"])
        yield Harness(process, api, api.signed_in(stack["DSS_ADMIN_TOKEN"]), Clouds(env), dss, one, box)


def _listens(port: int) -> bool:
    try:
        probes.listens(HOST, port)
    except probes.NotReady:
        return False
    return True


def before(step: str, act: Callable[[], Any]) -> Rule:
    """Do something before the first request for a step is let through; others for it wait meanwhile."""
    done: list[Any] = []
    doing = threading.Lock()

    def rule(body: dict[str, Any]) -> None:
        if body["step"] != step:
            return
        with doing:
            if not done:
                done.append(True)
                act()

    return rule
