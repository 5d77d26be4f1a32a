"""Sources to copy in smaller parts than usual, and the uploads that copies leave unfinished."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

from shared import checksums
from shared.checksums import MIB, Checksums, checksums_of
from shared.errors import Unavailable
from shared.replicas import Replica, Replicas
from shared.stores.base import ObjectStore, Reader, StoredObject, Upload
from shared.system import Dss
from tests.support.api import new_uuid
from tests.support.clouds import Clouds

# S3: all parts but the last have at least 5 MiB.
SMALL_PART = 5 * MIB


@contextlib.contextmanager
def parts_of_small_size() -> Iterator[None]:
    """Cut objects into parts of SMALL_PART bytes in this process, by the same rule that has 64 MiB otherwise.

    Objects of several parts cost a tenth. tests/system/test_large_copies.py copies parts of the real size.
    """
    with mock.patch.object(checksums, "_SMALLEST_PART", SMALL_PART):
        yield


def stage_source(dss: Dss, clouds: Clouds, replica: str, data: bytes) -> tuple[StoredObject, Checksums, str]:
    """Return a source object, its checksums, and a key that nothing has yet."""
    bucket, key = clouds.stage(replica, data, metadata={}).split("://")[1].split("/", 1)
    return dss.replicas.named(replica).store.stat(bucket, key), checksums_of(data), f"test/{new_uuid()}"


def distinct_bytes(size: int) -> bytes:
    """Return bytes of which each MiB is different."""
    block = os.urandom(MIB)
    return b"".join(index.to_bytes(8) + block[8:] for index in range(-(-size // MIB)))[:size]


def unfinished_uploads(clouds: Clouds, place: Replica, key: str = "") -> list[str]:
    """Return the unfinished uploads on a replica; on S3 only those to keys that begin with `key`.

    Tests that kill an uploader leave some.
    """
    if place.name == "gcp":
        return clouds.keys("gcp", "uploads/")
    found = clouds.s3.list_multipart_uploads(Bucket=place.bucket, Prefix=key)
    return [upload["UploadId"] for upload in found.get("Uploads", [])]


class WatchedStore:
    """A store that counts the parts it is given and the bytes that are read, and fails at some parts."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.parts_put: list[int] = []
        self.fails_at: int | None = None
        self.bytes_read = 0
        self.on_read: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Read from the store."""
        self.bytes_read += size
        self.on_read()
        return self._store.read(source, first, size)

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part to the store, unless it is the one that fails."""
        self.parts_put.append(number)
        if number == self.fails_at:
            raise Unavailable("made to fail")
        self._store.put_part(upload, number, data, size)


def watched(replicas: Replicas) -> Replicas:
    """Return replicas with watched stores that have counted nothing yet."""
    return Replicas(*(replace(each, open_store=partial(WatchedStore, each.store)) for each in replicas))
