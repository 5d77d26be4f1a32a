"""Errors in the predecessor's form: `Code` and `Message`, as `application/json`."""

import json

from flask import Response

from run.api.json_text import json_text

_CODES = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    410: "GoneError",
    413: "RequestEntityTooLargeError",
    429: "TooManyRequestsError",
    503: "ServiceUnavailableError",
}
_OTHER = "ChaliceViewError"


def form_error(path: str, response: Response) -> None:
    """Turn a problem into an error of this interface."""
    del path
    problem = json.loads(response.get_data() or "{}")
    message = problem.get("title", "")
    if "request_id" in problem:
        message = f"{message}: {problem['request_id']}"
    response.set_data(json_text({"Code": _CODES.get(response.status_code, _OTHER), "Message": message}))
    response.headers["Content-Type"] = "application/json"
