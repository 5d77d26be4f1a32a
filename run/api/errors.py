"""Errors over HTTP: one table of statuses, one JSON shape (`application/problem+json`)."""

import json
import traceback
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from run.api.json_text import json_text
from shared import errors
from shared.errors import CatalogBroken, DssError, NotFound, TooManyRequests, Unavailable

# The nearest ancestor of an error's class counts.
STATUS: dict[type[DssError], int] = {
    errors.IllegalArguments: 400,
    errors.RequestTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.Gone: 410,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooManyRequests: 429,
    errors.Unprocessable: 422,
    errors.NotYetImplemented: 501,
    errors.Unavailable: 503,
    errors.CatalogBroken: 503,
    errors.StoreError: 502,
    errors.ObjectNotFound: 404,
    errors.AccessDenied: 403,
    errors.ObjectChanged: 422,
    DssError: 500,
}
# The contract's codes for errors of werkzeug; its own name for others.
_HTTP_CODES = {404: "not_found", 413: "illegal_arguments", 400: "illegal_arguments"}
_RETRY_SECONDS = 10
_IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
# A search reads, and a version once written never changes.
_IDEMPOTENT_POSTS = ("/search", "/files/batch")

_log = structlog.get_logger()


def status_of(error: DssError) -> int:
    """Return the HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(status: int, code: str, title: str, **more: Any) -> Response:
    """Return an error answer, in the shape that all of them have."""
    return Response(problem_body(status, code, title, **more), status, mimetype="application/problem+json")


def problem_body(status: int, code: str, title: str, **more: Any) -> str:
    """Return the JSON text of an error answer."""
    return json_text({"status": status, "code": code, "title": title, **more})


def install_error_handlers(app: Flask, *, debug: bool) -> None:
    """Answer every error of the application as a problem, with its trace in debug mode only."""

    def with_trace(response: Response) -> Response:
        if debug:
            body = {**json.loads(response.get_data()), "stacktrace": traceback.format_exc()}
            response.set_data(json_text(body))
        return response

    app.register_error_handler(DssError, lambda error: with_trace(_answer_dss_error(error)))
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, lambda error: with_trace(_answer_unexpected(error)))
    app.after_request(_add_retry_after)


def _answer_dss_error(error: DssError) -> Response:
    if status_of(error) >= 500:
        _log.warning("request failed", code=error.code, title=error.title, request_id=g.request_id)
    return problem_of(error)


def problem_of(error: DssError) -> Response:
    """Return the answer to an error, with the headers that belong to it."""
    status = status_of(error)
    state = {"replica_state": error.replica_state} if isinstance(error, NotFound) else {}
    response = problem(status, error.code, error.title, **state)
    if isinstance(error, CatalogBroken | TooManyRequests | Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    if status == 401:
        # RFC 9110: a 401 names the authentication scheme.
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _answer_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = _HTTP_CODES.get(status, error.name.lower().replace(" ", "_"))
    response = problem(status, code, f"{request.method} {request.path}: {error.name}")
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _answer_unexpected(error: Exception) -> Response:
    _log.error("unexpected error", exc_info=error, request_id=g.request_id, path=request.path)
    title = "an unexpected error; its trace is logged under this request id"
    return problem(500, "unhandled_exception", title, request_id=g.request_id)


def _add_retry_after(response: Response) -> Response:
    idempotent = request.method in _IDEMPOTENT or request.path.endswith(_IDEMPOTENT_POSTS)
    # Not 501: an operation that is not implemented will not be in ten seconds.
    if response.status_code in (500, 502, 503, 504) and idempotent:
        response.headers.setdefault("Retry-After", str(_RETRY_SECONDS))
    return response
