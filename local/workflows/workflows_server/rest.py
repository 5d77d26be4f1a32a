"""The Executions API by REST, as `gcloud workflows` speaks it; anything else is 501."""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from google.cloud.workflows.executions_v1 import types
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]

from workflows_server.methods import MethodFailed, Methods

_WORKFLOW = r"projects/[^/]+/locations/[^/]+/workflows/[^/]+"
_LIST = re.compile(f"/v1/({_WORKFLOW})/executions")
_ONE = re.compile(f"/v1/({_WORKFLOW}/executions/[^/:]+)")
_CANCEL = re.compile(f"/v1/({_WORKFLOW}/executions/[^/:]+):cancel")
# google.rpc.Code and HTTP.
_HTTP = {"NOT_FOUND": 404, "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNIMPLEMENTED": 501}
# Parameters of all Google APIs, which change nothing here.
_IGNORED = {"alt", "prettyPrint", "$.xgafv"}


def answer(methods: Methods, verb: str, target: str, body: bytes) -> tuple[int, str]:
    """Return status and JSON body for a request."""
    parts = urlsplit(target)
    path = unquote(parts.path)
    query = {name: value for name, value in parse_qsl(parts.query) if name not in _IGNORED}
    try:
        return 200, _call(methods, verb, path, query, body)
    except MethodFailed as failure:
        return _HTTP[failure.status], _problem(failure)
    except (ParseError, ValueError) as error:
        return 400, _problem(MethodFailed("INVALID_ARGUMENT", str(error)))


def _call(methods: Methods, verb: str, path: str, query: dict[str, str], body: bytes) -> str:
    if verb == "POST" and (match := _LIST.fullmatch(path)) and not query:
        execution = types.Execution.from_json(body or b"{}")
        return _json(methods.create(types.CreateExecutionRequest(parent=match[1], execution=execution)))
    if verb == "GET" and (match := _LIST.fullmatch(path)):
        request = types.ListExecutionsRequest.from_json(json.dumps({"parent": match[1], **query}))
        return _json(methods.list(request))
    if verb == "GET" and (match := _ONE.fullmatch(path)):
        return _json(
            methods.get(types.GetExecutionRequest.from_json(json.dumps({"name": match[1], **query})))
        )
    if (
        verb == "POST"
        and (match := _CANCEL.fullmatch(path))
        and not query
        and json.loads(body or b"{}") == {}
    ):
        return _json(methods.cancel(types.CancelExecutionRequest(name=match[1])))
    raise MethodFailed("UNIMPLEMENTED", f"{verb} {path}: not supported")


def _json(message: Any) -> str:
    text: str = type(message).to_json(
        message, use_integers_for_enums=False, including_default_value_fields=False
    )
    return text


def _problem(failure: MethodFailed) -> str:
    error = {"code": _HTTP[failure.status], "message": failure.message, "status": failure.status}
    return json.dumps({"error": error})


def serve(methods: Methods, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server, to be run by `serve_forever`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Header and body are two packets: the second would wait for the client to acknowledge the first.
        disable_nagle_algorithm = True

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text = answer(methods, self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def log_message(self, *_: Any) -> None:
            return

    return ThreadingHTTPServer((host, port), Handler)
