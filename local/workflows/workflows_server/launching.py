"""A process for each execution, forked from one that has imported what they need, which takes half a second.

What forks is itself forked before its parent has threads and gRPC, which survive no fork.
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


class Launcher:
    """Launches processes of executions, and ends with the process that made it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked, asks = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not os.fork():
            self._asked.close()
            _launch_when_asked(asks)
        asks.close()

    def launch(self, path: Path, argument: str, name: str) -> "Launched":
        """Begin the execution `name` of the workflow at `path`."""
        ours, theirs = Pipe()
        with theirs, self._lock:
            socket.send_fds(self._asked, [b"1"], [theirs.fileno()])
            pid = int(self._asked.recv(64))
        ours.send((path, argument, name))
        return Launched(pid, ours)


class Launched:
    """The process of an execution; it is there until it is killed, or `close`d."""

    def __init__(self, pid: int, connection: "Connection[Any, Any]") -> None:
        self._pid = pid
        self._connection = connection

    def outcome(self) -> dict[str, Any]:
        """Return what is to be noted of the execution when it has ended."""
        try:
            ended: dict[str, Any] = self._connection.recv()
        except (EOFError, ConnectionError):
            return {"state": "FAILED", "error": "the process of this execution was killed"}
        return ended

    def kill(self) -> None:
        """End it where it is."""
        os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """Let it go; call nothing else after this."""
        self._connection.close()


def _launch_when_asked(asks: socket.socket) -> NoReturn:
    """Fork a process each time, until nobody is there to ask."""
    from workflows_server import engine

    # Nobody waits for them: they end when their connection is closed, or are killed.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while (received := socket.recv_fds(asks, 1, 1))[0]:
        [file] = received[1]
        if not (pid := os.fork()):
            asks.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            random.seed()
            try:
                _execute(engine, Connection(file))
            finally:
                os._exit(0)
        os.close(file)
        asks.send(str(pid).encode())
    os._exit(0)


def _execute(engine: Any, connection: "Connection[Any, Any]") -> None:
    """Run one execution in this process, send what comes of it, and return when that is noted."""
    path, argument, name = connection.recv()
    parts = name.split("/")
    os.environ.update(
        GOOGLE_CLOUD_PROJECT_ID=parts[1],
        GOOGLE_CLOUD_LOCATION=parts[3],
        GOOGLE_CLOUD_WORKFLOW_ID=parts[5],
        GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID=parts[7],
    )
    try:
        result = engine.run(path, json.loads(argument or "null"))
        connection.send({"state": "SUCCEEDED", "result": json.dumps(result)})
    except WorkflowError as error:
        connection.send({"state": "FAILED", "error": json.dumps(error.payload, default=str)})
    except Exception:  # noqa: BLE001 # whatever it is, it ends the execution and nothing else
        connection.send({"state": "FAILED", "error": json.dumps(traceback.format_exc())})
    connection.poll(None)
