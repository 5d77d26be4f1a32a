"""The request log: one structured line for each request, in the format of Cloud Logging."""

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from flask import Flask, Response, g, request

# Of `X-Cloud-Trace-Context` (TRACE/SPAN;o=1), and of W3C's `traceparent` (00-TRACE-SPAN-01).
_CLOUD_TRACE = re.compile(r"([0-9A-Fa-f]{1,32})(/.*)?")
_W3C_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")

_log = structlog.get_logger()


def trace_id() -> str:
    """Return the trace of the current request, as Cloud Run or its client names it; empty if nobody does."""
    return trace_of(request.environ)


def trace_of(environ: Mapping[str, Any]) -> str:
    """Return the trace of a request, from its WSGI environment."""
    for header, form in (("HTTP_X_CLOUD_TRACE_CONTEXT", _CLOUD_TRACE), ("HTTP_TRACEPARENT", _W3C_TRACE)):
        if match := form.fullmatch(environ.get(header, "")):
            return match[1]
    return ""


def install_request_log(app: Flask) -> None:
    """Give each request an id, return it as `X-Request-Id`, and log the request with its answer."""

    def begin() -> None:
        # Cloud Run's trace id connects our lines with its own request log.
        g.request_id = trace_id() or uuid.uuid4().hex
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
