"""The function `copy` answers what it is not asked rightly, and says what may succeed later."""

from pathlib import Path

import functions_framework
import pytest

import functions
from functions.copy import do_step
from functions.steps import done
from shared.errors import AccessDenied, IllegalArguments, NotFound, Unavailable


@pytest.fixture(scope="module")
def client():
    source = Path(functions.__path__[0]) / "main.py"
    return functions_framework.create_app("copy", str(source), "http").test_client()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"plan"'])
def test_what_is_no_object_is_refused(client, body):
    answer = client.post("/", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "illegal_arguments")


class NoJobs:
    """A system in which reading a job raises, or finds none."""

    def __init__(self, error=None):
        self.catalog = self.jobs = self
        self._error = error

    def get(self, _):
        if self._error:
            raise self._error


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"step": "plan"},
        {"step": "dance", "job": "j", "attempt": 1},
        {"step": "plan", "job": "j", "attempt": "x"},
    ],
)
def test_what_is_missing_or_unknown_is_refused(body):
    with pytest.raises(IllegalArguments, match="step, job, attempt"):
        done(NoJobs(), body, do_step)


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("busy"), 503), (AccessDenied("no"), 422)], ids=["later", "never"]
)
def test_errors_say_whether_it_is_worth_another_try(error, status):
    body = {"step": "plan", "job": "j", "attempt": 1}
    answer = done(NoJobs(error), body, do_step)
    assert answer == ({"status": status, "code": error.code, "title": error.title}, status)


def test_a_job_that_is_not_there_is_refused():
    with pytest.raises(NotFound):
        done(NoJobs(), {"step": "plan", "job": "j", "attempt": 1}, do_step)
