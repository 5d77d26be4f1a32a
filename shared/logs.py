"""Logs: one JSON object a line, in the format of Cloud Logging."""

import logging

import structlog


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


def _severity(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # Cloud Logging's name for the level.
    event["severity"] = event.pop("level", "info").upper()
    return event
