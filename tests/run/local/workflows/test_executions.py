"""Executions run by themselves, as Cloud Workflows runs them, and outlive their server."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.workflows.executions_v1 import Execution

from tests.run.local.workflows.conftest import PARENT, Server
from tests.system.copy_front import wait_until

STATE = Execution.State


class Web:
    """A web server that counts who is there at once, and fails as often as it is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.at_once = self.most_at_once = 0
        self.failures = 0
        self.gate = threading.Event()
        self.gate.set()
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, path: str) -> int:
        with self.lock:
            self.seen.append(path)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            fails = self.failures > 0
            self.failures -= fails
        self.gate.wait(20)
        with self.lock:
            self.at_once -= 1
        return 503 if fails else 200


@pytest.fixture
def web() -> Iterator[Web]:
    one = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = one.answer(self.path)
            answer = json.dumps({"path": self.path}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield one
    one.gate.set()
    server.shutdown()


def test_an_execution_is_answered_before_it_ends_and_keeps_its_result(server: Server, web: Web) -> None:
    web.gate.clear()
    name = server.begin(
        f'main: {{params: [args], steps: [{{ask: {{call: http.get, args: {{url: "{web.url}"}}}}}}, '
        '{end: {return: "${args.x + 1}"}}]}',
        '{"x": 41}',
    )
    assert server.client.get_execution(name=name).state == STATE.ACTIVE
    web.gate.set()
    ended = server.ended(name)
    assert (ended.state, ended.result) == (STATE.SUCCEEDED, "42")
    assert ended.end_time >= ended.start_time


def test_what_fails_says_so(server: Server) -> None:
    ended = server.run('main: {steps: [{stop: {raise: {code: 7, message: "no more"}}}]}')
    assert ended.state == STATE.FAILED
    assert json.loads(ended.error.payload) == {"code": 7, "message": "no more"}


def test_null_and_booleans_are_not_text(server: Server) -> None:
    text = 'main: {steps: [{a: {assign: [{n: null}, {b: "${n == null}"}]}}, {z: {return: ["${n}", "${b}"]}}]}'
    assert json.loads(server.run(text).result) == [None, True]


PARALLEL = """
main:
  steps:
    - all:
        parallel:
          concurrency_limit: 3
          for:
            value: n
            range: [1, 12]
            steps:
              - ask: {{call: http.get, args: {{url: "${{\\"{url}/\\" + string(n)}}"}}, result: answer}}
              - mine:
                  switch:
                    - condition: ${{answer.body.path != "/" + string(n)}}
                      raise: "this is another iteration's answer"
    - end: {{return: done}}
"""


def test_iterations_run_side_by_side_within_the_limit_with_variables_of_their_own(
    server: Server, web: Web
) -> None:
    web.gate.clear()
    name = server.begin(PARALLEL.format(url=web.url))
    wait_until(lambda: web.at_once == 3, "three are there", 20)
    web.gate.set()
    ended = server.ended(name)
    assert (ended.state, ended.result) == (STATE.SUCCEEDED, '"done"'), ended.error
    assert web.most_at_once == 3
    assert sorted(web.seen) == sorted(f"/{n}" for n in range(1, 13))


RETRY = """
main:
  steps:
    - ask:
        try: {{call: http.get, args: {{url: "{url}"}}, result: answer}}
        retry:
          predicate: ${{http.default_retry_predicate}}
          max_retries: 5
          backoff: {{initial_delay: 1, max_delay: 3, multiplier: 2}}
    - end: {{return: "${{answer.code}}"}}
"""


@pytest.mark.parametrize(("failures", "state", "asked"), [(5, STATE.SUCCEEDED, 6), (9, STATE.FAILED, 6)])
def test_a_call_is_tried_as_often_as_the_policy_says(
    server: Server, web: Web, failures: int, state: Any, asked: int
) -> None:
    web.failures = failures
    ended = server.run(RETRY.format(url=web.url))
    assert (ended.state, len(web.seen)) == (state, asked), ended.error


def test_nobody_listening_is_an_error_that_is_tried_again(server: Server) -> None:
    began = time.monotonic()
    ended = server.run(RETRY.format(url="http://127.0.0.1:9"))
    assert ended.state == STATE.FAILED
    assert "ConnectionError" in ended.error.payload
    # 1, 2, 3, 3 and 3 seconds at a hundredth of the time.
    assert time.monotonic() - began > 0.12


def test_an_execution_that_was_killed_with_the_server_is_run_again(server: Server, web: Web) -> None:
    web.gate.clear()
    name = server.begin(f'main: {{steps: [{{a: {{call: http.get, args: {{url: "{web.url}"}}}}}}]}}')
    wait_until(lambda: web.seen, "it is at work", 20)
    server.kill()
    server.start()
    web.gate.set()
    assert server.ended(name).state == STATE.SUCCEEDED
    assert len(web.seen) == 2


def test_executions_are_listed_and_cancelled(server: Server, web: Web) -> None:
    web.gate.clear()
    name = server.begin(f'main: {{steps: [{{a: {{call: http.get, args: {{url: "{web.url}/x"}}}}}}]}}')
    listed = [one.name for one in server.client.list_executions(parent=f"{PARENT}/t-w")]
    assert listed[0] == name
    assert server.client.cancel_execution(name=name).state == STATE.CANCELLED
    assert server.client.get_execution(name=name).state == STATE.CANCELLED


def test_what_is_not_there_is_not_found(server: Server) -> None:
    with pytest.raises(exceptions.NotFound):
        server.client.create_execution(parent=f"{PARENT}/t-nothing", execution=Execution())
    with pytest.raises(exceptions.NotFound):
        server.client.get_execution(name=f"{PARENT}/t-w/executions/none")
