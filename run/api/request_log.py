"""The request log: one structured line for each request, in the format of Cloud Logging."""

import time
import uuid

import structlog
from flask import Flask, Response, g, request

_log = structlog.get_logger()


def install_request_log(app: Flask) -> None:
    """Give each request an id, return it as `X-Request-Id`, and log the request with its answer."""

    def begin() -> None:
        # Cloud Run's trace id connects our lines with its own request log.
        trace = request.headers.get("X-Cloud-Trace-Context", "").partition("/")[0]
        g.request_id = trace if trace.isalnum() else uuid.uuid4().hex
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
