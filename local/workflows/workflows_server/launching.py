"""A process for each execution, forked from one that has imported the engine, which takes half a second.

That process is itself forked first, before its parent has threads and gRPC, which do not survive a fork.
"""

import gc
import json
import os
import random
import signal
import socket
import threading
import traceback
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from workflows_emulator.utils import WorkflowError

from workflows_server.options import Options


class Launcher:
    """Starts the processes of executions, and ends with the process that made it."""

    def __init__(self, options: Options) -> None:
        self._lock = threading.Lock()
        self._requests, requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not os.fork():
            self._requests.close()
            _serve_launches(requests, options)
        requests.close()

    def launch(self, path: Path, argument: str, name: str) -> "ExecutionProcess":
        """Start the execution `name` of the workflow at `path`."""
        ours, theirs = Pipe()
        with theirs, self._lock:
            socket.send_fds(self._requests, [b"1"], [theirs.fileno()])
            pid = int(self._requests.recv(64))
        ours.send((path, argument, name))
        return ExecutionProcess(pid, ours)


class ExecutionProcess:
    """The process of an execution; it lives until it is killed or `close`d."""

    def __init__(self, pid: int, connection: "Connection[Any, Any]") -> None:
        self._pid = pid
        self._connection = connection

    def outcome(self) -> dict[str, Any]:
        """Wait for the end, and return the fields of the execution that change by it."""
        try:
            outcome: dict[str, Any] = self._connection.recv()
        except (EOFError, ConnectionError):
            return {"state": "FAILED", "error": "the process of this execution was killed"}
        return outcome

    def kill(self) -> None:
        """Kill the execution."""
        os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end; call nothing else after this."""
        self._connection.close()


def _serve_launches(requests: socket.socket, options: Options) -> NoReturn:
    """Fork a process for each request, until the other end is closed."""
    from workflows_server import engine

    # Nobody waits for the children: they end when their connection is closed, or are killed.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while (received := socket.recv_fds(requests, 1, 1))[0]:
        [file] = received[1]
        if not (pid := os.fork()):
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            random.seed()
            try:
                _execute(engine, Connection(file), options)
            finally:
                os._exit(0)
        os.close(file)
        requests.send(str(pid).encode())
    os._exit(0)


def _execute(engine: Any, connection: "Connection[Any, Any]", options: Options) -> None:
    """Run one execution in this process, send its outcome, and return when the other end is closed."""
    path, argument, name = connection.recv()
    parts = name.split("/")
    os.environ.update(
        GOOGLE_CLOUD_PROJECT_ID=parts[1],
        GOOGLE_CLOUD_LOCATION=parts[3],
        GOOGLE_CLOUD_WORKFLOW_ID=parts[5],
        GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID=parts[7],
    )
    try:
        result = engine.run(path, json.loads(argument or "null"), options)
        connection.send({"state": "SUCCEEDED", "result": json.dumps(result)})
    except WorkflowError as error:
        connection.send({"state": "FAILED", "error": json.dumps(error.payload, default=str)})
    except Exception:  # noqa: BLE001 # any error ends this execution only
        connection.send({"state": "FAILED", "error": json.dumps(traceback.format_exc())})
    connection.poll(None)
