"""Errors in the form of DRS: `msg` and `status_code`, as `application/json`."""

import json

from flask import Response

from run.api.json_text import json_text
from shared.api_path import API_PATH


def form_error(path: str, response: Response) -> None:
    """Turn a problem into an error of DRS.

    Below v1, where clients of v1 call, it also keeps the members of v1's own errors.
    """
    problem = json.loads(response.get_data() or "{}")
    message = problem.get("title", "")
    if "request_id" in problem:
        message = f"{message}: {problem['request_id']}"
    error = {"msg": message, "status_code": response.status_code}
    response.set_data(json_text({**problem, **error} if path.startswith(API_PATH) else error))
    response.headers["Content-Type"] = "application/json"
