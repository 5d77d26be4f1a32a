"""A function in a process of its own, as the cloud runs it, which tests call, kill and restart."""

import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from local import probes
from local.config import base_environment
from local.supervisor import forkserver
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Process, Processes
from tests.support.api import new_uuid
from tests.support.dss import firestore_client
from tests.support.waiting import wait_until

# Longer than any message is tried.
LONG_AGO = timedelta(days=8)


class FunctionProcess:
    """A function under functions-framework; it keeps its `url` when it is restarted."""

    def __init__(self, processes: Processes, name: str, env: Mapping[str, str], port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self._processes = processes
        self._name = name
        self._port = port
        self._environment = {**base_environment(os.environ), **env}
        self._log = processes.scratch / f"{name}.log"
        self._process: Process | None = None

    def start(self, **changes: str) -> None:
        """Start it with changed settings, and return when it answers."""
        self._environment.update(changes)
        self._process = forkserver.start(
            self._processes,
            self._name,
            (
                *(sys.executable, "-m", "local.servers.functions", "--threads", "8"),
                *("--logs", str(self._log.parent), f"{self._name}={self._port}"),
            ),
            self._environment,
            log=self._log,
            directory=self._log.parent,
        )
        wait_until(self._answers, self._process.log_tail)

    def _answers(self) -> bool:
        try:
            probes.answers(self.url)
        except probes.NotReady:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL it, and return when it is gone."""
        assert self._process
        self._processes.end(self._process, number=9)

    def push(
        self,
        attributes: Mapping[str, str],
        *,
        data: bytes = b"",
        subscription: str = "sync",
        published: datetime | None = None,
        last: bool = False,
        killed: bool = False,
    ) -> requests.Response:
        """Push a message as Pub/Sub does, published now by default, and return the answer.

        `last`: it was published so long ago that this is the last attempt; `killed`: that has begun before.
        """
        message_id, now = new_uuid(), datetime.now(UTC)
        if killed:
            attempt = firestore_client(self._environment).document(
                f"last_attempts/{subscription} {message_id}"
            )
            attempt.set({"began": now - timedelta(hours=1)})
        body = {
            "message": {
                "attributes": dict(attributes),
                "data": base64.b64encode(data).decode(),
                "messageId": message_id,
                "publishTime": (published or (now - LONG_AGO if last or killed else now)).isoformat(),
            },
            "subscription": f"projects/dss-local/subscriptions/{subscription}",
        }
        return self.post(json.dumps(body), content_type="application/json")

    def post(
        self, body: str | bytes, *, content_type: str = "text/plain; charset=UTF-8"
    ) -> requests.Response:
        """Return the answer to a request."""
        return requests.post(self.url, body, headers={"Content-Type": content_type}, timeout=240)

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self._log.read_text()[-5000:]

    def logged(self, message: str) -> list[dict[str, Any]]:
        """Return the lines of its log with this message."""
        rows = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [row for row in rows if row.get("message") == message]


@contextmanager
def function_process(name: str, env: Mapping[str, str], **changes: str) -> Iterator[FunctionProcess]:
    """Run a function against a running stack."""
    with reserve() as keeper, Processes() as processes:
        process = FunctionProcess(processes, name, {**env, **changes}, keeper.getsockname()[1])
        process.start()
        yield process
