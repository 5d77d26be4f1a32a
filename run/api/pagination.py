"""Pages: 206 with a `Link` to the next page, 200 for the last one."""

from flask import Response

from run.api.json_text import json_text


def page(body: object, *, content_key: str, next_url: str | None) -> Response:
    """Return an answer with one page; `next_url` is the absolute URL of the next page, None on the last."""
    response = Response(json_text(body), 206 if next_url else 200, mimetype="application/json")
    response.headers["X-OpenAPI-Pagination"] = "true" if next_url else "false"
    response.headers["X-OpenAPI-Paginated-Content-Key"] = content_key
    if next_url:
        response.headers["Link"] = f'<{next_url}>; rel="next"'
    return response


def answer(body: object, status: int = 200) -> Response:
    """Return an answer with a JSON body."""
    return Response(json_text(body), status, mimetype="application/json")
