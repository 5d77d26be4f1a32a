"""The request log: one structured line for each request, in the format of Cloud Logging."""

import time
import uuid

import structlog
from flask import Flask, Response, g, request

from shared.logs import trace_fields, trace_of

_log = structlog.get_logger()


def trace_id() -> str:
    """Return the trace of the current request, as Cloud Run or its client names it; empty if nobody does."""
    return trace_of(request.environ)


def install_request_log(app: Flask, project: str) -> None:
    """Give each request an id, return it as `X-Request-Id`, and log the request with its answer.

    All lines that its thread logs have the request's trace, if there is one, as Cloud Logging wants it.
    """

    def begin() -> None:
        trace = trace_id()
        g.request_id = trace or uuid.uuid4().hex
        # The thread has served others before.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**trace_fields(trace, project))
        g.began = time.monotonic()

    def end(response: Response) -> Response:
        if response.status_code == 100:
            # The server receives the body, then the request begins again; see run/api/admission.py.
            return response
        response.headers["X-Request-Id"] = g.request_id
        _log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            milliseconds=round((time.monotonic() - g.began) * 1000, 1),
            request_id=g.request_id,
        )
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)
