"""Executions run by themselves, as Cloud Workflows runs them, and outlive their server."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.cloud.workflows.executions_v1 import Execution, ListExecutionsRequest

from tests.local.workflows.conftest import PARENT, Server
from tests.support.server_threads import in_thread
from tests.support.waiting import wait_until

STATE = Execution.State


class Web:
    """A web server that counts concurrent requests, and fails the first `failures` of them."""

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
        self.gate.wait(120)
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
    with in_thread(server):
        yield one
        one.gate.set()


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


def test_a_failure_has_its_payload(server: Server) -> None:
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
    wait_until(lambda: web.at_once == 3, "three are there")
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


@pytest.mark.parametrize("arguments", ["", ", auth: {type: OIDC}"], ids=["function", "token issuer"])
def test_nobody_listening_is_an_error_that_is_tried_again(server: Server, arguments: str) -> None:
    began = time.monotonic()
    ended = server.run(RETRY.format(url="http://127.0.0.1:9").replace('9"}', f'9"{arguments}}}'))
    assert ended.state == STATE.FAILED
    assert "ConnectionError" in json.loads(ended.error.payload)["tags"]
    # 1, 2, 3, 3 and 3 seconds at a hundredth of the time.
    assert time.monotonic() - began > 0.12


def test_an_execution_that_was_killed_with_the_server_is_run_again(server: Server, web: Web) -> None:
    web.gate.clear()
    name = server.begin(f'main: {{steps: [{{a: {{call: http.get, args: {{url: "{web.url}"}}}}}}]}}')
    wait_until(lambda: web.seen, "it is at work")
    server.kill()
    server.start()
    web.gate.set()
    assert server.ended(name).state == STATE.SUCCEEDED
    assert len(web.seen) == 2


CANCELLED = """
main:
  steps:
    - all:
        parallel:
          for: {{value: n, range: [1, 3], steps: [{{ask: {{call: http.get, args: {{url: "{url}"}}}}}}]}}
"""


def test_a_parallel_step_is_cancelled_with_its_execution(server: Server, web: Web) -> None:
    web.gate.clear()
    name = server.begin(CANCELLED.format(url=web.url))
    wait_until(lambda: web.at_once == 3, "three are there")
    assert server.client.cancel_execution(name=name).state == STATE.CANCELLED
    web.gate.set()
    assert server.client.get_execution(name=name).state == STATE.CANCELLED
    with pytest.raises(exceptions.FailedPrecondition):
        server.client.cancel_execution(name=name)


LISTED = 'main: {params: [args], steps: [{end: {return: "${args.x}"}}]}'


@pytest.fixture(scope="module")
def listed(server: Server) -> list[str]:
    """Executions of a workflow of their own, the oldest first; the last one has failed."""
    names = [server.run(LISTED, f'{{"x": {n}}}', workflow="listed").name for n in range(4)]
    return [*names, server.run(LISTED, "{}", workflow="listed").name]


def test_executions_are_listed_in_pages_the_newest_first(server: Server, listed: list[str]) -> None:
    request = ListExecutionsRequest(parent=f"{PARENT}/t-listed", page_size=2)
    pages = list(server.client.list_executions(request=request).pages)

    assert [len(page.executions) for page in pages] == [2, 2, 1]
    found = [one for page in pages for one in page.executions]
    assert [one.name for one in found] == listed[::-1]
    assert {(one.argument, one.result) for one in found} == {("", "")}, "the basic view has neither"
    full = server.client.list_executions(request={"parent": f"{PARENT}/t-listed", "view": "FULL"})
    assert [one.result for one in full][1:] == ["3", "2", "1", "0"]
    basic = server.client.get_execution(request={"name": listed[1], "view": "BASIC"})
    assert (basic.result, server.client.get_execution(name=listed[1]).result) == ("", "1")


@pytest.mark.parametrize(
    ("filter_", "order_by", "expected"),
    [
        ('state="FAILED"', "", [4]),
        ("state=SUCCEEDED AND startTime > 2020-01-01", "startTime", [0, 1, 2, 3]),
        ('startTime<"2020-01-01T00:00:00Z"', "", []),
        ("duration >= 0s AND state != SUCCEEDED", "state desc, executionId", [4]),
        ('endTime>"2020-01-01"', "endTime desc", [4, 3, 2, 1, 0]),
    ],
)
def test_executions_are_filtered_and_ordered(
    server: Server, listed: list[str], filter_: str, order_by: str, expected: list[int]
) -> None:
    request = {"parent": f"{PARENT}/t-listed", "filter": filter_, "order_by": order_by}
    found = [one.name for one in server.client.list_executions(request=request)]
    assert found == [listed[number] for number in expected]


@pytest.mark.parametrize(
    "request_",
    [
        *({"filter": text} for text in ("colour=red", "state", "startTime>noon")),
        {"order_by": "state up"},
        {"page_token": "x"},
    ],
)
def test_an_invalid_filter_or_order_is_refused(server: Server, request_: dict[str, str]) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        server.client.list_executions(request={"parent": f"{PARENT}/t-listed", **request_})


def test_rest_and_grpc_show_the_same_state(server: Server, listed: list[str]) -> None:
    begun = requests.post(
        f"{server.rest}/{PARENT}/t-listed/executions", json={"argument": '{"x": 7}'}, timeout=10
    ).json()
    ended = server.ended(begun["name"])
    server.kill()
    server.start()
    again = requests.get(f"{server.rest}/{begun['name']}", timeout=60).json()
    query = {"filter": "state=FAILED", "pageSize": "1", "alt": "json"}
    found = requests.get(f"{server.rest}/{PARENT}/t-listed/executions", query, timeout=60).json()

    assert (begun["state"], ended.result) == ("ACTIVE", "7")
    assert (again["state"], again["result"], again["argument"]) == ("SUCCEEDED", "7", '{"x": 7}')
    assert [one["name"] for one in found["executions"]] == [listed[-1]]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", "t-listed/executions/none", None, 404),
        ("POST", "t-none/executions", {}, 404),
        ("POST", "t-listed/executions", {"colour": "red"}, 400),
        ("POST", "t-listed/executions", {"labels": {"a": "b"}}, 501),
        ("GET", "t-listed/executions?colour=red", None, 400),
        ("GET", "t-listed/executions?filter=colour%3Dred", None, 400),
        ("GET", "t-listed", None, 501),
        ("POST", "t-listed/executions/none:cancel", {}, 404),
        ("POST", "t-listed/executions/none:exportData", {}, 501),
    ],
)
def test_an_unknown_rest_request_is_refused_with_a_message(
    server: Server, verb: str, path: str, body: Any, status: int
) -> None:
    answer = requests.request(verb, f"{server.rest}/{PARENT}/{path}", json=body, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_missing_workflow_or_execution_is_not_found(server: Server) -> None:
    with pytest.raises(exceptions.NotFound):
        server.client.create_execution(parent=f"{PARENT}/t-nothing", execution=Execution())
    with pytest.raises(exceptions.NotFound):
        server.client.get_execution(name=f"{PARENT}/t-w/executions/none")
