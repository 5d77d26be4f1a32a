"""Logs: one JSON object a line, in the format of Cloud Logging."""

import logging
import re
from collections.abc import Mapping
from typing import Any

import structlog

# Cloud Logging: the lines with the same value are shown with the request that Cloud Run logs itself.
# https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
TRACE = "logging.googleapis.com/trace"
# Of `X-Cloud-Trace-Context` (TRACE/SPAN;o=1), and of W3C's `traceparent` (00-TRACE-SPAN-01).
_CLOUD_TRACE = re.compile(r"([0-9A-Fa-f]{1,32})(/.*)?")
_W3C_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


def configure_logging() -> None:
    """Write each log line of the process as one JSON object to standard output."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.EventRenamer("message"),
            structlog.processors.add_log_level,
            _severity,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        # Write a line in one piece: several processes share the output.
        logger_factory=structlog.WriteLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


def trace_of(environ: Mapping[str, Any]) -> str:
    """Return the trace of a request, from its WSGI environment; empty if nobody names one."""
    for header, form in (("HTTP_X_CLOUD_TRACE_CONTEXT", _CLOUD_TRACE), ("HTTP_TRACEPARENT", _W3C_TRACE)):
        if match := form.fullmatch(environ.get(header, "")):
            return match[1]
    return ""


def trace_fields(trace: str, project: str) -> dict[str, str]:
    """Return the field by which Cloud Logging groups the lines of a trace; none if there is no trace."""
    return {TRACE: f"projects/{project}/traces/{trace}"} if trace else {}


def _severity(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # Cloud Logging's name for the level.
    event["severity"] = event.pop("level", "info").upper()
    return event
