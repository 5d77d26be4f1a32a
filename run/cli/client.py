"""A client of the DSS's REST interface, for the `dss` command and for notebooks::

    from run.cli.client import DssClient

    dss = DssClient("https://dss.example.org", token=token, replica="gcp")
    for bundle in dss.bundles(prefix="a2"):
        manifest = dss.bundle(bundle["uuid"], bundle["version"])
    report = dss.download(uuid, to="some/directory")

Every method raises CallFailed for an answer other than promised (its `status`, `code` and `title` are the
DSS's) and Unreachable where there is none; passing trouble is waited out first, for `patience` seconds.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import requests

from run.cli.checkouts import CheckoutCalls
from run.cli.collections import CollectionCalls
from run.cli.errors import CallFailed, Refused
from run.cli.events import EventCalls
from run.cli.stopping import StoppableClock
from run.cli.subscriptions import SubscriptionCalls
from run.cli.transport import Backoff, Call, Transport, json_of, retry_after_seconds
from shared.checksums import CHECKSUM_NAMES
from shared.clock import Deadline

if TYPE_CHECKING:
    from run.cli.reports import DownloadReport, UploadReport

_BASE_PATH = "/v1"


def _tell_nobody(line: str) -> None:
    """Drop a line of text."""
    del line


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


class DssClient(CollectionCalls, EventCalls, SubscriptionCalls, CheckoutCalls):
    """Talks to the DSS at `url` (with or without `/v1`) about one replica; safe to share among threads.

    `patience` is how many seconds one call is tried again while the DSS says 5xx or does not answer;
    `notify` is called with a line of text each time that happens.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        replica: str = "gcp",
        patience: float = 120.0,
        clock: StoppableClock | None = None,
        notify: Callable[[str], None] = _tell_nobody,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise Refused(f"{url!r} is not the URL of a DSS: https://… or http://… is wanted")
        trimmed = url.rstrip("/")
        self.url = trimmed if trimmed.endswith(_BASE_PATH) else trimmed + _BASE_PATH
        self.replica = replica
        self.token = token
        self.clock = clock or StoppableClock()
        self.transport = Transport(
            origin=self.url, token=token, patience=patience, clock=self.clock, notify=notify
        )

    def renewed(self) -> "DssClient":
        """Return a client like this one with a clock of its own, so that stopping it stops nothing else."""
        return DssClient(
            self.url,
            self.token,
            replica=self.replica,
            patience=self.transport.patience,
            clock=self.clock.renewed(),
            notify=self.transport.notify,
        )

    def _call(self, method: str, path: str, body: Any = None, **params: Any) -> Call:
        query = {"replica": self.replica, **params}
        return Call(
            method=method,
            url=f"{self.url}/{path}",
            params={name: value for name, value in query.items() if value is not None},
            body=body,
        )

    def _pages(self, call: Call, wait_seconds: float = 0.0) -> Iterator[Any]:
        while True:
            answer = self.transport.send_until_ready(call, wait_seconds)
            if answer.status_code not in (200, 206):
                raise CallFailed.of(answer)
            yield json_of(answer)
            following = answer.links.get("next", {}).get("url")
            if answer.status_code == 200 or not following:
                return
            # Only the query counts: the DSS may know itself by another host than we do.
            params = {**call.params, **dict(parse_qsl(urlsplit(following).query, keep_blank_values=True))}
            if params == call.params:
                raise CallFailed.of(answer, " (its next page is the same page)")
            call = Call(method=call.method, url=call.url, params=params, body=call.body)

    # Files

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

    # Bundles

    def bundle_pages(
        self, uuid: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield a bundle version page by page, each as `uuid`, `version`, `creator_uid` and some `files`.

        All pages are of one version, the newest one unless given, even if a newer one comes meanwhile.
        """
        call = self._call(
            "GET",
            f"bundles/{quote(uuid)}",
            version=version,
            per_page=500,
            presignedurls="true" if presigned else None,
            directurls="true" if direct else None,
        )
        first: dict[str, Any] | None = None
        # A checkout of a large bundle (direct URLs) takes its time.
        for page in self._pages(call, wait_seconds=3600.0 if direct else self.transport.patience):
            bundle: dict[str, Any] = page["bundle"]
            first = first or bundle
            if bundle["version"] != first["version"]:
                raise Refused(f"bundle {uuid} got a newer version while it was being read; start again")
            yield bundle

    def bundle(
        self, uuid: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> dict[str, Any]:
        """Return a bundle version with all its files; their `url` is signed, or in the checkout bucket."""
        pages = self.bundle_pages(uuid, version, presigned=presigned, direct=direct)
        whole = dict(next(pages))
        whole["files"] = [*whole["files"], *(file for page in pages for file in page["files"])]
        return whole

    def has_bundle(self, uuid: str, version: str) -> bool:
        """Tell whether a bundle version can be read on the replica."""
        answer = self.transport.send(
            self._call("GET", f"bundles/{quote(uuid)}", version=version, per_page=10)
        )
        if answer.status_code not in (200, 206, 404):
            raise CallFailed.of(answer)
        return answer.status_code != 404

    def bundles(self, prefix: str | None = None, *, per_page: int = 500) -> Iterator[dict[str, str]]:
        """Yield `uuid` and `version` of every bundle version that is not hidden, in order."""
        for page in self._pages(self._call("GET", "bundles/all", prefix=prefix or None, per_page=per_page)):
            yield from page["bundles"]

    def put_bundle(
        self, uuid: str, version: str, files: Sequence[Mapping[str, Any]], *, creator_uid: int = 0
    ) -> bool:
        """Make a bundle version of `files` (each `uuid`, `version`, `name`, `indexed`).

        Return True where it is new, False where it was there, the same.
        """
        body = {"files": list(files), "creator_uid": creator_uid}
        answer = self.transport.send(self._call("PUT", f"bundles/{quote(uuid)}", body, version=version))
        if answer.status_code not in (200, 201):
            raise CallFailed.of(answer)
        return answer.status_code == 201

    def patch_bundle(
        self,
        uuid: str,
        version: str,
        *,
        add: Sequence[Mapping[str, Any]] = (),
        remove: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Make a new bundle version of an old one, less the files of `remove`, plus those of `add`.

        Return the new version. Repeated, this makes another one.
        """
        body = {"add_files": list(add), "remove_files": list(remove)}
        answer = self.transport.send(self._call("PATCH", f"bundles/{quote(uuid)}", body, version=version))
        if answer.status_code != 200:
            raise CallFailed.of(answer)
        made: str = json_of(answer)["version"]
        return made

    def delete_bundle(self, uuid: str, version: str | None = None, *, reason: str) -> None:
        """Hide a bundle version, or without one the whole bundle, for ever. For admins only."""
        call = self._call("DELETE", f"bundles/{quote(uuid)}", {"reason": reason}, version=version)
        answer = self.transport.send(call)
        if answer.status_code != 200:
            raise CallFailed.of(answer)

    # Search

    def search(self, query: Mapping[str, Any], *, raw: bool = False) -> Iterator[dict[str, Any]]:
        """Yield what an Elasticsearch query finds, last UUID first, as `bundle_fqid` and `bundle_url`.

        With `raw` each has its `metadata`, too. Raises CallFailed, naming the clause, for a query that is not
        served.
        """
        output_format = "raw" if raw else "summary"
        call = self._call("POST", "search", {"es_query": query}, output_format=output_format, per_page=500)
        for page in self._pages(call):
            yield from page["results"]

    # Whole directories

    def upload(self, directory: str | Path, **options: Any) -> "UploadReport":
        """Make a directory a bundle; options and promises are those of `run.cli.upload.upload`."""
        from run.cli.upload import UploadOptions, upload

        return upload(self, Path(directory), UploadOptions(**options))

    def download(self, uuid: str, version: str | None = None, **options: Any) -> "DownloadReport":
        """Fetch a bundle's files; options and promises are those of `run.cli.download.download`."""
        from run.cli.download import DownloadOptions, download

        return download(self, uuid, version, DownloadOptions(**options))
