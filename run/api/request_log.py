"""The request log: one structured line for each request, in the format of Cloud Logging."""

import time
import uuid

import structlog
from flask import Flask, Response, g, request

from shared.tracing import Tracer

_log = structlog.get_logger()


def trace_id() -> str:
    """Return the trace of the current request; empty if it has none."""
    trace: str = g.work.trace
    return trace


def install_request_log(app: Flask, tracer: Tracer) -> None:
    """Give each request an id, return it as `X-Request-Id`, and log the request with its answer.

    All lines that its thread logs have this id, and the request's trace, if there is one, as Cloud Logging
    wants them. The id is the trace's, if there is one. The span ends with the answer's head.
    """

    def begin() -> None:
        g.work = tracer.start(request.method, request.environ)
        # What it publishes and writes names it.
        g.work.traceparent()
        g.request_id = g.work.trace or uuid.uuid4().hex
        # The thread has served others before.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
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
        if request.url_rule:
            g.work.rename(f"{request.method} {request.url_rule.rule}")
        g.work.note(method=request.method, path=request.path, status=response.status_code)
        if response.status_code >= 500:
            g.work.fail(str(response.status_code))
        g.work.end()
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)
