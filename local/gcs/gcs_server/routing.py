"""Route requests to handlers; an unknown path, parameter or header is answered 501 and named."""

import json
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from gcs_server.cors import Cors
from gcs_server.errors import ApiError, BadRequest, Unsupported, json_body, xml_body
from gcs_server.partial import parse_fields, select
from gcs_server.preconditions import whole_number
from gcs_server.resources import Json
from gcs_server.wire import Disconnected, Request, Response

# The XML API cannot reach buckets of these names here; the real service has a host for each API.
_JSON_PATHS = ("/storage/", "/upload/", "/download/", "/batch/")
_EVERYWHERE = frozenset({"alt", "prettyPrint", "fields"})
_REPEATABLE = frozenset({"permissions"})
# The first names the client, the second its retries: neither changes an answer.
_HEADERS_EVERYWHERE = frozenset({"x-goog-api-client", "x-goog-gcs-idempotency-token"})
# Headers that would change the answer of the real service.
_HEADERS_REFUSED = frozenset(
    [
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "x-http-method-override",
    ]
)
_JSON_LIMIT = 4 * 1024 * 1024  # bytes; the largest body is a compose of 32 long names


@dataclass
class RoutedRequest:
    """A request with its route: the variables of its path and its parameters, decoded."""

    request: Request
    path: dict[str, str]
    values: dict[str, list[str]]
    parameters: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = {name: values[0] for name, values in self.values.items()}

    @property
    def address(self) -> str:
        """The address that the client used, for links: with a proxy in front, the proxy's."""
        return f"http://{self.request.headers.get('host', '127.0.0.1')}"

    def text(self, name: str, default: str = "") -> str:
        """Return the parameter, or the default."""
        return self.parameters.get(name, default)

    def number(self, name: str) -> int | None:
        """Return the parameter, or None. Raises BadRequest if it is not a number."""
        return whole_number(name, self.parameters[name]) if name in self.parameters else None

    def flag(self, name: str) -> bool:
        """Return whether the parameter is true. Raises BadRequest if it is neither true nor false."""
        value = self.text(name, "false").lower()
        if value not in ("true", "false"):
            raise BadRequest(f"Invalid value for {name}: '{value}'.")
        return value == "true"

    def choice(self, name: str, *allowed: str) -> str:
        """Return the parameter, or the first allowed value. Raises Unsupported for any other value."""
        value = self.text(name, allowed[0])
        if value not in allowed:
            raise Unsupported(f"{name}={value} is not served")
        return value

    def json(self) -> Json:
        """Return the body's JSON object, empty if there is no body. Raises BadRequest."""
        text = b""
        while block := self.request.body.read():
            text += block
            if len(text) > _JSON_LIMIT:
                raise BadRequest("Parse Error: the body is too long")
        return parse_json(text)

    def answer(self, value: Json, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Answer with the value as JSON, reduced to `fields`."""
        self.choice("alt", "json")
        if "fields" in self.parameters:
            value = select(value, parse_fields(self.parameters["fields"]))
        body = json.dumps(value).encode()
        return Response(200, [("Content-Type", "application/json; charset=UTF-8"), *headers], body)


def parse_json(text: bytes) -> Json:
    """Parse a JSON object, empty if there is no text. Raises BadRequest."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"Parse Error: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("Parse Error: not a JSON object")
    return value


class Route:
    """A method and a path with `{variables}` of one segment each, or `{+rest}` at the end."""

    def __init__(
        self,
        method: str,
        path: str,
        handler: Callable[[RoutedRequest], Response],
        parameters: Iterable[str] = (),
        headers: Iterable[str] = (),
    ) -> None:
        pattern = re.sub(r"\{\+(\w+)\}", r"(?P<\1>.+)", re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
        self.method = method
        self.match = re.compile(pattern).fullmatch
        self.handler = handler
        self.parameters = frozenset(parameters)
        self.headers = frozenset(headers)


class Router:
    """Answers a request by the first matching route; errors are answers, too."""

    def __init__(self, json_routes: Iterable[Route], xml_routes: Iterable[Route], cors: Cors) -> None:
        self._json_routes = list(json_routes)
        self._xml_routes = list(xml_routes)
        self._cors = cors

    def __call__(self, request: Request) -> Response:
        """Return the answer. Raises only Disconnected: then there is no client to answer."""
        as_json = request.path.startswith(_JSON_PATHS)
        response = self._response(request, as_json)
        if not as_json:
            response.headers += self._cors.headers(request)
        return response

    def _response(self, request: Request, as_json: bool) -> Response:
        try:
            return self._answer(request, as_json)
        except ApiError as error:
            return _error_response(error, as_json)
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001  a fault here must reach the client as an answer
            traceback.print_exc(file=sys.stderr)
            return _error_response(ApiError(f"{type(error).__name__}: {error}"), as_json)

    def _answer(self, request: Request, as_json: bool) -> Response:
        _check_refused_headers(request)
        for route in self._json_routes if as_json else self._xml_routes:
            if route.method == request.method and (match := route.match(request.path)):
                everywhere = _EVERYWHERE if as_json else frozenset()
                values = _parameters(request.query, route.parameters | everywhere)
                _check_headers(request, route)
                return route.handler(RoutedRequest(request, _decoded(match.groupdict()), values))
        raise Unsupported(f"not served: {request.method} {request.path}")


def _decoded(path: dict[str, str]) -> dict[str, str]:
    try:
        return {name: unquote(value, errors="strict") for name, value in path.items()}
    except UnicodeDecodeError as error:
        raise BadRequest("Object names must be UTF-8.") from error


def _parameters(query: str, known: frozenset[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    if not query:
        return values
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise BadRequest("Parameters must be UTF-8.") from error
    for name, value in pairs:
        if name not in known:
            raise Unsupported(f"query parameter not served: {name}")
        if name in values and name not in _REPEATABLE:
            raise BadRequest(f"Parameter given twice: {name}")
        values.setdefault(name, []).append(value)
    return values


def _check_refused_headers(request: Request) -> None:
    for name in _HEADERS_REFUSED & request.headers.keys():
        raise Unsupported(f"header not served: {name}")


def _check_headers(request: Request, route: Route) -> None:
    for name in request.headers:
        if not name.startswith("x-goog-") or name in _HEADERS_EVERYWHERE or name in route.headers:
            continue
        if not (name.startswith("x-goog-meta-") and "x-goog-meta-" in route.headers):
            raise Unsupported(f"header not served: {name}")


def _error_response(error: ApiError, as_json: bool) -> Response:
    kind = "application/json; charset=UTF-8" if as_json else "application/xml; charset=UTF-8"
    body = json_body(error) if as_json else xml_body(error)
    return Response(error.status, [("Content-Type", kind), *error.headers()], body)
