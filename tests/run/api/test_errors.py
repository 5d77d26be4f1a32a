"""Errors: one shape for all, its content, and when to try again."""

import dataclasses
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from run.api.app import create_app
from shared import errors
from shared.config import Settings
from shared.errors import DssError
from shared.replicas import Replica, Replicas
from shared.system import Dss
from shared.tracing import Tracer, current_fields
from tests.support.api import PROBLEM, Api, assert_problem, new_uuid, now
from tests.support.clouds import REPLICAS

SETTINGS = Settings(
    project="p",
    gs_bucket="b",
    s3_bucket="b",
    gs_checkout_bucket="b",
    s3_checkout_bucket="b",
    oidc_issuer="http://127.0.0.1:9",
    oidc_audience=("a",),
)


class Broken:
    """A dependency whose every attribute raises one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise self.error

        return fail


def broken_application(broken: Any, **settings: Any) -> Flask:
    """Return an API all of whose dependencies are one."""
    catalog: Any = SimpleNamespace(files=broken, bundles=broken, database=broken, switches=broken)
    known = {field.name for field in dataclasses.fields(Dss)}
    parts: dict[str, Any] = dict.fromkeys(known, broken)
    parts |= {
        "settings": dataclasses.replace(SETTINGS, **settings),
        "replicas": Replicas(
            *(
                Replica(name=name, open_store=lambda: broken, bucket="b", checkout_bucket="b")
                for name in REPLICAS
            )
        ),
        "catalog": catalog,
        "tracer": Tracer("p"),
    }
    return create_app(Dss(**parts))


@cache
def shared_application(debug: bool) -> tuple[Broken, Flask]:
    """Return an API, which takes a while to make, and what it gets its errors from."""
    broken = Broken(errors.Unavailable("not set"))
    return broken, broken_application(broken, debug=debug)


def client_of_broken(error: Exception, *, debug: bool = False) -> FlaskClient:
    """Return a client of an API whose catalog raises `error`, until another error is asked for."""
    broken, application = shared_application(debug)
    broken.error = error
    return application.test_client()


PATH = f"/v1/files/{new_uuid()}?replica=gcp&version={now()}"


def test_an_unexpected_error_is_500_with_the_id_under_which_its_trace_is_logged():
    with capture_logs() as lines:
        answer = client_of_broken(ZeroDivisionError("the secret")).get(PATH)
    assert (answer.status_code, answer.content_type) == (500, PROBLEM)
    problem = answer.get_json()
    assert set(problem) == {"status", "code", "title", "request_id"}
    assert (problem["status"], problem["code"]) == (500, "unhandled_exception")
    assert "secret" not in answer.text
    assert answer.headers["Retry-After"] == "10"
    assert answer.headers["X-Request-Id"] == problem["request_id"]
    [line] = [line for line in lines if line["log_level"] == "error"]
    assert line["request_id"] == problem["request_id"]
    assert isinstance(line["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), errors.NotFound("x"), errors.Unavailable("x")])
def test_a_trace_is_shown_in_debug_mode_only(error):
    assert "stacktrace" not in client_of_broken(error).get(PATH).get_json()
    trace = client_of_broken(error, debug=True).get(PATH).get_json()["stacktrace"]
    assert trace.startswith("Traceback")
    assert type(error).__name__ in trace


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ZeroDivisionError("x"), 500),
        (errors.StoreError("x"), 502),
        (errors.Unavailable("x"), 503),
    ],
)
def test_an_answer_that_may_be_retried_says_when(method, error, status):
    answer = client_of_broken(error).open(PATH, method=method)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "10")


def test_an_answer_that_must_not_be_repeated_says_no_time():
    answer = client_of_broken(errors.NotYetImplemented("x")).get(PATH)
    assert (answer.status_code, "Retry-After" in answer.headers) == (501, False)


def all_errors(kind: type[DssError] = DssError) -> list[type[DssError]]:
    """Return a class and its subclasses in `shared.errors` that take a title alone."""
    below = [found for child in kind.__subclasses__() for found in all_errors(child)]
    own = [found for found in [kind, *below] if found.__module__ == errors.__name__]
    return [found for found in own if found.__init__ is DssError.__init__]


@pytest.mark.parametrize("kind", all_errors())
def test_every_domain_error_has_the_same_shape(kind):
    answer = client_of_broken(kind("what is wrong")).get(PATH)
    problem = answer.get_json()
    assert answer.content_type == PROBLEM
    assert {"status", "code", "title"} <= set(problem)
    assert set(problem) <= {"status", "code", "title", "replica_state"}
    assert (problem["status"], problem["code"]) == (answer.status_code, kind.code)
    assert problem["title"] == "what is wrong"
    assert 400 <= answer.status_code < 600


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/", "/v1/files", "/v1/files/", "/v1/files/a/b"])
def test_an_unknown_path_is_404(anyone, path):
    assert_problem(anyone.get(path), 404, "not_found", "GET")
    assert_problem(anyone.put(path), 404, "not_found", "PUT")


SOME_UUID = "0f1e2d3c-4b5a-4678-8796-a5b4c3d2e1f0"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", f"/v1/files/{SOME_UUID}", {"GET", "HEAD", "PUT"}),
        ("DELETE", f"/v1/files/{SOME_UUID}", {"GET", "HEAD", "PUT"}),
        ("POST", f"/v1/bundles/{SOME_UUID}", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("OPTIONS", f"/v1/bundles/{SOME_UUID}", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("TRACE", "/v1/events", {"GET", "HEAD"}),
        ("PUT", "/v1/search", {"POST"}),
        ("POST", "/", {"GET", "HEAD"}),
        ("DELETE", "/v1/swagger.json", {"GET", "HEAD"}),
    ],
)
def test_a_method_that_a_path_lacks_is_405_and_lists_those_it_has(anyone, method, path, allowed):
    answer = anyone.request(method, path)
    assert_problem(answer, 405, "method_not_allowed", method)
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) - {"OPTIONS"} == allowed


def test_every_answer_has_a_request_id(anyone):
    ids = {anyone.get(path).headers["X-Request-Id"] for path in ("/", "/nothing", "/version", "/v1/files/x")}
    assert len(ids) == 4
    traced = anyone.get("/version", headers={"X-Cloud-Trace-Context": "0af7651916cd43dd/1;o=1"})
    assert traced.headers["X-Request-Id"] == "0af7651916cd43dd"


def test_head_answers_an_error_without_a_body(anyone):
    answer = anyone.head(f"/v1/files/{new_uuid()}", replica="gcp")
    assert (answer.status_code, answer.content) == (404, b"")


def test_an_operation_without_a_handler_is_501(api):
    body = {"es_query": {}}
    answer = api.request("POST", "/v1/search", replica="gcp", json=body)
    assert answer.status_code in (200, 206, 501), answer.text
    if answer.status_code == 501:
        assert_problem(answer, 501, "not_implemented", "/v1/search")


class TestReadOnlyMode:
    """Writes are refused, and reads work."""

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "/v1/files/{uuid}", {"source_url": "gs://bucket/key", "creator_uid": 1}),
            ("POST", "/v1/files/batch", {"files": []}),
            ("PUT", "/v1/bundles/{uuid}", {"files": [], "creator_uid": 1}),
            ("PATCH", "/v1/bundles/{uuid}", {}),
            ("DELETE", "/v1/bundles/{uuid}", {"reason": "x"}),
            ("POST", "/v1/bundles/{uuid}/checkout", {}),
            ("PUT", "/v1/collections", {}),
            ("PATCH", "/v1/collections/{uuid}", {}),
            ("DELETE", "/v1/collections/{uuid}", None),
            ("PUT", "/v1/subscriptions", {}),
            ("DELETE", "/v1/subscriptions/{uuid}", None),
        ],
    )
    def test_every_write_is_503(self, read_only: Api, method, path, body):
        query = {"replica": "gcp", "version": now()}
        answer = read_only.request(method, path.format(uuid=new_uuid()), json=body, **query)
        assert (answer.status_code, answer.headers["Content-Type"]) == (503, PROBLEM)
        problem = answer.json()
        assert problem["code"] == "read_only"
        assert "ReadOnly" in problem["stacktrace"]
        assert answer.headers["Retry-After"] == "600"

    def test_sign_in_comes_first(self, read_only: Api):
        assert read_only.signed_in(None).put(f"/v1/bundles/{new_uuid()}").status_code == 401

    def test_reads_work(self, read_only: Api, file, replica):
        assert read_only.head(f"/v1/files/{file.uuid}", replica=replica).status_code == 200
        assert read_only.get(f"/v1/files/{file.uuid}", replica=replica).status_code == 302
        assert read_only.get("/v1/bundles/all", replica=replica).status_code in (200, 206)
        unknown = read_only.get(f"/v1/bundles/{new_uuid()}", replica=replica)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")

    def test_a_search_works_in_read_only_mode(self, read_only: Api):
        answer = read_only.request("POST", "/v1/search", replica="gcp", json={"es_query": {}})
        assert answer.status_code != 503


def test_what_a_request_logs_has_its_trace_as_cloud_logging_wants_it() -> None:
    seen: list[dict[str, Any]] = []
    application = broken_application(Broken(errors.Unavailable("away")))
    application.after_request(
        lambda response: (seen.append(structlog.contextvars.get_contextvars() | current_fields()), response)[
            1
        ]
    )
    client = application.test_client()

    client.get(PATH, headers={"X-Cloud-Trace-Context": f"{'ab' * 16}/17;o=1"})
    client.get(PATH)

    assert seen[0]["request_id"] == "ab" * 16
    assert [row.get("logging.googleapis.com/trace") for row in seen] == [
        f"projects/p/traces/{'ab' * 16}",
        None,
    ]
