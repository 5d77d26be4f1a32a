"""The objects of checkouts: copies of blobs, under readable keys, in a checkout bucket or in a user's bucket.

The copies of a bundle's files are at `bundles/{uuid}.{version}/{name}`; the copy of a single file is at its
blob's key and a hash of its content type, so that all files with this content and type share it. In the
checkout bucket a damaged copy is replaced; in a user's bucket nothing is ever removed.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.access import Resource
from shared.catalog import CheckoutOrder, CopyOrder, FileRecord, PagedFile
from shared.catalog.bundles import PAGE_FILES
from shared.checksums import Checksums
from shared.clock import Deadline
from shared.config import Settings
from shared.copying.blobs import check_proof
from shared.copying.large import copy_source, request_copy
from shared.errors import (
    CheckoutFailed,
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
class CheckoutCopy:
    """A copy to be made: content of a replica, a bucket of the same store, and a key.

    `of` is the bundle or file version that is checked out.
    """

    replica: Replica
    bucket: str
    key: str
    size: int
    content_type: str
    checksums: Checksums
    of: tuple[Kind, Fqid]

    @property
    def store(self) -> ObjectStore:
        """The store of the content and of the copy."""
        return self.replica.store

    @property
    def is_cached(self) -> bool:
        """Whether it goes into the checkout bucket, not into a user's."""
        return self.bucket == self.replica.checkout_bucket

    @property
    def url(self) -> str:
        """The `gs://` or `s3://` URL of the copy."""
        return bucket_url(self.store, self.bucket, self.key)

    def is_proved_by(self, found: StoredObject) -> bool:
        """Return whether the store's description of an object proves it to be this copy."""
        try:
            check_proof(found, self.size, self.checksums)
        except InvalidChecksum:
            return False
        return True

    def is_permanent(self, settings: Settings) -> bool:
        """Return whether it never expires: by the cache criteria, or because the bucket is a user's."""
        content_type = self.content_type.partition(";")[0].strip().lower()
        return not self.is_cached or any(
            content_type == criterion.type.lower() and self.size <= criterion.max_size
            for criterion in settings.checkout_cache_criteria
        )

    def is_current(self, found: StoredObject, dss: Dss) -> bool:
        """Return whether users can be sent to an object: it is this copy, and expires late enough.

        That is in DSS_BLOB_TTL_DAYS less DSS_BLOB_PUBLIC_TTL_DAYS, or later.
        """
        if not self.is_proved_by(found):
            return False
        if not self.is_cached or (found.last_used is None and self.is_permanent(dss.settings)):
            return True
        used = found.last_used or found.written
        return used is not None and dss.clock.now() < used + timedelta(days=dss.settings.checkout_public_days)


def bundle_prefix(fqid: Fqid) -> str:
    """Return the prefix of the keys of a bundle's checkout, without the slash."""
    return manifest_key(Kind.BUNDLE, fqid)


def copies_of_bundle(
    replica: Replica, bucket: str, fqid: Fqid, files: Sequence[PagedFile]
) -> list[CheckoutCopy]:
    """Return the copies of these files of a bundle, in their order, which is that of the keys."""
    return [
        CheckoutCopy(
            replica=replica,
            bucket=bucket,
            key=f"{bundle_prefix(fqid)}/{file.name}",
            size=file.size,
            content_type=file.content_type,
            checksums=file.checksums,
            of=(Kind.BUNDLE, fqid),
        )
        for file in files
    ]


def copy_of_file(replica: Replica, bucket: str, record: FileRecord) -> CheckoutCopy:
    """Return the copy of a single file."""
    return CheckoutCopy(
        replica=replica,
        bucket=bucket,
        key=f"{record.checksums.blob_key}.{_type_name(record.content_type)}",
        size=record.size,
        content_type=record.content_type,
        checksums=record.checksums,
        of=(Kind.FILE, record.fqid),
    )


def _type_name(content_type: str) -> str:
    """Return a short name of a content type, for keys: 16 digits of its SHA-256."""
    return hashlib.sha256(content_type.encode()).hexdigest()[:16]


class CheckoutContent:
    """The present content of an order's bundle or file, in pages of PAGE_FILES files.

    Raises NotFound if the version is not on the replica, or is hidden. Raises CheckoutFailed if files of it
    were removed for good, or if it is managed and would come into the shared bucket, or has other readers
    than `asked`, those at the time when the checkout was asked for.
    """

    def __init__(self, dss: Dss, order: CheckoutOrder, asked: frozenset[str] | None = None) -> None:
        self._dss = dss
        self._order = order
        self._replica = dss.replicas.named(order.replica)
        head = (
            dss.catalog.bundles.head(order.fqid)
            if order.kind is Kind.BUNDLE
            else dss.catalog.files.get(order.fqid)
        )
        if head is None or order.replica not in head.available or getattr(head, "hidden", False):
            raise NotFound(
                f"replica {order.replica} has no {order.kind[:-1]} {order.fqid}, or it was deleted"
            )
        self._head = head
        self._check_access(asked)
        self.files: int = 1 if isinstance(head, FileRecord) else head.file_count
        self.pages = -(-self.files // PAGE_FILES)

    def _check_access(self, asked: frozenset[str] | None) -> None:
        head = self._head
        if getattr(head, "lacks_files", False):
            raise CheckoutFailed(f"files of bundle {self._order.fqid} were removed for good")
        readers = head.readers if isinstance(head, FileRecord) else head.content_readers
        # It may have been bound since the checkout was asked for.
        managed = Resource(name=str(self._order.fqid), readers=readers).is_managed
        if managed and self._order.bucket == self._replica.checkout_bucket:
            raise CheckoutFailed(f"{self._order.fqid} is managed: it is not put into the shared bucket")
        if managed and asked is not None and readers != asked:
            raise CheckoutFailed(
                f"{self._order.fqid}: who may read it has changed since the checkout was asked for; "
                "ask for it again"
            )

    @property
    def location(self) -> str:
        """The `gs://` or `s3://` URL of the copy, or of the folder of all copies."""
        if isinstance(self._head, FileRecord):
            return self.page(0)[0].url
        return bucket_url(self._replica.store, self._order.bucket, bundle_prefix(self._order.fqid))

    def page(self, number: int) -> list[CheckoutCopy]:
        """Return the copies of a page, in one read at most."""
        if isinstance(self._head, FileRecord):
            return [copy_of_file(self._replica, self._order.bucket, self._head)]
        files = self._dss.catalog.bundles.files(self._head, number * PAGE_FILES, PAGE_FILES)
        return copies_of_bundle(self._replica, self._order.bucket, self._order.fqid, files)


def find_copies(copy: Sequence[CheckoutCopy]) -> Mapping[str, StoredObject]:
    """Return the objects at the keys of these copies, by key; a request for each thousand.

    The copies have to be of one bucket, in order of their keys.
    """
    if not copy:
        return {}
    first, last = copy[0], copy[-1]
    if first is last:
        with contextlib.suppress(ObjectNotFound):
            return {first.key: first.store.stat(first.bucket, first.key)}
        return {}
    found = {}
    folder = first.key.split("/", 2)
    for stored in first.store.list(first.bucket, "/".join(folder[:2]) + "/", after=_just_before(first.key)):
        if stored.key.encode() > last.key.encode():
            break
        found[stored.key] = stored
    return found


def _just_before(key: str) -> str:
    """Return a string that sorts before a key, with few keys between the two: `a/b` -> `a/a~`."""
    last = ord(key[-1]) - 1
    # No string that is UTF-8 has the surrogates of UTF-16.
    return f"{key[:-1]}{chr(0xD7FF if 0xD800 <= last <= 0xDFFF else last)}~"


def put_copy(dss: Dss, copy: CheckoutCopy, found: StoredObject | None) -> str | None:
    """Make a copy, unless it exists; if that takes longer than a call, return the id of a job that makes it.

    `found` is the object at its key now. Safe to repeat, and to run twice at once. Raises ObjectChanged if
    the content is gone or damaged, StoreError if another object is in the way in a user's bucket, and the
    errors of the store.
    """
    if found and copy.is_current(found, dss):
        return None
    last_used = None if copy.is_permanent(dss.settings) else dss.clock.now()
    inline = copy.size <= dss.settings.inline_copy_bytes
    if found and copy.is_proved_by(found):
        try:
            copy.store.renew(copy.store.stat(found.bucket, found.key), last_used)
            return None
        except CopyTakesLonger:
            inline = False
        except (ObjectChanged, ObjectNotFound):
            # It expired just now.
            pass
    elif found:
        _make_way(copy)
    if inline:
        with contextlib.suppress(CopyTakesLonger):
            _copy(dss, copy, last_used)
            return None
    return request_copy(dss, _order(_source(copy), copy, last_used)).id


def _copy(dss: Dss, copy: CheckoutCopy, last_used: datetime | None) -> None:
    """Make a copy where there is none: one request for a small object. Raises as `put_copy`."""
    content = copy.store.known_blob(
        copy.replica.bucket,
        copy.checksums.blob_key,
        size=copy.size,
        content_type=copy.content_type,
        checksums=copy.checksums,
    )
    try:
        copy.store.copy(
            content,
            copy.bucket,
            copy.key,
            checksums=copy.checksums,
            deadline=Deadline(dss.clock, _FILE_SECONDS),
            last_used=last_used,
            fresh=True,
        )
    except (ObjectChanged, ObjectNotFound):
        # Is it the content?
        _source(copy)
        raise


def _source(copy: CheckoutCopy) -> StoredObject:
    replica = copy.replica
    try:
        source = copy.store.stat(replica.bucket, copy.checksums.blob_key)
    except ObjectNotFound as error:
        raise ObjectChanged(
            f"{copy.key}: replica {replica.name} does not have its content, {copy.checksums.blob_key}"
        ) from error
    return replace(source, content_type=copy.content_type)


def _make_way(copy: CheckoutCopy) -> None:
    if not copy.is_cached:
        raise StoreError(f"{copy.url}: another object has this key; remove it, or choose another bucket")
    copy.store.delete(copy.bucket, copy.key)


def _order(source: StoredObject, copy: CheckoutCopy, last_used: datetime | None) -> CopyOrder:
    return CopyOrder(
        source=copy_source(source, copy.replica),
        replica=copy.replica.name,
        bucket=copy.bucket,
        key=copy.key,
        checksums=copy.checksums,
        last_used=last_used,
        checkout_of=copy.of,
    )


def remove_shared_copies(replica: Replica, bundles: Iterable[Fqid], files: Iterable[FileRecord]) -> None:
    """Remove the copies of bundles and files from the shared checkout bucket of a replica. Safe to repeat.

    Another file with the same content and type loses its copy too, and gets a new one when it is asked for.
    """
    bucket = replica.checkout_bucket
    for bundle in bundles:
        for stored in replica.store.list(bucket, f"{bundle_prefix(bundle)}/"):
            replica.store.delete(bucket, stored.key)
    for record in files:
        replica.store.delete(bucket, copy_of_file(replica, bucket, record).key)
