"""Cross-origin requests (CORS): which pages in browsers may call the API, and which headers they see.

A notebook in a browser is such a page. Tokens are in a header that a page sets itself, never in cookies: so
no answer allows credentials, and any origin may be allowed. https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from flask import Response

from run.api.wsgi import Environ

ANY_ORIGIN = "*"
# Headers of requests that operations read, beside those that a page may always send.
_ALLOWED = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Traceparent", "X-User-Project"),
    *("If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range"),
)
# Headers of answers, beside those that a page always sees.
_EXPOSED = (
    *("Accept-Ranges", "Allow", "Content-Disposition", "Content-Range", "ETag", "Link", "Location"),
    *("Retry-After", "WWW-Authenticate", "X-Request-Id"),
    *("X-OpenAPI-Paginated-Content-Key", "X-OpenAPI-Pagination"),
    *("X-DSS-CONTENT-TYPE", "X-DSS-CRC32C", "X-DSS-CREATOR-UID", "X-DSS-S3-ETAG", "X-DSS-SHA1"),
    *("X-DSS-SHA256", "X-DSS-SIZE", "X-DSS-VERSION"),
)
_METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")
# Seconds for which a browser remembers what is allowed; Chromium's longest.
_REMEMBERED_SECONDS = 7200


class CrossOrigin:
    """What pages of other origins may do; `origins` are `https://host[:port]`, or `*` alone for all."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._any = ANY_ORIGIN in origins
        self._origins = frozenset(origins)

    def is_preflight(self, environ: Environ) -> bool:
        """Return whether a browser asks what it may send; no operation is meant."""
        return (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ORIGIN" in environ
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        )

    def preflight(self, environ: Environ) -> Response:
        """Return the answer to a preflight, without the headers that all answers get."""
        response = Response(status=204)
        if self._allows(environ):
            response.headers["Access-Control-Allow-Methods"] = ", ".join(_METHODS)
            response.headers["Access-Control-Allow-Headers"] = ", ".join(_ALLOWED)
            response.headers["Access-Control-Max-Age"] = str(_REMEMBERED_SECONDS)
        return response

    def headers(self, environ: Environ) -> list[tuple[bytes, bytes]]:
        """Return the headers to add to the answer to a request."""
        # An answer that depends on the origin must not be given to another one from a cache.
        depends = [] if self._any else [(b"vary", b"Origin")]
        if not self._allows(environ):
            return depends
        origin = ANY_ORIGIN if self._any else environ["HTTP_ORIGIN"]
        return [
            *depends,
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", ", ".join(_EXPOSED).encode()),
        ]

    def _allows(self, environ: Environ) -> bool:
        return "HTTP_ORIGIN" in environ and (self._any or environ["HTTP_ORIGIN"] in self._origins)
