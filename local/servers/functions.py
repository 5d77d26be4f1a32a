"""Serve functions under functions-framework, each in a process of its own.

    python -m local.servers.functions --logs DIR NAME=PORT[*PROCESSES[*THREADS]] ...

Imports take most of a start, so this process imports everything once and then forks. No client of a cloud is
open by then: gRPC does not survive a fork. Each function logs to NAME.log in DIR. If one function
ends, all end.
"""

import argparse
import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import functions_framework
from gunicorn.app.base import BaseApplication

import functions
from local.supervisor.ports import HOST

_SOURCE = Path(functions.__path__[0]) / "main.py"


@dataclass(frozen=True)
class Served:
    """A function, its port, its number of processes, and of the threads of each, 0 for the default."""

    name: str
    port: int
    processes: int
    threads: int

    @classmethod
    def parse(cls, text: str) -> "Served":
        """Parse NAME=PORT[*PROCESSES[*THREADS]]. Raises ValueError."""
        name, _, address = text.partition("=")
        port, processes, threads, *_ = [*address.split("*"), "", ""]
        return cls(name, int(port), int(processes or 1), int(threads or 0))


class _Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """gunicorn with the settings of functions-framework: no time limit, which is the caller's business."""

    def __init__(self, app: Any, served: Served, threads: int) -> None:
        self._app = app
        self._served = served
        self._threads = served.threads or threads
        super().__init__()

    def load_config(self) -> None:
        """Set all that differs from gunicorn's defaults."""
        settings = {
            "bind": f"{HOST}:{self._served.port}",
            "workers": self._served.processes,
            "threads": self._threads,
            "timeout": 0,
            "loglevel": "error",
            "limit_request_line": 0,
            # It is a file in the home directory, the same for every gunicorn.
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application."""
        return self._app


def _serve(app: Any, served: Served, threads: int, log: Path) -> None:
    with log.open("ab") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    # The name that `ps` and `top` show: the command is the same for all.
    Path("/proc/self/comm").write_text(served.name)
    os.environ["OTEL_SERVICE_NAME"] = f"dss-{served.name.replace('_', '-')}"
    _Server(app, served, threads).run()


def main() -> None:
    """Serve until one of the processes ends, and exit with an error then."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("functions", nargs="+", type=Served.parse)
    arguments = parser.parse_args()
    apps = {
        served: functions_framework.create_app(served.name, str(_SOURCE), "http")
        for served in arguments.functions
    }
    # Memory pages that are never written stay shared.
    gc.freeze()
    names = {}
    for served, app in apps.items():
        pid = os.fork()
        if not pid:
            _serve(app, served, arguments.threads, arguments.logs / f"{served.name}.log")
            os._exit(1)
        names[pid] = served.name
    pid, status = os.wait()
    sys.exit(f"{names[pid]} ended ({os.waitstatus_to_exitcode(status)})")


if __name__ == "__main__":
    main()
