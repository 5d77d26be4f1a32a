"""Runs a WSGI application in a thread for `run/api/gateway.py`: its environment, and its answers in parts."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from shared.deadlines import deadline

# Bytes of a long answer that are in memory at once.
_PART = 256 * 1024

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


@dataclass
class Answer:
    """An answer, or one part of it; `rest` yields the others, and is None for the last part."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    rest: Iterator[bytes] | None = None
    close: Callable[[], None] | None = None


def environ_of(scope: Mapping[str, Any]) -> Environ:
    """Return the WSGI environment of a request without its body (PEP 3333)."""
    server = scope.get("server") or ("localhost", 80)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        # `X_Forwarded_For` must not become the variable of `X-Forwarded-For`.
        if b"_" in raw_name:
            continue
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        # RFC 9113, 8.2.3: cookies may come in several fields.
        separator = "; " if name == "COOKIE" else ","
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    return environ


def has_body(environ: Environ) -> bool:
    """Return whether the client announces a body."""
    return "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH", "0") != "0"


def with_body(environ: Environ, body: bytes) -> Environ:
    """Return the environment of a request with its whole body."""
    result = {
        **environ,
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": str(len(body)),
    }
    result.pop("HTTP_TRANSFER_ENCODING", None)
    return result


def respond(application: Application, environ: Environ, ends: float | None = None) -> Answer:
    """Call the application; return its whole answer, or the first part of a long one.

    Calls to back ends end at `ends`, a moment of `time.monotonic()`.
    """
    answer = Answer(status=500, headers=[])

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        answer.status = int(status.partition(" ")[0])
        answer.headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    with deadline(ends):
        body = application(environ, start_response)
        answer.rest, answer.close = iter(body), getattr(body, "close", None)
        return _part(answer)


def next_part(answer: Answer, ends: float) -> Answer:
    """Return the next part of an answer. The application's iterator is closed after the last, or an error."""
    with deadline(ends):
        return _part(answer)


def _part(answer: Answer) -> Answer:
    assert answer.rest is not None
    part = bytearray()
    try:
        for chunk in answer.rest:
            part += chunk
            if len(part) >= _PART:
                return Answer(answer.status, answer.headers, bytes(part), answer.rest, answer.close)
    except BaseException:
        _close(answer)
        raise
    _close(answer)
    return Answer(answer.status, answer.headers, bytes(part))


def _close(answer: Answer) -> None:
    if answer.close:
        answer.close()
    answer.close = None
