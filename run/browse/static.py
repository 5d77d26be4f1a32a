"""The style sheet, the script and the icon, which browsers keep for a year: a change is another URL."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from flask import Flask, Response

from run.browse.operations import HOME

_FOLDER = Path(__file__).with_name("assets")
_TYPES = {"pages.css": "text/css", "pages.js": "text/javascript", "icon.svg": "image/svg+xml"}
# The content of each, by its path.
STATIC: Mapping[str, bytes] = {f"{HOME}/static/{name}": (_FOLDER / name).read_bytes() for name in _TYPES}


def static_url(name: str) -> str:
    """Return the URL of a file, which is another one for another content."""
    path = f"{HOME}/static/{name}"
    return f"{path}?{hashlib.sha256(STATIC[path]).hexdigest()[:12]}"


def install_static(app: Flask) -> None:
    """Add the routes of these files."""
    for path, content in STATIC.items():
        name = path.rpartition("/")[2]
        app.add_url_rule(path, f"browse.{name}", _answering(content, _TYPES[name]))


def _answering(content: bytes, mimetype: str) -> Callable[[], Response]:
    return partial(_answer, content, mimetype)


def _answer(content: bytes, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
