"""Pages: 206 with a `Link` to the next while there is more, 200 on the last."""

from flask import Response, json


def page(body: object, *, content_key: str, next_url: str | None) -> Response:
    """Return an answer that holds one page; `next_url`, absolute, leads to the next unless it is the last."""
    response = Response(json.dumps(body), 206 if next_url else 200, mimetype="application/json")
    response.headers["X-OpenAPI-Pagination"] = "true" if next_url else "false"
    response.headers["X-OpenAPI-Paginated-Content-Key"] = content_key
    if next_url:
        response.headers["Link"] = f'<{next_url}>; rel="next"'
    return response


def answer(body: object, status: int = 200) -> Response:
    """Return an answer that is a JSON document."""
    return Response(json.dumps(body), status, mimetype="application/json")
