"""CORS of buckets: what scripts of pages may send to the XML API, and read of its answers.

As in Google Cloud Storage, the first rule of the bucket for the origin and the method counts, and a request
that no rule allows is answered as ever, without headers for the browser.
https://cloud.google.com/storage/docs/cross-origin
"""

from urllib.parse import unquote

from gcs_server.buckets import Buckets
from gcs_server.errors import BucketNotFound
from gcs_server.resources import Json
from gcs_server.wire import Request

_ANY = "*"
Headers = list[tuple[str, str]]


class Cors:
    """The rules of all buckets."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def headers(self, request: Request) -> Headers:
        """Return the headers to add to the answer to a request of the XML API."""
        origin = request.headers.get("origin")
        if origin is None:
            return []
        asked = request.headers.get("access-control-request-method")
        is_preflight = request.method == "OPTIONS" and asked is not None
        rule = self._rule(request.path, origin, asked if is_preflight and asked else request.method)
        if rule is None:
            return []
        if is_preflight:
            return _preflight(rule, origin, request.headers.get("access-control-request-headers", ""))
        exposed = ", ".join(rule.get("responseHeader", []))
        return [*_allowed(rule, origin), *([("Access-Control-Expose-Headers", exposed)] if exposed else [])]

    def _rule(self, path: str, origin: str, method: str) -> Json | None:
        try:
            bucket = self._buckets.get(unquote(path.split("/")[1]))
        except BucketNotFound:
            return None
        rules: list[Json] = bucket.attributes.get("cors", [])
        for rule in rules:
            if {origin, _ANY} & set(rule.get("origin", [])) and {method, _ANY} & set(rule.get("method", [])):
                return rule
        return None


def _allowed(rule: Json, origin: str) -> Headers:
    if _ANY in rule["origin"]:
        return [("Access-Control-Allow-Origin", _ANY)]
    return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]


def _preflight(rule: Json, origin: str, asked: str) -> Headers:
    permitted = rule.get("responseHeader", [])
    wanted = {name.strip().lower() for name in asked.split(",") if name.strip()}
    if not wanted <= {name.lower() for name in permitted}:
        return []
    return [
        *_allowed(rule, origin),
        ("Access-Control-Allow-Methods", ", ".join(rule["method"])),
        ("Access-Control-Allow-Headers", ", ".join(permitted)),
        # Google Cloud Storage: an hour, if the rule says nothing.
        ("Access-Control-Max-Age", str(rule.get("maxAgeSeconds", 3600))),
    ]
