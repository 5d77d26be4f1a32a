"""Lines of the log are JSON with Cloud Logging's own fields, of libraries too; DSS_DEBUG says how many."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.logs import configure_logging
from shared.tracing import Tracer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_has_its_trace_and_labels_in_fields_of_cloud_logging(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging()
    caller = f"00-{TRACE}-00f067aa0ba902b7-01"
    with (
        Tracer("p").work("copy", caller),
        structlog.contextvars.bound_contextvars(request_id="r", event_id="7", job="j"),
    ):
        structlog.get_logger().warning("step failed", reason="away")
        logging.getLogger("urllib3").warning("retrying %s", "it")

    ours, theirs = printed(capsys)
    assert (ours["message"], ours["severity"], ours["reason"]) == ("step failed", "WARNING", "away")
    assert (theirs["message"], theirs["severity"]) == ("retrying it", "WARNING")
    for line in (ours, theirs):
        assert line["logging.googleapis.com/trace"] == f"projects/p/traces/{TRACE}"
        assert line["logging.googleapis.com/labels"] == {"request_id": "r", "event_id": "7", "job_id": "j"}


@pytest.mark.parametrize(
    ("debug", "ours", "theirs"),
    [(0, {"info"}, set()), (1, {"info", "debug"}, {"info"}), (2, {"info", "debug"}, {"info", "debug"})],
)
def test_debug_says_how_much_we_and_libraries_log(
    debug: int, ours: set[str], theirs: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # Twice: a handler more would double the lines.
    configure_logging(debug)
    configure_logging(debug)
    for log, name in ((structlog.get_logger(), "we"), (logging.getLogger("botocore"), "they")):
        log.debug(f"{name} debug")
        log.info(f"{name} info")

    lines = sorted(line["message"] for line in printed(capsys))
    assert lines == sorted([*(f"we {level}" for level in ours), *(f"they {level}" for level in theirs)])


def test_an_error_of_a_library_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    try:
        raise OSError("away")
    except OSError:
        logging.getLogger("flask").exception("unforeseen")

    [line] = printed(capsys)
    assert line["severity"] == "ERROR"
    assert "OSError: away" in line["exception"]
