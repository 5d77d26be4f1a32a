"""Calls about files: a UUID and a version that name bytes."""

import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

import requests

from dss.api.session import Session
from dss.api.transport import Backoff, failure_of, json_of, retry_after_seconds
from dss.checksums import CHECKSUM_NAMES
from dss.clock import Deadline
from dss.errors import CallFailed

_TOO_LARGE = 413
# The DSS, or what stands before it, gave up a request after its time.
_TOO_SLOW = (503, 504)
# 404, 405 and 501 come from releases that do not know the operation.
_NOT_SERVED = (404, 405, 501, _TOO_LARGE)


@dataclass(frozen=True, kw_only=True)
class FileHead:
    """What the DSS says about a file version; `size` in bytes."""

    version: str
    content_type: str
    size: int
    creator_uid: int
    checksums: Mapping[str, str]

    @classmethod
    def of(cls, response: requests.Response) -> "FileHead":
        """Return what the `X-DSS-*` headers of an answer say. Raises CallFailed if one is missing."""
        headers = response.headers
        try:
            return cls(
                version=headers["X-DSS-VERSION"],
                content_type=headers.get("X-DSS-CONTENT-TYPE", ""),
                size=int(headers["X-DSS-SIZE"]),
                creator_uid=int(headers.get("X-DSS-CREATOR-UID", "0")),
                checksums={
                    name: headers[f"X-DSS-{name.replace('_', '-').upper()}"].lower()
                    for name in CHECKSUM_NAMES
                },
            )
        except (KeyError, ValueError) as error:
            raise CallFailed.of(response, f" (the answer lacks a usable {error})") from error


class NotServed(Exception):
    """The DSS has no request for many files (its release is older), or refuses these as too large (413)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.at_all = status != _TOO_LARGE


class SignedUrl:
    """A URL that serves a file for a while, and can be renewed; shared by threads.

    An empty `url` is asked for when it is first used: by `find`, and by `renew` if that returns none.
    """

    def __init__(self, url: str, renew: Callable[[], str], find: Callable[[], str] | None = None) -> None:
        self._url = url
        self._renew = renew
        self._find = find
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The newest URL."""
        if not self._url:
            found = self._find() if self._find else ""
            with self._lock:
                self._url = self._url or found or self._renew()
        return self._url

    def renew(self, stale: str) -> None:
        """Replace the URL, unless another thread has replaced the `stale` one already."""
        with self._lock:
            if self._url == stale:
                self._url = self._renew()


def head_file(session: Session, uuid: str, version: str | None = None) -> FileHead | None:
    """Return what the replica knows about a file version; None if it has no such file."""
    answer = session.transport.send(session.call("HEAD", f"files/{quote(uuid)}", version=version))
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise failure_of(answer)
    return FileHead.of(answer)


def get_file(session: Session, uuid: str, version: str | None) -> tuple[FileHead, SignedUrl]:
    """Return what the replica knows about a file version, and a URL that serves its bytes."""
    head, url = _locate(session, uuid, version)
    return head, signed_url(session, uuid, head.version, url)


def signed_url(
    session: Session, uuid: str, version: str, url: str, find: Callable[[], str] | None = None
) -> SignedUrl:
    """Return a file version's URL as one that can be renewed."""
    return SignedUrl(url, lambda: _locate(session, uuid, version)[1], find)


def _locate(session: Session, uuid: str, version: str | None) -> tuple[FileHead, str]:
    call = session.call("GET", f"files/{quote(uuid)}", version=version)
    answer = session.transport.send_until_ready(call, session.transport.patience)
    if answer.status_code not in (301, 302, 303, 307) or "Location" not in answer.headers:
        raise failure_of(answer)
    return FileHead.of(answer), urljoin(call.url, answer.headers["Location"])


def put_file(session: Session, uuid: str, version: str, source_url: str, *, creator_uid: int = 0) -> bool:
    """Make the object at `source_url` a file version; return False if the DSS still copies it."""
    body = {"source_url": source_url, "creator_uid": creator_uid}
    # The replica follows from the source URL; the contract has no such parameter here.
    call = session.call("PUT", f"files/{quote(uuid)}", body, version=version, replica=None)
    answer = session.transport.send(call)
    if answer.status_code not in (200, 201, 202):
        raise failure_of(answer)
    return answer.status_code != 202


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file version to create of content that is at hand; `sha256` in lower-case hex."""

    uuid: str
    version: str
    content: bytes
    content_type: str
    sha256: str

    def as_json(self, creator_uid: int) -> dict[str, Any]:
        """Return it as an item of a request."""
        return {
            "uuid": self.uuid,
            "version": self.version,
            "creator_uid": creator_uid,
            "content_type": self.content_type,
            "sha256": self.sha256,
            "content": base64.b64encode(self.content).decode(),
        }


def put_files(session: Session, new: Sequence[NewFile], *, creator_uid: int = 0) -> list[CallFailed | None]:
    """Make contents file versions in one request; return for each None, or why it is not there.

    If the DSS is too busy to finish it in time, it takes half of them at once, and half of these. Raises
    NotServed if the DSS does not take these files like this, or none at all.
    """
    body = {"files": [file.as_json(creator_uid) for file in new]}
    call = session.call("POST", "files/batch", body)
    # To repeat all of them would take as long again; what was done of them is not done again.
    answer = session.transport.send(call, final=_TOO_SLOW if len(new) > 1 else ())
    if answer.status_code in _TOO_SLOW:
        failure = failure_of(answer)
        pause = (
            retry_after_seconds(answer.headers.get("Retry-After"), session.clock.now()) or Backoff().next()
        )
        if pause >= session.transport.patience:
            raise failure
        session.transport.notify(f"{failure}; sending half as many files in {pause:.0f} s")
        session.clock.sleep(pause)
        half = len(new) // 2
        parts = (new[:half], new[half:])
        return [one for part in parts for one in put_files(session, part, creator_uid=creator_uid)]
    if answer.status_code in _NOT_SERVED:
        raise NotServed(answer.status_code)
    if answer.status_code != 200:
        raise failure_of(answer)
    rows = json_of(answer, "files")["files"]
    if [(row.get("uuid"), row.get("version")) for row in rows] != [(one.uuid, one.version) for one in new]:
        raise CallFailed.of(answer, " (the answer is about other files)")
    return [_failure(call.url, row) for row in rows]


def _failure(url: str, row: Mapping[str, Any]) -> CallFailed | None:
    status = int(row["status"])
    if status in (200, 201):
        return None
    code, title = str(row.get("code", "error")), str(row.get("title", "no details given"))
    return CallFailed(method="POST", url=url, status=status, code=code, title=title)


def wait_for_file(session: Session, uuid: str, version: str, *, seconds: float) -> FileHead:
    """Return what the replica knows about a file version as soon as it has it.

    Raises CallFailed if it does not have it after so many seconds, or if its copy is wrong.
    """
    deadline = Deadline(session.clock, seconds)
    backoff = Backoff()
    call = session.call("HEAD", f"files/{quote(uuid)}", version=version)
    while True:
        answer = session.transport.send(call)
        if answer.status_code == 200:
            return FileHead.of(answer)
        if answer.status_code == 422:
            raise CallFailed.of(answer, " (the copy turned out to be wrong)")
        if answer.status_code != 404:
            raise failure_of(answer)
        asked = retry_after_seconds(answer.headers.get("Retry-After"), session.clock.now())
        pause = max(asked or 0.0, backoff.next())
        if pause >= deadline.remaining():
            raise CallFailed.of(answer, f" (its copy is not there after {seconds:.0f} s)")
        session.clock.sleep(pause)
