"""A store in memory: the smallest possible subclass of `PlainStore`."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

from shared.errors import ObjectExists, ObjectNotFound
from shared.stores.base import Reader, StoredObject
from shared.stores.plain import Content, PlainStore
from shared.stores.signed_urls import SignedUrls


class MemoryStore(PlainStore):
    """Objects of this process."""

    scheme = "memory"

    def __init__(self, urls: SignedUrls, *buckets: str) -> None:
        super().__init__(urls)
        self._buckets: dict[str, dict[str, tuple[StoredObject, bytes]]] = {name: {} for name in buckets}
        self._lock = threading.Lock()
        self._revisions = itertools.count()

    @contextlib.contextmanager
    def translated(self, bucket: str, key: str) -> Iterator[None]:
        try:
            yield
        except KeyError as error:
            raise ObjectNotFound(f"memory://{bucket}/{key}: there is no such object") from error

    def open(self, bucket: str, key: str, first: int = 0) -> tuple[StoredObject, Reader]:
        found, data = self._buckets[bucket][key]
        reader = BytesIO(data)
        reader.seek(first)
        return found, reader

    def keys(self, bucket: str, prefix: str, after: str) -> Iterator[str]:
        known = sorted(self._buckets[bucket])
        return (key for key in known if key.startswith(prefix) and key > after)

    def write(self, bucket: str, key: str, content: Content) -> None:
        data = b"".join(content)
        found = StoredObject(
            bucket=bucket,
            key=key,
            size=len(data),
            content_type=content.content_type,
            revision=str(next(self._revisions)),
            written=datetime.now(UTC),
            last_used=content.last_used,
            crc32c=content.checksums.crc32c,
        )
        with self._lock:
            if key in self._buckets[bucket]:
                raise ObjectExists(f"memory://{bucket}/{key}: there is such an object")
            self._buckets[bucket][key] = found, data

    def remove(self, bucket: str, key: str) -> None:
        del self._buckets[bucket][key]

    def touch(self, found: StoredObject, content: Reader, last_used: datetime | None) -> None:
        with self._lock:
            now, data = self._buckets[found.bucket][found.key]
            used = max(last_used, now.last_used or last_used) if last_used else None
            self._buckets[found.bucket][found.key] = replace(now, last_used=used), data

    def probe(self, bucket: str) -> None:
        self._buckets[bucket]
