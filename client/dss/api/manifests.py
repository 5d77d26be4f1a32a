"""Calls about manifests: lists of what a question to the catalogue finds, each made by a job of the DSS.

The routes are those of Azul. The forms below `/fetch` answer 200 with JSON instead of redirects, of which one
needs a token and the next must have none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from dss.api.session import Session
from dss.api.transport import Call, failure_of, json_of, retry_after_seconds
from dss.errors import CallFailed

_MOVED, _FOUND = 301, 302
# A job that failed is answered so: to ask again would not help.
_FAILED = (500,)
Params = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ManifestState:
    """How far a manifest is: the `link` to it if it is ready, else the `token` to ask by in `pause` seconds.

    Of `files` that it is to name, `files_done` are in it; None if the DSS does not say that. `commands` has
    what to type to fetch the files, or the manifest, by shell.
    """

    link: str = ""
    token: str = ""
    pause: float = 0.0
    files: int | None = None
    files_done: int = 0
    commands: Mapping[str, str] = field(default_factory=dict)


def begin(session: Session, params: Params) -> ManifestState:
    """Start the job of a manifest, or find it. The parameters are in the body: filters may be long."""
    return _state(session, Call(method="PUT", url=_url(session), body=dict(params)))


def poll(session: Session, token: str) -> ManifestState:
    """Return how far a manifest is. Raises CallFailed: 410 if the token is too old, 500 if the job failed."""
    return _state(session, Call(method="GET", url=f"{_url(session)}/{quote(token, safe='')}"))


def _url(session: Session) -> str:
    return f"{session.root}/fetch/manifest/files"


def _state(session: Session, call: Call) -> ManifestState:
    answer = session.transport.send(call, final=_FAILED)
    if answer.status_code != 200:
        raise failure_of(answer)
    found: Mapping[str, Any] = json_of(answer, has="Location")
    location = str(found["Location"])
    if found.get("Status") == _FOUND:
        return ManifestState(link=urljoin(call.url, location), commands=dict(found.get("CommandLine") or {}))
    if found.get("Status") != _MOVED:
        raise CallFailed.of(answer, f" (with a status that is neither {_MOVED} nor {_FOUND})")
    # The token alone: the DSS may know itself by another host than we do.
    token = unquote(urlsplit(location).path.rstrip("/").rpartition("/")[2])
    asked = retry_after_seconds(str(found.get("Retry-After", "")), session.clock.now())
    progress: Mapping[str, Any] = found.get("Progress") or {}
    return ManifestState(
        token=token,
        pause=1.0 if asked is None else asked,
        files=progress.get("files"),
        files_done=progress.get("filesDone") or 0,
    )
