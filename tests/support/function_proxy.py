"""A proxy of a function that workflows call: tests make steps fail in it, and kill the function behind it."""

import http.client
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local import probes
from local.config import base_environment
from local.supervisor import forkserver
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Process, Processes
from tests.support.server_threads import in_thread
from tests.support.waiting import wait_until

# Returns the status to answer with; None passes the request on to the function.
Rule = Callable[[dict[str, Any]], int | None]


class FunctionProxy:
    """Answers for a function. `seen` are the requests that came; `rules` are by job id."""

    def __init__(
        self, env: Mapping[str, str], port: int, processes: Processes, log: Path, name: str = "copy"
    ) -> None:
        self._name = name
        self.seen: list[dict[str, Any]] = []
        # Steps within which a process of the function died.
        self.broken: list[str] = []
        self.rules: dict[str, Rule] = {}
        self._lock = threading.Lock()
        self._port = port
        self._processes = processes
        self._process: Process | None = None
        self._environment = {**base_environment({}), **env, "PATH": "/usr/bin:/bin"}
        self._log = log

    def start(self, **changes: str) -> None:
        """Start the function, with `changes` to its settings this time, and return when it answers."""
        self._process = forkserver.start(
            self._processes,
            self._name,
            (
                *(sys.executable, "-m", "local.servers.functions", "--threads", "16"),
                *("--logs", str(self._log.parent), f"{self._name}={self._port}"),
            ),
            {**self._environment, **changes},
            log=self._log,
            directory=self._log.parent,
        )

        def answers() -> bool:
            try:
                probes.answers(f"http://{HOST}:{self._port}")
            except probes.NotReady:
                return False
            return True

        wait_until(answers, f"the function answers; {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL the function."""
        assert self._process
        self._processes.end(self._process, number=9)
        self._process = None

    def peak_memory(self) -> int:
        """Return the peak memory of the largest process of the function, in bytes."""
        assert self._process
        peaks = []
        for pid in self._process.living():
            status = (Path("/proc") / str(pid) / "status").read_text()
            peaks += [int(kib) * 1024 for kib in re.findall(r"VmHWM:\s+(\d+) kB", status)]
        return max(peaks)

    def steps(self, job: str) -> list[str]:
        """Return the steps that the workflow asked for, for a job, in order."""
        with self._lock:
            return [body["step"] for body in self.seen if _subject(body) == job]

    def answer(self, request: bytes) -> tuple[int, bytes]:
        """Return the answer to a request of the workflow."""
        body = json.loads(request)
        with self._lock:
            self.seen.append(body)
            # The rule of the empty name is for all jobs without a rule of their own.
            rule = self.rules.get(_subject(body)) or self.rules.get("")
        status = rule(body) if rule else None
        if status:
            return status, b'{"title": "made to fail by a test"}'
        connection = http.client.HTTPConnection(HOST, self._port, timeout=120)
        try:
            connection.request("POST", "/", request, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.broken.append(str(body.get("step")))
            return 503, b"{}"
        finally:
            connection.close()


def _subject(body: Mapping[str, Any]) -> str:
    """Return the id of the job or run of a step; a run has the id of its first execution."""
    return str(body.get("job") or body.get("run") or body.get("execution"))


@contextmanager
def serve_proxy(front: list[FunctionProxy]) -> Iterator[str]:
    """Serve the proxy that will be put into the list, and yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Authorization"].startswith("Bearer ey"), "the workflow sends an OIDC token"
            status, answer = front[0].answer(self.rfile.read(int(self.headers["Content-Length"])))
            # A workflows server that a test killed takes no answer.
            with suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer((HOST, 0), Handler)
    with in_thread(server):
        yield f"http://{HOST}:{server.server_port}"


@contextmanager
def function_proxy(
    env: Mapping[str, str], front: list[FunctionProxy], name: str = "copy"
) -> Iterator[FunctionProxy]:
    """Run a function against a stack, and put its proxy into the list."""
    with reserve() as keeper, Processes() as processes:
        one = FunctionProxy(env, keeper.getsockname()[1], processes, processes.scratch / f"{name}.log", name)
        one.start()
        front.append(one)
        yield one
