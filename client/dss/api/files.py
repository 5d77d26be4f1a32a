"""What a client asks of files; a part of `dss.client.Client`."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import requests

from dss.api.calls import Calls
from dss.api.transport import Backoff, retry_after_seconds
from dss.checksums import CHECKSUM_NAMES
from dss.clock import Deadline
from dss.errors import CallFailed


@dataclass(frozen=True, kw_only=True)
class FileHead:
    """What the DSS says of a file version; `size` in bytes."""

    version: str
    content_type: str
    size: int
    creator_uid: int
    checksums: Mapping[str, str]

    @classmethod
    def of(cls, response: requests.Response) -> "FileHead":
        """Return what the `X-DSS-*` headers of an answer say. Raises CallFailed where they are missing."""
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


class SignedUrl:
    """A URL that serves some content for a while, and can be had anew; shared by threads."""

    def __init__(self, url: str, renew: Callable[[], str]) -> None:
        self._url = url
        self._renew = renew
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The URL as last handed out."""
        return self._url

    def renew(self, stale: str) -> None:
        """Replace the URL, unless another thread has replaced the `stale` one already."""
        with self._lock:
            if self._url == stale:
                self._url = self._renew()


class FileCalls(Calls):
    """File versions: a UUID and a version that name bytes."""

    def head_file(self, uuid: str, version: str | None = None) -> FileHead | None:
        """Return what the replica knows of a file version (the newest, unless given); None where nothing.

        Raises CallFailed with status 422 for a file whose copy turned out to be wrong.
        """
        answer = self.transport.send(self._call("HEAD", f"files/{quote(uuid)}", version=version))
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise CallFailed.of(answer)
        return FileHead.of(answer)

    def get_file(self, uuid: str, version: str | None = None) -> tuple[FileHead, SignedUrl]:
        """Return what the replica knows of a file version, and a URL that serves its bytes."""
        head, url = self._locate(uuid, version)
        return head, self.signed_url(uuid, head.version, url)

    def signed_url(self, uuid: str, version: str, url: str) -> SignedUrl:
        """Return a URL of a file version, as one that can be renewed."""
        return SignedUrl(url, lambda: self._locate(uuid, version)[1])

    def _locate(self, uuid: str, version: str | None) -> tuple[FileHead, str]:
        call = self._call("GET", f"files/{quote(uuid)}", version=version)
        answer = self.transport.send_until_ready(call, self.transport.patience)
        if answer.status_code not in (301, 302, 303, 307) or "Location" not in answer.headers:
            raise CallFailed.of(answer)
        return FileHead.of(answer), urljoin(call.url, answer.headers["Location"])

    def put_file(self, uuid: str, version: str, source_url: str, *, creator_uid: int = 0) -> bool:
        """Make the object at `source_url` a file version; the same content again does no harm.

        Return True where it is there now, False where the DSS copies it still: see `wait_for_file`.
        """
        body = {"source_url": source_url, "creator_uid": creator_uid}
        path = f"files/{quote(uuid)}"
        # The replica follows from the source URL; the contract has no such parameter here.
        answer = self.transport.send(self._call("PUT", path, body, version=version, replica=None))
        if answer.status_code not in (200, 201, 202):
            raise CallFailed.of(answer)
        return answer.status_code != 202

    def wait_for_file(self, uuid: str, version: str, *, seconds: float) -> FileHead:
        """Return what the replica knows of a file version as soon as it is there.

        Raises CallFailed where it is not there after so many seconds, or its copy turned out to be wrong.
        """
        deadline = Deadline(self.clock, seconds)
        backoff = Backoff()
        call = self._call("HEAD", f"files/{quote(uuid)}", version=version)
        while True:
            answer = self.transport.send(call)
            if answer.status_code == 200:
                return FileHead.of(answer)
            if answer.status_code == 422:
                raise CallFailed.of(answer, " (the copy turned out to be wrong)")
            if answer.status_code != 404:
                raise CallFailed.of(answer)
            asked = retry_after_seconds(answer.headers.get("Retry-After"), self.clock.now())
            pause = max(asked or 0.0, backoff.next())
            if pause >= deadline.remaining():
                raise CallFailed.of(answer, f" (its copy is not there after {seconds:.0f} s)")
            self.clock.sleep(pause)
