"""Logs: one JSON object a line, in the format of Cloud Logging."""

import logging
import sys

import structlog

from shared.tracing import current_fields

# Cloud Logging: this field of a line of JSON becomes the labels of the entry, by which it finds lines without
# a look at their content. https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
LABELS = "logging.googleapis.com/labels"
# The names of our fields, and of labels.
_LABELLED = {"request_id": "request_id", "event_id": "event_id", "job": "job_id", "run": "job_id"}
# By DSS_DEBUG: the least level of our lines, and of those of libraries.
_LEVELS = ((logging.INFO, logging.WARNING), (logging.DEBUG, logging.INFO), (logging.DEBUG, logging.DEBUG))


class _Lines(logging.Handler):
    """Writes what libraries log to standard output, a line in one piece."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 # as handlers of the standard library do
            self.handleError(record)


# Added once, however often the logging is configured.
_libraries = _Lines()


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
    renderer = structlog.processors.JSONRenderer()
    _libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=processors)
    )
    root = logging.getLogger()
    root.addHandler(_libraries)
    root.setLevel(theirs)


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
