"""The pusher works like Pub/Sub: 2xx acknowledges, any other answer is retried after growing delays."""

import base64
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from local.servers.push import PushSubscription
from local.supervisor import forkserver
from local.supervisor.ports import HOST
from local.supervisor.processes import Process, Processes
from tests.support.api import new_uuid


class Endpoint:
    """A function that records every push, and answers as the test decides."""

    def __init__(self) -> None:
        self.pushes: list[tuple[float, dict[str, Any]]] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda _: 204
        self.at_work = 0
        self.most_at_work = 0
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.open(0)
        assert self._server
        self.port = self._server.server_port
        self.url = f"http://{HOST}:{self.port}"

    def open(self, port: int) -> None:
        """Listen."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body are two packets: the second would wait for the client to acknowledge the first.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(endpoint.take(body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, body: dict[str, Any]) -> int:
        with self._lock:
            self.pushes.append((time.monotonic(), body))
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            return self.answer(body)
        finally:
            with self._lock:
                self.at_work -= 1

    def of(self, name: str) -> list[tuple[float, dict[str, Any]]]:
        """Return the pushes of one message, and their times."""
        return [
            push
            for push in self.pushes
            if push[1].get("message", {}).get("attributes", {}).get("name") == name
        ]

    def wait(self, condition: Callable[[], object], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.pushes
            time.sleep(0.02)


class Pushing:
    """A topic with a subscription that a process pushes to an endpoint."""

    def __init__(
        self, processes: Processes, env: Mapping[str, str], directory: Path, endpoint: Endpoint
    ) -> None:
        self._processes = processes
        self._env = dict(env)
        self.endpoint = endpoint
        self._base = f"http://{env['PUBSUB_EMULATOR_HOST']}/v1/projects/{env['GOOGLE_CLOUD_PROJECT']}"
        self.name = f"push-{new_uuid()}"
        topic = f"projects/{env['GOOGLE_CLOUD_PROJECT']}/topics/{self.name}"
        requests.put(f"{self._base}/topics/{self.name}", json={}).raise_for_status()
        body = {"topic": topic, "ackDeadlineSeconds": 10}
        requests.put(f"{self._base}/subscriptions/{self.name}", json=body).raise_for_status()
        self._directory = directory
        self._config = directory / "push.json"
        self._log = directory / "push.log"
        self.prefixes: list[str] = []
        self.write(endpoint.url)

    def write(self, url: str, schedules: tuple[dict[str, Any], ...] = ()) -> None:
        """Write the configuration."""
        row = {
            "name": self.name,
            "topic": self.name,
            "endpoint": url,
            "ack_deadline_seconds": 60,
            "minimum_backoff_seconds": 0.4,
            "maximum_backoff_seconds": 600,
            "object_prefixes": self.prefixes,
        }
        project = self._env["GOOGLE_CLOUD_PROJECT"]
        self._config.write_text(
            json.dumps({"project": project, "subscriptions": [row], "schedules": list(schedules)})
        )

    def start(self) -> Process:
        command = (sys.executable, "-m", "local.servers.push", str(self._config))
        return forkserver.start(
            self._processes, "push", command, self._env, log=self._log, directory=self._directory
        )

    @property
    def errors(self) -> str:
        """The log of the process."""
        return self._log.read_text()

    def publish(self, *names: str, data: bytes = b"", **attributes: str) -> None:
        messages = [
            {"attributes": {"name": name, **attributes}, "data": base64.b64encode(data).decode()}
            for name in names
        ]
        answer = requests.post(f"{self._base}/topics/{self.name}:publish", json={"messages": messages})
        answer.raise_for_status()


@pytest.fixture
def pushing(stack: dict[str, str], tmp_path: Path) -> Iterator[Pushing]:
    endpoint = Endpoint()
    with Processes() as processes:
        yield Pushing(processes, {**stack, "NO_PROXY": HOST}, tmp_path, endpoint)
        endpoint.answer = lambda _: 204
    endpoint.close()


def test_delays_double_up_to_the_longest() -> None:
    row = PushSubscription(
        name="n",
        topic="t",
        endpoint="e",
        ack_deadline_seconds=600,
        minimum_backoff_seconds=1,
        maximum_backoff_seconds=600,
    )
    assert [row.delay(attempt) for attempt in (1, 2, 3, 10, 11, 5000)] == [1, 2, 4, 512, 600, 600]


def test_a_message_is_pushed_as_pub_sub_does_until_2xx(pushing: Pushing) -> None:
    endpoint = pushing.endpoint
    endpoint.answer = lambda _: 503 if len(endpoint.of("doubling")) < 3 else 204
    pushing.start()
    pushing.publish("doubling", data=b"bytes")

    endpoint.wait(lambda: len(endpoint.of("doubling")) == 3)
    times, bodies = zip(*endpoint.of("doubling"), strict=True)

    # Pub/Sub counts attempts only if it is to give up by itself.
    assert all("deliveryAttempt" not in body for body in bodies)
    assert {body["message"]["messageId"] for body in bodies} == {bodies[0]["message"]["messageId"]}
    assert base64.b64decode(bodies[0]["message"]["data"]) == b"bytes"
    assert bodies[0]["subscription"].endswith(f"/subscriptions/{pushing.name}")
    assert times[1] - times[0] >= 0.35
    assert times[2] - times[1] >= 0.75
    # Acknowledged: others come, this one does not.
    pushing.publish("after")
    endpoint.wait(lambda: endpoint.of("after"))
    assert len(endpoint.of("doubling")) == 3


def test_many_are_at_work_at_once_and_one_that_fails_delays_no_other(pushing: Pushing) -> None:
    endpoint, all_there = pushing.endpoint, threading.Barrier(16)

    def answer(body: dict[str, Any]) -> int:
        if body["message"]["attributes"]["name"] == "failing":
            return 500
        all_there.wait(timeout=60)
        return 200

    endpoint.answer = answer
    pushing.start()
    pushing.publish("failing", *(f"message {number}" for number in range(32)))

    endpoint.wait(lambda: all(endpoint.of(f"message {number}") for number in range(32)))
    endpoint.wait(lambda: endpoint.at_work == 0)
    assert endpoint.most_at_work >= 16
    assert all(len(endpoint.of(f"message {number}")) == 1 for number in range(32))


def test_a_message_about_an_object_that_the_filter_leaves_out_is_gone(pushing: Pushing) -> None:
    pushing.prefixes = ["object/", "other/"]
    pushing.write(pushing.endpoint.url)
    pushing.start()

    pushing.publish("left out", objectId="some object/1")
    pushing.publish("nothing said")
    for name in ("wanted", "wanted later"):
        pushing.publish(name, objectId="object/1")
        pushing.endpoint.wait(partial(pushing.endpoint.of, name))

    assert len(pushing.endpoint.pushes) == 2


def test_an_endpoint_that_is_not_there_is_tried_until_it_is(pushing: Pushing) -> None:
    endpoint = pushing.endpoint
    endpoint.close()
    pushing.start()
    pushing.publish("patient")
    endpoint.wait(lambda: "Connection refused" in pushing.errors)

    endpoint.open(endpoint.port)

    endpoint.wait(lambda: endpoint.of("patient"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_without_waiting_for_answers(pushing: Pushing, number: int) -> None:
    endpoint, release = pushing.endpoint, threading.Event()
    endpoint.answer = lambda _: 204 if release.wait(120) else 500
    process = pushing.start()
    pushing.publish("interrupted")
    endpoint.wait(lambda: endpoint.of("interrupted"))

    process.signal(number)

    assert process.wait(60)
    assert process.exit_code == 0
    release.set()


def test_functions_are_called_at_intervals(pushing: Pushing) -> None:
    endpoint = pushing.endpoint
    pushing.write(endpoint.url, schedules=({"url": f"{endpoint.url}/sweep", "seconds": 0.2},))
    endpoint.answer = lambda _: 500
    pushing.start()
    endpoint.wait(lambda: len([1 for _, body in endpoint.pushes if body == {}]) >= 3)
    times = [at for at, body in endpoint.pushes if body == {}]
    assert times[2] - times[0] >= 0.2
