"""Headers that tell browsers, and caches, what they must not do with answers."""

import base64
import hashlib
from collections.abc import Callable

from flask import Flask, Response, request

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Seconds: a year, as browsers expect of it.
_SECURE = {"Strict-Transport-Security": "max-age=31536000"}


def page_policy(script: str) -> str:
    """Return the Content-Security-Policy of a page with this inline script and assets of this server."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def install_headers(app: Flask, has_operations: Callable[[str], bool], public_url: str) -> None:
    """Add the headers to all answers that do not have their own; `has_operations` is asked about paths.

    A deployment that is known by https only (`public_url`) is asked by nothing else from then on.
    """
    headers = _HEADERS | (_SECURE if public_url.startswith("https://") else {})

    def add(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        # Answers of the API may be private, or have signed URLs.
        if has_operations(request.path):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    app.after_request(add)
