"""The objects of checkouts: copies of blobs, under names for people, in a checkout bucket or in a user's own.

Those of a bundle are at `bundles/{uuid}.{version}/{name}`; that of a single file is at its blob's key, so
that all files with this content share one copy. In the checkout bucket what proves wrong is replaced; in a
bucket of somebody else's nothing is ever removed.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.catalog import CheckoutOrder, CopyOrder, FileRecord, PagedFile
from shared.catalog.bundles import PAGE_FILES
from shared.checksums import Checksums
from shared.clock import Deadline
from shared.config import Settings
from shared.copying.blobs import check_proof, prove
from shared.copying.large import copy_source, request_copy
from shared.errors import (
    CopyTakesLonger,
    InvalidChecksum,
    NotFound,
    ObjectChanged,
    ObjectNotFound,
    StoreError,
)
from shared.identifiers import Fqid, Kind, manifest_key
from shared.replicas import Replica
from shared.stores.base import ObjectStore, StoredObject, bucket_url
from shared.system import Dss

# Seconds that the copy of one file may take within a call.
_FILE_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A copy that is to be there: content of a replica, a bucket of the same store, and a key."""

    replica: Replica
    bucket: str
    key: str
    size: int
    content_type: str
    checksums: Checksums

    @property
    def store(self) -> ObjectStore:
        """The store that has the content, and is to have the copy."""
        return self.replica.store

    @property
    def is_cached(self) -> bool:
        """Whether it goes into the checkout bucket, and not into one of somebody else's."""
        return self.bucket == self.replica.checkout_bucket

    @property
    def url(self) -> str:
        """The `gs://` or `s3://` URL of the copy."""
        return bucket_url(self.store, self.bucket, self.key)

    def proves_right(self, found: StoredObject) -> bool:
        """Tell whether what the store says of an object proves it to be this copy."""
        try:
            check_proof(found, self.size, self.checksums)
        except InvalidChecksum:
            return False
        return True

    def is_kept(self, settings: Settings) -> bool:
        """Tell whether it stays: by the cache criteria, or because the bucket is somebody else's."""
        content_type = self.content_type.partition(";")[0].strip().lower()
        return not self.is_cached or any(
            content_type == criterion.type.lower() and self.size <= criterion.max_size
            for criterion in settings.checkout_cache_criteria
        )

    def is_current(self, found: StoredObject, dss: Dss) -> bool:
        """Tell whether an object that was found can be handed out: it is this copy, and its days go on.

        It then has at least DSS_BLOB_TTL_DAYS less DSS_BLOB_PUBLIC_TTL_DAYS before it.
        """
        if not self.proves_right(found):
            return False
        if not self.is_cached or (found.last_used is None and self.is_kept(dss.settings)):
            return True
        used = found.last_used or found.written
        return used is not None and dss.clock.now() < used + timedelta(days=dss.settings.checkout_public_days)


def bundle_prefix(fqid: Fqid) -> str:
    """Return what the keys of a bundle's checkout begin with, without the slash."""
    return manifest_key(Kind.BUNDLE, fqid)


def wanted_of_bundle(replica: Replica, bucket: str, fqid: Fqid, files: Sequence[PagedFile]) -> list[Wanted]:
    """Return the copies of these files of a bundle, in their order, which is that of the keys."""
    return [
        Wanted(
            replica=replica,
            bucket=bucket,
            key=f"{bundle_prefix(fqid)}/{file.name}",
            size=file.size,
            content_type=file.content_type,
            checksums=Checksums(sha256=file.sha256, sha1=file.sha1, s3_etag=file.s3_etag, crc32c=file.crc32c),
        )
        for file in files
    ]


def wanted_of_file(replica: Replica, bucket: str, record: FileRecord) -> Wanted:
    """Return the copy of a single file."""
    return Wanted(
        replica=replica,
        bucket=bucket,
        key=record.checksums.blob_key,
        size=record.size,
        content_type=record.content_type,
        checksums=record.checksums,
    )


class Content:
    """What an order is about, as it can be read now, in pages of PAGE_FILES files.

    Raises NotFound where the version is not on the replica, or is hidden.
    """

    def __init__(self, dss: Dss, order: CheckoutOrder) -> None:
        self._dss = dss
        self._order = order
        self._replica = dss.replicas.named(order.replica)
        found = (
            dss.catalog.bundles.head(order.fqid)
            if order.kind is Kind.BUNDLE
            else dss.catalog.files.get(order.fqid)
        )
        if found is None or order.replica not in found.available or getattr(found, "hidden", False):
            raise NotFound(f"replica {order.replica} has no {order.kind[:-1]} {order.fqid}, or not any more")
        self._found = found
        self.files: int = 1 if isinstance(found, FileRecord) else found.file_count
        self.pages = -(-self.files // PAGE_FILES)

    @property
    def location(self) -> str:
        """The `gs://` or `s3://` URL of the copy, or of the place where all of them are."""
        if isinstance(self._found, FileRecord):
            return self.page(0)[0].url
        return bucket_url(self._replica.store, self._order.bucket, bundle_prefix(self._order.fqid))

    def page(self, number: int) -> list[Wanted]:
        """Return the copies of a page, in one read at most."""
        if isinstance(self._found, FileRecord):
            return [wanted_of_file(self._replica, self._order.bucket, self._found)]
        files = self._dss.catalog.bundles.files(self._found, number * PAGE_FILES, PAGE_FILES)
        return wanted_of_bundle(self._replica, self._order.bucket, self._order.fqid, files)


def look(wanted: Sequence[Wanted]) -> Mapping[str, StoredObject]:
    """Return what is at the keys of these copies, which lie in one bucket, in order; a thousand a request."""
    if not wanted:
        return {}
    first, last = wanted[0], wanted[-1]
    if first is last:
        with contextlib.suppress(ObjectNotFound):
            return {first.key: first.store.stat(first.bucket, first.key)}
        return {}
    found = {}
    folder = first.key.split("/", 2)
    for one in first.store.list(first.bucket, "/".join(folder[:2]) + "/", after=_just_before(first.key)):
        if one.key.encode() > last.key.encode():
            break
        found[one.key] = one
    return found


def _just_before(key: str) -> str:
    """Return a text that sorts before a key, with few keys between the two."""
    last = ord(key[-1]) - 1
    # No text holds what UTF-16 keeps for halves of characters.
    return f"{key[:-1]}{chr(0xD7FF if 0xD800 <= last <= 0xDFFF else last)}~"


def put_copy(dss: Dss, wanted: Wanted, found: StoredObject | None) -> str | None:
    """Make sure that a copy is there; return the id of the copy job that makes it where that takes longer.

    `found` is what is at its key now. Safe to repeat, and to run twice at once. Raises ObjectChanged where
    the content is gone or is not what it should be, StoreError where somebody else's object is in the way,
    and what the store raises.
    """
    if found and wanted.is_current(found, dss):
        return None
    last_used = None if wanted.is_kept(dss.settings) else dss.clock.now()
    inline = wanted.size <= dss.settings.inline_copy_bytes
    if found and wanted.proves_right(found):
        try:
            wanted.store.renew(wanted.store.stat(found.bucket, found.key), last_used)
            return None
        except CopyTakesLonger:
            inline = False
        except (ObjectChanged, ObjectNotFound):
            # Its days were over just now.
            pass
    elif found:
        _make_way(wanted)
    source = _source(wanted)
    if inline:
        deadline = Deadline(dss.clock, _FILE_SECONDS)
        with contextlib.suppress(CopyTakesLonger):
            wanted.store.copy(
                source,
                wanted.bucket,
                wanted.key,
                checksums=wanted.checksums,
                deadline=deadline,
                last_used=last_used,
            )
            return None
    return request_copy(dss, _order(source, wanted, last_used)).id


def _source(wanted: Wanted) -> StoredObject:
    replica = wanted.replica
    try:
        source = wanted.store.stat(replica.bucket, wanted.checksums.blob_key)
    except ObjectNotFound as error:
        raise ObjectChanged(
            f"{wanted.key}: replica {replica.name} has lost its content, {wanted.checksums.blob_key}"
        ) from error
    return replace(source, content_type=wanted.content_type)


def _make_way(wanted: Wanted) -> None:
    if not wanted.is_cached:
        raise StoreError(f"{wanted.url}: another object is in the way, which is not ours to remove")
    wanted.store.delete(wanted.bucket, wanted.key)


def _order(source: StoredObject, wanted: Wanted, last_used: datetime | None) -> CopyOrder:
    return CopyOrder(
        source=copy_source(source, wanted.replica),
        replica=wanted.replica.name,
        bucket=wanted.bucket,
        key=wanted.key,
        checksums=wanted.checksums,
        last_used=last_used,
    )


def cache_file(dss: Dss, replica_name: str, record: FileRecord) -> str | None:
    """Put a file into a replica's checkout bucket, as GET /files with `directurl` hands it out.

    Returns None where it is there, proved, when this returns, else the id of the copy job that brings it.
    Raises NotFound where the replica does not have the file, and what `put_copy` raises.
    """
    if replica_name not in record.available:
        raise NotFound(f"replica {replica_name} has no file {record.fqid}")
    replica = dss.replicas.named(replica_name)
    wanted = wanted_of_file(replica, replica.checkout_bucket, record)
    job_id = put_copy(dss, wanted, look([wanted]).get(wanted.key))
    if job_id is None:
        prove(wanted.store, wanted.bucket, wanted.key, size=wanted.size, checksums=wanted.checksums)
    return job_id
