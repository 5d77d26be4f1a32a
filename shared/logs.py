"""Logs: one JSON object a line, in the format of Cloud Logging."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from shared.tracing import current_fields

# Cloud Logging: the lines with the same value are shown with the request that Cloud Run logs itself.
# https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
TRACE = "logging.googleapis.com/trace"
# Of `X-Cloud-Trace-Context` (TRACE/SPAN;o=1), and of W3C's `traceparent` (00-TRACE-SPAN-01).
_CLOUD_TRACE = re.compile(r"([0-9A-Fa-f]{1,32})(/.*)?")
_W3C_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


# Cloud Logging finds lines by labels without a look at their content. The names of our fields, and labels.
LABELS = "logging.googleapis.com/labels"
_LABELLED = {"request_id": "request_id", "event_id": "event_id", "job": "job_id", "run": "job_id"}
# By DSS_DEBUG: the least level of our lines, and of those of libraries.
_LEVELS = ((logging.INFO, logging.WARNING), (logging.DEBUG, logging.INFO), (logging.DEBUG, logging.DEBUG))


def configure_logging(debug: int = 0) -> None:
    """Write each log line of the process as one JSON object to standard output, those of libraries too.

    `debug` is DSS_DEBUG: 0, 1 or 2.
    """
    ours, theirs = _LEVELS[debug]
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _trace,
        _labels,
        structlog.processors.EventRenamer("message"),
        structlog.processors.add_log_level,
        _severity,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*processors, structlog.processors.JSONRenderer()],
        # Write a line in one piece: several processes share the output.
        logger_factory=structlog.WriteLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(ours),
        cache_logger_on_first_use=True,
    )
    if debug:
        handler = logging.StreamHandler(sys.stdout)
        renderer = structlog.processors.JSONRenderer()
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=processors)
        )
        logging.basicConfig(handlers=[handler], level=theirs, force=True)


def trace_of(environ: Mapping[str, Any]) -> str:
    """Return the trace of a request, from its WSGI environment; empty if nobody names one."""
    for header, form in (("HTTP_X_CLOUD_TRACE_CONTEXT", _CLOUD_TRACE), ("HTTP_TRACEPARENT", _W3C_TRACE)):
        if match := form.fullmatch(environ.get(header, "")):
            return match[1]
    return ""


def trace_fields(trace: str, project: str) -> dict[str, str]:
    """Return the field by which Cloud Logging groups the lines of a trace; none if there is no trace."""
    return {TRACE: f"projects/{project}/traces/{trace}"} if trace else {}


def _trace(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {**current_fields(), **event}


def _labels(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if labels := {label: str(event[name]) for name, label in _LABELLED.items() if event.get(name)}:
        event[LABELS] = labels
    return event


def _severity(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # Cloud Logging's name for the level.
    event["severity"] = event.pop("level", "info").upper()
    return event
