"""An audit of a system that is too large for memory; made of generators, not of clouds."""

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from shared.catalog import FileRecord
from shared.checksums import MIB, Checksums
from shared.clock import SystemClock
from shared.errors import ObjectNotFound, Unavailable
from shared.identifiers import Fqid
from shared.maintenance.audit import Finding, Problem, Tally, audit
from shared.maintenance.repair import repair
from shared.manifests import encode, file_manifest
from shared.replicas import Replica, Replicas
from shared.stores.base import StoredObject

COUNT = 4_000
# Every so many-th manifest is lost.
LOST = 1000
VERSION = "2026-01-01T000000.000000Z"
SETTINGS = SimpleNamespace(upload_seconds=1)
NO_PURGES = SimpleNamespace(scan=lambda *_: iter(()))


def record(number: int) -> FileRecord:
    """Return the file of a number; all have one order, by UUID and by SHA-256."""
    return FileRecord(
        fqid=Fqid(f"{number:08x}-0000-4000-8000-000000000000", VERSION),
        creator_uid=1,
        content_type="text/plain",
        size=1,
        checksums=Checksums(
            sha256=f"{number:064x}", sha1=f"{number:040x}", s3_etag=f"{number:032x}", crc32c="00000000"
        ),
        available=frozenset({"gcp"}),
    )


def manifest(file: FileRecord) -> bytes:
    return encode(file_manifest(file))


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass
class EndlessStore:
    """A bucket with a manifest and a blob for each file, but for those that are lost."""

    parts_prefix = ""

    def uploads(self, bucket: str) -> Iterator[Any]:
        return iter(())

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        folders: dict[str, Callable[[FileRecord], tuple[str, int, str]]] = {
            "files/": lambda one: (f"files/{one.fqid}", len(manifest(one)), md5_of(manifest(one))),
            "blobs/": lambda one: (one.checksums.blob_key, 1, one.checksums.s3_etag),
        }
        for number in range(COUNT if prefix in folders else 0):
            if prefix == "files/" and number % LOST == 0:
                continue
            key, size, md5 = folders[prefix](record(number))
            yield StoredObject(bucket=bucket, key=key, size=size, content_type="", revision="1", md5=md5)

    def stat(self, bucket: str, key: str) -> StoredObject:
        raise ObjectNotFound(key)


def scan_of(**known: Any) -> SimpleNamespace:
    """Return the scans of a catalog that has nothing but what is `known`."""
    nothing = {
        name: lambda *_: iter(())
        for name in (
            *("files", "contents", "bundles", "tombstones", "collections", "collection_tombstones"),
            *("bindings", "groups", "events", "journals"),
        )
    }
    return SimpleNamespace(**nothing | known)


def test_memory_does_not_grow_with_what_is_audited() -> None:
    store: Any = EndlessStore()
    scan = scan_of(files=lambda *_: map(record, range(COUNT)), contents=lambda *_: map(record, range(COUNT)))
    files = SimpleNamespace(get_together=lambda fqid: record(int(fqid.uuid[:8], 16)))
    replica = Replica(name="gcp", open_store=lambda: store, bucket="bucket", checkout_bucket="")
    dss: Any = SimpleNamespace(
        settings=SETTINGS,
        clock=SystemClock(),
        replicas=Replicas(replica),
        catalog=SimpleNamespace(scan=scan, files=files, purges=NO_PURGES),
    )
    tally = Tally()
    tracemalloc.start()

    try:
        lost = sum(
            one.kind is Problem.LOST for one in audit(dss, [replica], settled_after=timedelta(0), tally=tally)
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        # Else all tests behind a failure of this one would take several times as long.
        tracemalloc.stop()

    assert lost == COUNT / LOST
    assert (tally.known, tally.unsettled.total()) == (2 * COUNT, 0)
    # One listing and one reading of the catalog, kept, take 5 MiB.
    assert peak < 2**20


def test_a_blob_that_its_store_tells_too_little_of_is_unproven_and_left() -> None:
    """As S3 does of an object that was uploaded in parts of another size than the system's."""
    size = 65 * MIB
    sums = replace(record(1).checksums, s3_etag="0" * 32 + "-2")
    file = replace(record(1), size=size, checksums=sums)
    found = StoredObject(
        bucket="bucket", key=sums.blob_key, size=size, content_type="", revision="0" * 32 + "-5"
    )
    store: Any = SimpleNamespace(
        list=lambda _, prefix, **__: iter([found] if prefix == "blobs/" else []),
        stat=lambda *_: found,
        uploads=lambda _: iter(()),
        parts_prefix="",
    )
    scan = scan_of(contents=lambda *_: iter([file]), of_content=lambda _: iter([file]))
    replica = Replica(name="gcp", open_store=lambda: store, bucket="bucket", checkout_bucket="")
    dss: Any = SimpleNamespace(
        settings=SETTINGS,
        clock=SystemClock(),
        replicas=Replicas(replica),
        catalog=SimpleNamespace(scan=scan, purges=NO_PURGES),
    )

    [finding] = audit(dss, [replica], settled_after=timedelta(0), tally=Tally())

    assert (finding.kind, finding.key) == (Problem.UNPROVEN, sums.blob_key)
    assert "neither proves nor contradicts" in repair(dss, finding).left


class HastyClock(SystemClock):
    """A clock on which waiting takes no time."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


def test_a_repair_is_tried_again_while_a_cloud_falters() -> None:
    """As transactions do that two replicas' findings are repaired by at once."""
    outcomes = iter([Unavailable("aborted"), Unavailable("aborted"), None])
    written = {}

    def create(bucket: str, key: str, data: bytes, content_type: str) -> None:
        if outcome := next(outcomes):
            raise outcome
        written[bucket, key] = (data, content_type)

    def stat(_: str, key: str) -> StoredObject:
        raise ObjectNotFound(key)

    store: Any = SimpleNamespace(create=create, stat=stat)
    replica = Replica(name="gcp", open_store=lambda: store, bucket="bucket", checkout_bucket="")
    files = SimpleNamespace(get_together=lambda _: record(1))
    dss: Any = SimpleNamespace(
        clock=HastyClock(), replicas=Replicas(replica), catalog=SimpleNamespace(files=files)
    )
    key = f"files/{record(1).fqid}"

    outcome = repair(dss, Finding(kind=Problem.LOST, section="files", replica="gcp", key=key, why=""))

    assert outcome.done == "written again, as in the catalog"
    assert written == {("bucket", key): (manifest(record(1)), "application/json")}
