"""Which request goes where, and what each may say: everything else is refused, by name."""

import json
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from gcs_server.errors import BadRequest, NotServed, Refused, json_body, xml_body
from gcs_server.partial import parse_fields, select
from gcs_server.preconditions import whole_number
from gcs_server.resources import Json
from gcs_server.wire import Disconnected, Request, Response

# No bucket is reached under these names by the XML API; the real service tells the two by host.
_JSON_PATHS = ("/storage/", "/upload/", "/download/", "/batch/")
_EVERYWHERE = frozenset({"alt", "prettyPrint", "fields"})
_REPEATABLE = frozenset({"permissions"})
# The first says which client sends, the second makes retries of it recognisable: neither changes an answer.
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
class Call:
    """A request that found its route: the variables of its path, its parameters, decoded."""

    request: Request
    path: dict[str, str]
    values: dict[str, list[str]]
    parameters: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = {name: values[0] for name, values in self.values.items()}

    def text(self, name: str, default: str = "") -> str:
        """The parameter, or the default."""
        return self.parameters.get(name, default)

    def number(self, name: str) -> int | None:
        """The parameter, or None; raises BadRequest if it is no number."""
        return whole_number(name, self.parameters[name]) if name in self.parameters else None

    def flag(self, name: str) -> bool:
        """Whether the parameter is true; raises BadRequest if it is neither that nor false."""
        value = self.text(name, "false").lower()
        if value not in ("true", "false"):
            raise BadRequest(f"Invalid value for {name}: '{value}'.")
        return value == "true"

    def choice(self, name: str, *allowed: str) -> str:
        """The parameter, or the first allowed value; raises NotServed for another than those allowed."""
        value = self.text(name, allowed[0])
        if value not in allowed:
            raise NotServed(f"{name}={value} is not served")
        return value

    def json(self) -> Json:
        """The body's JSON object, empty if there is no body; raises BadRequest for anything else."""
        text = b""
        while block := self.request.body.read():
            text += block
            if len(text) > _JSON_LIMIT:
                raise BadRequest("Parse Error: the body is too long")
        return parse_json(text)

    def answer(self, value: Json, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """The value as JSON, cut down to `fields`."""
        self.choice("alt", "json")
        if "fields" in self.parameters:
            value = select(value, parse_fields(self.parameters["fields"]))
        body = json.dumps(value).encode()
        return Response(200, [("Content-Type", "application/json; charset=UTF-8"), *headers], body)


def parse_json(text: bytes) -> Json:
    """The JSON object, empty if there is no text; raises BadRequest for anything else."""
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
    """A method and a path with `{variables}`, of one segment each, or, at the end, `{+rest}`."""

    def __init__(
        self,
        method: str,
        path: str,
        handler: Callable[[Call], Response],
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
    """Answers a request by the first of its routes that fits; whatever goes wrong is an answer, too."""

    def __init__(self, json_routes: Iterable[Route], xml_routes: Iterable[Route]) -> None:
        self._json_routes = list(json_routes)
        self._xml_routes = list(xml_routes)

    def __call__(self, request: Request) -> Response:
        """The answer; only Disconnected is raised, when there is nobody left to answer."""
        as_json = request.path.startswith(_JSON_PATHS)
        try:
            return self._answer(request, as_json)
        except Refused as error:
            return _refusal(error, as_json)
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001  a fault here must reach the client as an answer
            traceback.print_exc(file=sys.stderr)
            return _refusal(Refused(f"{type(error).__name__}: {error}"), as_json)

    def _answer(self, request: Request, as_json: bool) -> Response:
        _check_refused_headers(request)
        for route in self._json_routes if as_json else self._xml_routes:
            if route.method == request.method and (match := route.match(request.path)):
                everywhere = _EVERYWHERE if as_json else frozenset()
                values = _parameters(request.query, route.parameters | everywhere)
                _check_headers(request, route)
                return route.handler(Call(request, _decoded(match.groupdict()), values))
        raise NotServed(f"not served: {request.method} {request.path}")


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
            raise NotServed(f"query parameter not served: {name}")
        if name in values and name not in _REPEATABLE:
            raise BadRequest(f"Parameter given twice: {name}")
        values.setdefault(name, []).append(value)
    return values


def _check_refused_headers(request: Request) -> None:
    for name in _HEADERS_REFUSED & request.headers.keys():
        raise NotServed(f"header not served: {name}")


def _check_headers(request: Request, route: Route) -> None:
    for name in request.headers:
        if not name.startswith("x-goog-") or name in _HEADERS_EVERYWHERE or name in route.headers:
            continue
        if not (name.startswith("x-goog-meta-") and "x-goog-meta-" in route.headers):
            raise NotServed(f"header not served: {name}")


def _refusal(error: Refused, as_json: bool) -> Response:
    kind = "application/json; charset=UTF-8" if as_json else "application/xml; charset=UTF-8"
    body = json_body(error) if as_json else xml_body(error)
    return Response(error.status, [("Content-Type", kind), *error.headers()], body)
