"""The log of requests: one structured line each, in the form that Cloud Logging reads."""

import time
import uuid

import structlog
from flask import Flask, Response, g, request

_log = structlog.get_logger()


def install_request_log(app: Flask) -> None:
    """Give every request an id, which its answer carries as `X-Request-Id`, and log it when answered."""

    def begin() -> None:
        # Cloud Run's trace id ties our lines to its own log of requests.
        trace = request.headers.get("X-Cloud-Trace-Context", "").partition("/")[0]
        g.request_id = trace if trace.isalnum() else uuid.uuid4().hex
        g.began = time.monotonic()

    def end(response: Response) -> Response:
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
