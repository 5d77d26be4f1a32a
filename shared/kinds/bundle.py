"""Bundles: a manifest for each version. A bundle rests on its files."""

from collections.abc import Callable, Collection, Iterator, Mapping
from threading import BoundedSemaphore

from shared.bindings import bind_content
from shared.catalog import BundleHead, FileRecord, PagedFile
from shared.clock import Deadline
from shared.errors import CatalogBroken, NotProven
from shared.events.history import was_published, was_visible
from shared.events.readers import follow_readers
from shared.identifiers import Fqid, Kind, ObjectName
from shared.kinds.base import PagedKind, require_none, understood
from shared.manifests import bundle_manifest, bundle_of_manifest, digest, encode
from shared.purged_files import purged_files
from shared.replicas import Replica
from shared.system import Dss

# Files that are looked up at once; after each such batch the progress of the check is stored.
_CHECKED_AT_ONCE = 5000
# How long a replication waits for files of a bundle that are on their way, often in threads beside it: their
# events came just before. Pub/Sub would send the event again after a second at the earliest.
_ARRIVAL_SECONDS, _FIRST_PAUSE_SECONDS, _LONGER = 1.0, 0.1, 1.5
# Files that are looked up again so: each look costs a read of each.
MOST_AWAITED = 100
# Replications of a process that wait so. The others leave their threads to the files.
PLACES = 8
_places = BoundedSemaphore(PLACES)


class BundleKind(PagedKind[BundleHead]):
    """Versions of bundles."""

    kind = Kind.BUNDLE
    section = "bundles"
    collection = "bundles"
    published = True
    checked = "replication: bundle checked"
    written = "replication: bundle manifest written"

    def lookup(self, dss: Dss, name: ObjectName) -> BundleHead | None:
        """Return the head of a version, in one read."""
        return dss.catalog.bundles.head(name.fqid)

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[BundleHead]:
        """Yield the heads of all versions, in the order of their keys."""
        return dss.catalog.scan.bundles(since, until)

    def name_of(self, record: BundleHead) -> ObjectName:
        """Return the name of a version's manifest."""
        return self.name(record.fqid.uuid, record.fqid.version)

    def document(self, dss: Dss, record: BundleHead) -> bytes:
        """Return the manifest, made from the catalog's pages: a read for each.

        Raises CatalogBroken if pages are missing, or make up another manifest.
        """
        files = dss.catalog.bundles.files(record, 0, record.file_count)
        content = encode(bundle_manifest(record.fqid, record.creator_uid, files))
        if digest(content) != record.digest:
            raise CatalogBroken("the pages do not make up the manifest that the head has the digest of")
        return content

    def requires(self, dss: Dss, record: BundleHead, replica: Replica) -> None:
        """Raise NotYetThere if files of the bundle are not on a replica.

        The progress of the check of a large bundle is stored, and the next attempt goes on there.
        """
        self._require_files(dss, record, replica, _lacking)

    def _require_soon(self, dss: Dss, record: BundleHead, replica: Replica) -> None:
        """Do as `requires`, after a wait of a moment for a few files that are on their way."""
        self._require_files(dss, record, replica, _lacking_for_a_moment)

    def _require_files(
        self,
        dss: Dss,
        record: BundleHead,
        replica: Replica,
        lacking: Callable[[Dss, Collection[PagedFile], Replica], Collection[Fqid]],
    ) -> None:
        progress = dss.catalog.progress
        topic = f"{record.fqid} on {replica.name}"
        large = record.file_count > _CHECKED_AT_ONCE
        for first in range(progress.get(topic) if large else 0, record.file_count, _CHECKED_AT_ONCE):
            files = dss.catalog.bundles.files(record, first, _CHECKED_AT_ONCE)
            require_none(f"bundle {record.fqid}", lacking(dss, files, replica), "files", replica)
            if large:
                progress.set(topic, first + _CHECKED_AT_ONCE)

    def make_available(self, dss: Dss, record: BundleHead, replica: str) -> None:
        """Let reads on a replica see the version, unless its UUID is hidden."""
        if not record.available:
            bind_content(dss, record.fqid)
        if dss.catalog.bindings.any_ever():
            # A rebuild restores events before it knows who may see them.
            follow_readers(dss, record.fqid)
        dss.catalog.bundles.make_available(record.fqid, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> BundleHead:
        """Return the head of the version that a manifest describes, known to the catalog with its pages."""
        with understood(name):
            head, files = bundle_of_manifest(name.fqid, encoded)
        # Its writer was allowed to: its owner is no obstacle.
        dss.catalog.bundles.create(head, dss.catalog.bindings.current(name.uuid))
        dss.catalog.bundles.write_pages(name.fqid, files)
        return head

    def write_pages(self, dss: Dss, name: ObjectName, encoded: bytes) -> None:
        """Write the pages of a known version again, from a manifest that has its digest."""
        dss.catalog.bundles.write_pages(name.fqid, bundle_of_manifest(name.fqid, encoded)[1])

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless a manifest is as the system writes it, and its files are on the replica."""
        head, files = bundle_of_manifest(name.fqid, encoded)
        if encode(bundle_manifest(head.fqid, head.creator_uid, files)) != encoded:
            raise NotProven("it is not as the system writes it")
        fqids = {Fqid(file.uuid, file.version) for file in files}
        known = dss.catalog.files.get_many(fqids)
        purged = purged_files(dss, fqids, known)
        for file in files:
            if Fqid(file.uuid, file.version) in purged:
                continue
            record = known.get(Fqid(file.uuid, file.version))
            if record is None or replica.name not in record.available:
                raise NotProven(f"file {file.uuid}.{file.version} of it is not here")
            if not _same_content(file, record):
                raise NotProven(f"file {file.uuid}.{file.version} of it has other content")

    def recall(self, dss: Dss, record: BundleHead, replica: Replica, hidden: Collection[str]) -> None:
        """Hide a version that was hidden, and mark it as published if it was."""
        fqid = record.fqid
        if replica.name in record.available:
            # The catalog is older than the bucket.
            if replica.name in record.unpublished and was_published(dss, replica, fqid):
                dss.catalog.bundles.mark_published(fqid, replica.name)
            return
        for tombstone in (str(fqid), fqid.uuid):
            if tombstone in hidden:
                visible = was_visible(replica, fqid)
                dss.catalog.tombstones.had_hidden(tombstone, fqid, replica.name, seen=visible)
                break
        if was_published(dss, replica, fqid):
            dss.catalog.bundles.mark_published(fqid, replica.name)


def _lacking(dss: Dss, files: Collection[PagedFile], replica: Replica) -> Collection[Fqid]:
    """Return the files that a replica lacks, but for those that were removed for good."""
    fqids = {Fqid(file.uuid, file.version) for file in files}
    known = dss.catalog.files.get_many(fqids)
    lacking = _absent(fqids, known, replica)
    # The manifest of a bundle outlives files of it that were removed for good.
    purged = purged_files(dss, lacking, known) if lacking else {}
    return [fqid for fqid in lacking if fqid not in purged]


def _lacking_for_a_moment(dss: Dss, files: Collection[PagedFile], replica: Replica) -> Collection[Fqid]:
    """Return the files that a replica lacks, and goes on to lack for a moment; each look reads them."""
    lacking = _lacking(dss, files, replica)
    if 0 < len(lacking) <= MOST_AWAITED and _places.acquire(blocking=False):
        try:
            deadline = Deadline(dss.clock, _ARRIVAL_SECONDS)
            pause = _FIRST_PAUSE_SECONDS
            while lacking and not deadline.passed:
                deadline.pause(pause)
                pause *= _LONGER
                lacking = _absent(lacking, dss.catalog.files.get_many(lacking), replica)
        finally:
            _places.release()
    return lacking


def _absent(fqids: Collection[Fqid], known: Mapping[Fqid, FileRecord], replica: Replica) -> Collection[Fqid]:
    return [fqid for fqid in fqids if fqid not in known or replica.name not in known[fqid].available]


def _same_content(file: PagedFile, record: FileRecord) -> bool:
    sums = record.checksums
    return (
        (file.size, file.content_type) == (record.size, record.content_type)
        and (file.sha256, file.sha1) == (sums.sha256, sums.sha1)
        and (file.s3_etag, file.crc32c) == (sums.s3_etag, sums.crc32c)
    )
