"""Errors as pages, which say what is wrong and what to do next."""

import json

from flask import Response

from run.browse.rendering import POLICY, error_html

_ADVICE = {
    400: "Correct the address, or begin again with the list.",
    401: "Only those who have signed in may do this, or only members of certain groups: sign in above, or use"
    " a token with the command line or the API.",
    403: "Ask the person who sent you here which group may do this, and the operator how to become a member.",
    404: "Check the address. Of what only members of a group may see, others see the same.",
    410: "It was removed for good, and can't be had any more.",
    429: "You have asked for very much in a short time. Wait a moment, and load the page again.",
    503: "Load the page again in a moment.",
}
_OTHER_ADVICE = "Load the page again in a moment. If that does not help, tell the operator."


def form_error(path: str, response: Response) -> None:
    """Turn a problem into a page."""
    del path
    problem = json.loads(response.get_data() or "{}")
    title = str(problem.get("title", ""))
    if "request_id" in problem:
        title = f"{title}: {problem['request_id']}"
    status = response.status_code
    response.set_data(error_html(status, title, _ADVICE.get(status, _OTHER_ADVICE)))
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.headers["Content-Security-Policy"] = POLICY
