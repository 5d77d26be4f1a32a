"""A DSS that fails on demand, on a real socket, for tests of what the client survives.

It serves only as much of the contract as these tests need; others run against a real DSS.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dss.stopping import StoppableClock
from shared.checksums import checksums_of
from tests.support.server_threads import in_thread

VERSION = "2026-01-02T030405.000006Z"
BUNDLE = "11111111-1111-4111-8111-111111111111"


class HeldClock(StoppableClock):
    """Time passes only during `sleep`; shared by the commands of one test."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def renewed(self) -> "HeldClock":
        return self

    def now(self) -> datetime:
        from datetime import timedelta

        return super().now() + timedelta(seconds=sum(self.slept))

    def sleep(self, seconds: float) -> None:
        self.check()
        with self._lock:
            self.slept.append(seconds)


@dataclass
class Fault:
    """What happens to one request instead of its answer, or in the middle of it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    cut_after: int | None = None
    rot: bool = False
    expire: bool = False


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class FakeDss:
    """One bundle of `names`, and what is PUT; `fault` arms faults, first come first served."""

    def __init__(self) -> None:
        self.names: dict[str, bytes] = {}
        self.put_files: dict[str, str] = {}
        # Whether it takes many small files in one request, as releases of today; contents that it refuses.
        self.takes_batches = False
        self.refused: set[bytes] = set()
        self.put_bundles: list[tuple[str, str, Any]] = []
        self.seen: list[Seen] = []
        self.signature = 0
        self.page = 500
        self.copying: dict[str, list[int]] = {}
        # What answers below /index: gets the rest of the path and the parameters, returns a status and JSON.
        self.catalogue: Callable[[str, dict[str, str]], tuple[int, Any]] | None = None
        # What answers to /fetch/manifest/files, as the catalogue does.
        self.manifests: Callable[[str, dict[str, str]], tuple[int, Any]] | None = None
        self.read_delay: Callable[[], None] = lambda: None
        # Method and part of a path: what every such request gets.
        self.broken: dict[tuple[str, str], Fault] = {}
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._lock = threading.Lock()
        self.url = ""

    def fault(self, method: str, path: str, *faults: Fault) -> None:
        self._faults.setdefault((method, path), []).extend(faults)

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            waiting = self._faults.get((method, path), [])
            if waiting:
                return waiting.pop(0)
            return next((always for (m, p), always in self.broken.items() if m == method and p in path), None)

    def requests(self, method: str, prefix: str) -> list[Seen]:
        return [one for one in self.seen if one.method == method and one.path.startswith(prefix)]

    def uuid_of(self, name: str) -> str:
        return f"22222222-2222-4222-8222-{list(self.names).index(name):012d}"

    def row(self, name: str) -> dict[str, Any]:
        data = self.names[name]
        sums = checksums_of(data)
        return {
            "name": name,
            "uuid": self.uuid_of(name),
            "version": VERSION,
            "size": len(data),
            "sha256": sums.sha256,
        }

    def signed(self, name: str) -> str:
        return f"{self.url}/blob/{list(self.names).index(name)}?sig={self.signature}"

    @contextmanager
    def serving(self) -> Iterator["FakeDss"]:
        dss = self

        class Handler(_Handler):
            fake = dss

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        with in_thread(server):
            yield self


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body are two packets: the second would wait for the client to acknowledge the first.
    disable_nagle_algorithm = True
    fake: FakeDss

    def log_message(self, *_: Any) -> None:
        return

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        path = parts.path.removeprefix("/v1")
        self.fake.seen.append(Seen(self.command, path, self.query, dict(self.headers.items())))
        fault = self.fake.take_fault(self.command, path) or Fault()
        if fault.expire:
            self.fake.signature += 1
        if fault.status:
            self._answer(fault.status, fault.body, fault.headers)
            return
        kind, _, rest = path.strip("/").partition("/")
        getattr(self, f"_{self.command.lower()}_{kind}")(rest, json.loads(body or b"null"), fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 (http.server wants these names)

    def _answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        headers = {"Content-Type": "application/json", **(headers or {})}
        is_json = headers["Content-Type"] == "application/json"
        data = b"" if self.command == "HEAD" else json.dumps(body or {}).encode() if is_json else b"<p>..."
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _get_bundles(self, rest: str, body: Any, fault: Fault) -> None:
        if rest == "all":
            self._answer(200, {"bundles": [{"uuid": BUNDLE, "version": VERSION}]})
            return
        if rest != BUNDLE and not any(rest == one[0] for one in self.fake.put_bundles):
            self._answer(404, {"status": 404, "code": "not_found", "title": "no such bundle"})
            return
        start = int(self.query.get("start_at", "0"))
        count = min(self.fake.page, int(self.query.get("per_page", "500")))
        names = list(self.fake.names)[start : start + count]
        files = [self.fake.row(name) for name in names]
        if "presignedurls" in self.query:
            files = [{**row, "url": self.fake.signed(name)} for name, row in zip(names, files, strict=True)]
        bundle = {"uuid": rest, "version": VERSION, "creator_uid": 0, "files": files}
        following = start + count
        if following >= len(self.fake.names):
            self._answer(200, {"bundle": bundle})
            return
        # As behind a proxy: the DSS knows itself by another name.
        link = f'<https://dss.invalid/v1/bundles/{rest}?start_at={following}&version={VERSION}>; rel="next"'
        self._answer(206, {"bundle": bundle}, {"Link": link})

    def _get_files(self, rest: str, body: Any, fault: Fault) -> None:
        name = next(name for name in self.fake.names if self.fake.uuid_of(name) == rest)
        self._answer(302, None, {"Location": self.fake.signed(name), **_headers(self.fake.names[name])})

    def _head_files(self, rest: str, body: Any, fault: Fault) -> None:
        waiting = self.fake.copying.get(rest)
        status = waiting.pop(0) if waiting else 200 if rest in self.fake.put_files else 404
        self._answer(status, None, _headers(b"x") if status == 200 else {})

    def _put_files(self, rest: str, body: Any, fault: Fault) -> None:
        self.fake.put_files[rest] = body["source_url"]
        self._answer(202 if rest in self.fake.copying else 201, {"version": self.query["version"]})

    def _post_files(self, rest: str, body: Any, fault: Fault) -> None:
        if not self.fake.takes_batches:
            self._answer(405, {"status": 405, "code": "method_not_allowed", "title": "an older release"})
            return
        rows = []
        for file in body["files"]:
            content = base64.b64decode(file["content"])
            assert file["sha256"] == hashlib.sha256(content).hexdigest()
            row = {"uuid": file["uuid"], "version": file["version"]}
            if content in self.fake.refused:
                rows.append({**row, "status": 409, "code": "file_already_exists", "title": "no"})
                continue
            self.fake.put_files[file["uuid"]] = file["version"]
            rows.append({**row, "status": 201})
        self._answer(200, {"files": rows})

    def _put_bundles(self, rest: str, body: Any, fault: Fault) -> None:
        missing = [file["name"] for file in body["files"] if file["uuid"] not in self.fake.put_files]
        if missing:
            self._answer(400, {"status": 400, "code": "file_missing", "title": str(missing)})
            return
        self.fake.put_bundles.append((rest, self.query["version"], body["files"]))
        self._answer(201, {"version": self.query["version"], "manifest": {}})

    def _delete_bundles(self, rest: str, body: Any, fault: Fault) -> None:
        self._answer(200, {})

    def _get_index(self, rest: str, body: Any, fault: Fault) -> None:
        if self.fake.catalogue is None:
            self._answer(404, {"status": 404, "code": "not_found", "title": "no such page"})
            return
        self._answer(*self.fake.catalogue(rest, {**self.query, **(body or {})}))

    _post_index = _get_index

    def _put_fetch(self, rest: str, body: Any, fault: Fault) -> None:
        assert self.fake.manifests, "this DSS makes no manifests"
        self._answer(*self.fake.manifests(rest.removeprefix("manifest/files").strip("/"), body or {}))

    _get_fetch = _put_fetch

    def _get_blob(self, rest: str, body: Any, fault: Fault) -> None:
        self.fake.read_delay()
        if self.query["sig"] != str(self.fake.signature):
            self._answer(403, None)
            return
        data = list(self.fake.names.values())[int(rest)]
        if fault.rot:
            data = bytes(byte ^ 1 for byte in data)
        status, headers = 200, {"Content-Length": str(len(data))}
        if "Range" in self.headers:
            first, last = (int(text) for text in self.headers["Range"].removeprefix("bytes=").split("-"))
            status, total = 206, len(data)
            data = data[first : last + 1]
            headers = {
                "Content-Length": str(len(data)),
                "Content-Range": f"bytes {first}-{first + len(data) - 1}/{total}",
            }
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: fault.cut_after])
        if fault.cut_after is not None:
            self.wfile.flush()
            self.close_connection = True


def _headers(data: bytes) -> dict[str, str]:
    sums = checksums_of(data)
    return {
        "X-DSS-VERSION": VERSION,
        "X-DSS-CONTENT-TYPE": "application/octet-stream",
        "X-DSS-SIZE": str(len(data)),
        "X-DSS-CREATOR-UID": "0",
        "X-DSS-SHA256": hashlib.sha256(data).hexdigest(),
        "X-DSS-SHA1": sums.sha1,
        "X-DSS-S3-ETAG": sums.s3_etag,
        "X-DSS-CRC32C": sums.crc32c,
    }
