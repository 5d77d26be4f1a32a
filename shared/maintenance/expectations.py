"""What the catalog says is in the replicas' buckets: every object, in the order of a listing.

Manifests and tombstones are written in one form only, so that the catalog tells their very bytes, and what a
store says of an object can be compared without reading it. Memory does not grow with the catalog.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import dropwhile, groupby, islice

import google_crc32c

from shared.catalog import (
    BundleHead,
    BundleTombstone,
    CollectionHead,
    CollectionTombstone,
    Event,
    FileRecord,
    Journal,
    KnownTombstone,
)
from shared.collections import collection_tombstone_document
from shared.errors import CatalogBroken
from shared.events.journal import index_of
from shared.identifiers import (
    Fqid,
    Kind,
    ObjectName,
    document_key,
    event_id,
    journal_index_key,
    manifest_key,
    parse_document_key,
    parse_key,
    publication_key,
    tombstone_key,
)
from shared.maintenance.expected import Expected, ExpectedBlob, ExpectedDocument, ExpectedJournal
from shared.maintenance.remake import bundle_document, collection_document, file_document, is_known
from shared.manifests import digest, encode, tombstone_document
from shared.metadata import CREATE, TOMBSTONE
from shared.parallel import map_in_threads
from shared.system import Dss

# Bundles whose pages are read at once; each may be some MiB.
_BUNDLES_AT_ONCE = 8
# Events whose bundles are looked up in one request.
_EVENTS_AT_ONCE = 500


def _described(key: str, available: frozenset[str], content: bytes) -> ExpectedDocument:
    return ExpectedDocument(
        key=key,
        available=available,
        size=len(content),
        sha256=digest(content),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        crc32c=google_crc32c.Checksum(content).digest().hex(),
    )


def _of_file(record: FileRecord) -> ExpectedDocument:
    key = manifest_key(Kind.FILE, record.fqid)
    return _described(key, record.available, file_document(record))


def _of_bundle(dss: Dss, head: BundleHead) -> ExpectedDocument:
    return _of_pages(Kind.BUNDLE, head, lambda: bundle_document(dss, head))


def _of_collection(dss: Dss, head: CollectionHead) -> ExpectedDocument:
    return _of_pages(Kind.COLLECTION, head, lambda: collection_document(dss, head))


def _of_pages(
    kind: Kind, head: BundleHead | CollectionHead, document_of: Callable[[], bytes]
) -> ExpectedDocument:
    key = manifest_key(kind, head.fqid)
    if not head.available:
        # A claim whose writer was killed, or is at it: its pages may not be there yet.
        return ExpectedDocument(key=key, available=frozenset(), size=0, sha256=head.digest)
    try:
        return _described(key, head.available, document_of())
    except CatalogBroken as error:
        why = f"the catalog contradicts itself: {error}"
        return ExpectedDocument(key=key, available=head.available, size=0, sha256=head.digest, broken=why)


def _of_tombstone(known: KnownTombstone) -> ExpectedDocument:
    tombstone: BundleTombstone = known.tombstone
    key = tombstone_key(Kind.BUNDLE, tombstone.uuid, tombstone.version)
    return _described(key, known.available, encode(tombstone_document(tombstone)))


def _of_collection_tombstone(tombstone: CollectionTombstone) -> ExpectedDocument:
    key = tombstone_key(Kind.COLLECTION, tombstone.uuid, None)
    return _described(key, tombstone.available, encode(collection_tombstone_document(tombstone)))


def _files(dss: Dss, after: str) -> Iterator[Expected]:
    return map(_of_file, dss.catalog.scan.files(_bound(after)))


def _bundles(dss: Dss, after: str) -> Iterator[Expected]:
    heads = dss.catalog.scan.bundles(_bound(after))
    # The pages of each are a request of their own, so several are asked for at once.
    return map_in_threads(partial(_of_bundle, dss), heads, threads=_BUNDLES_AT_ONCE)


def _collections(dss: Dss, after: str) -> Iterator[Expected]:
    heads = dss.catalog.scan.collections(_bound(after))
    return map_in_threads(partial(_of_collection, dss), heads, threads=_BUNDLES_AT_ONCE)


def _collection_tombstones(dss: Dss, after: str) -> Iterator[Expected]:
    tombstones = dss.catalog.scan.collection_tombstones(_bound(after).partition(".")[0])
    return map(_of_collection_tombstone, tombstones)


def _bound(key: str) -> str:
    """Return the name of a document that sorts before all whose keys come behind a key; empty for none.

    Any object may be in a bucket, but not every name may be asked for.
    """
    name = key.partition("/")[2]
    alike = re.match("[0-9a-f][0-9a-zA-Z.-]*", name)
    # All names of documents begin with a UUID's digit.
    return alike.group() if alike else "g" * (name > "g")


def _tombstones(dss: Dss, after: str) -> Iterator[Expected]:
    whole: ExpectedDocument | None = None
    for known in dss.catalog.scan.tombstones(_bound(after).partition(".")[0]):
        # `uuid` sorts before `uuid.version`, but `uuid.dead` behind `uuid.version.dead`.
        if whole and not whole.key.startswith(f"{Kind.BUNDLE}/{known.tombstone.uuid}."):
            yield whole
            whole = None
        if known.tombstone.version is None:
            whole = _of_tombstone(known)
        else:
            yield _of_tombstone(known)
    if whole:
        yield whole


def _blobs(dss: Dss, after: str) -> Iterator[Expected]:
    since = after.removeprefix("blobs/").partition(".")[0]
    for _, records in groupby(dss.catalog.scan.contents(since), lambda record: record.checksums.sha256):
        # Few in number, as one who claims a wrong SHA-256 makes a blob of his own; the files may be many.
        blobs: dict[str, ExpectedBlob] = {}
        for record in records:
            blobs[record.checksums.blob_key] = _of_blob(record, blobs.get(record.checksums.blob_key))
        yield from (blobs[key] for key in sorted(blobs))


def _of_blob(record: FileRecord, there: ExpectedBlob | None) -> ExpectedBlob:
    available = record.available | (there.available if there else frozenset())
    return ExpectedBlob(
        key=record.checksums.blob_key, available=available, size=record.size, checksums=record.checksums
    )


def _documents(dss: Dss, after: str) -> Iterator[Expected]:
    heads = dss.catalog.scan.bundles(_bound(after))
    found = map_in_threads(lambda head: _documents_of(dss, head.fqid), heads, threads=_BUNDLES_AT_ONCE)
    return (document for documents in found for document in documents)


def _documents_of(dss: Dss, fqid: Fqid) -> list[ExpectedDocument]:
    """Return the documents of a bundle version's events, in order of key."""
    ids = [event_id(name, fqid, kind) for name in dss.replicas.names for kind in (CREATE, TOMBSTONE)]
    events = dss.catalog.events.get_many(ids).values()
    expected = []
    for kind in (CREATE, TOMBSTONE):
        if of_kind := [event for event in events if event.type == kind]:
            one = of_kind[0]
            expected.append(
                ExpectedDocument(
                    key=document_key(fqid, dead=kind == TOMBSTONE),
                    available=frozenset(event.replica for event in of_kind),
                    size=one.size,
                    sha256=one.digest,
                    md5=one.md5,
                    crc32c=one.crc32c,
                )
            )
    return expected


def _told(dss: Dss, after: str) -> Iterator[Expected]:
    events = dss.catalog.scan.events(_bound(after))
    while batch := list(islice(events, _EVENTS_AT_ONCE)):
        heads = dss.catalog.bundles.get_many(event.fqid for event in batch)
        yield from (_of_event(dss, event, heads.get(event.fqid)) for event in batch)


def _of_event(dss: Dss, event: Event, head: BundleHead | None) -> Expected:
    """Return what says that an event was told. It is written just before the catalog knows that it was."""
    unpublished = head.unpublished if head else frozenset()
    if head and event.type == TOMBSTONE:
        uuid, _, version = head.hidden_by.partition(".")
        tombstone = dss.catalog.scan.tombstone(uuid, version or None)
        unpublished = tombstone.unpublished if tombstone else frozenset()
    where = frozenset({event.replica} - unpublished)
    return replace(_described(publication_key(event.id), where, index_of([event])), early=True)


def _told_again(dss: Dss, key: str) -> Expected | None:
    this = key.partition("/")[2]
    # Any object may be in a bucket, but not every name may be asked for.
    event = dss.catalog.events.get_many([this]).get(this) if re.fullmatch("[0-9a-f-]+", this) else None
    return _of_event(dss, event, dss.catalog.bundles.head(event.fqid)) if event else None


def _document_again(dss: Dss, key: str) -> Expected | None:
    name = parse_document_key(key)
    found = _documents_of(dss, Fqid(name.uuid, name.version or "")) if name else []
    return next((document for document in found if document.key == key), None)


def _journals(dss: Dss, after: str) -> Iterator[Expected]:
    since = after.removeprefix("journals/").removesuffix(".json")
    return (one for journal in dss.catalog.scan.journals(since) for one in _of_journal(journal))


def _of_journal(journal: Journal) -> Iterator[Expected]:
    yield ExpectedJournal(journal=journal)
    if journal.index:
        yield ExpectedDocument(
            key=journal_index_key(journal.id),
            available=frozenset((journal.replica,)),
            **asdict(journal.index),
        )


def _journal_again(dss: Dss, key: str) -> Expected | None:
    name = key.removeprefix("journals/").removesuffix(".json")
    for replica in dss.replicas:
        journal = dss.catalog.journals.get(replica.name, name)
        for expected in _of_journal(journal) if journal else ():
            if expected.key == key:
                return expected
    return None


def _file_again(dss: Dss, name: ObjectName) -> Expected | None:
    record = dss.catalog.files.get(Fqid(name.uuid, name.version or ""))
    return _of_file(record) if record else None


def _bundle_again(dss: Dss, name: ObjectName) -> Expected | None:
    head = dss.catalog.bundles.head(Fqid(name.uuid, name.version or ""))
    return _of_bundle(dss, head) if head else None


def _tombstone_again(dss: Dss, name: ObjectName) -> Expected | None:
    known = dss.catalog.scan.tombstone(name.uuid, name.version)
    return _of_tombstone(known) if known else None


def _collection_again(dss: Dss, name: ObjectName) -> Expected | None:
    head = dss.catalog.collections.head(Fqid(name.uuid, name.version or ""))
    return _of_collection(dss, head) if head else None


def _collection_tombstone_again(dss: Dss, name: ObjectName) -> Expected | None:
    known = dss.catalog.collection_tombstones.get(name.uuid)
    return _of_collection_tombstone(known) if known else None


def _by_name(
    again: Callable[[Dss, ObjectName], Expected | None],
) -> Callable[[Dss, str], Expected | None]:
    def by_key(dss: Dss, key: str) -> Expected | None:
        name = parse_key(key)
        return again(dss, name) if name and is_known(name) else None

    return by_key


def _blob_again(dss: Dss, key: str) -> Expected | None:
    blob: ExpectedBlob | None = None
    replicas = set(dss.replicas.names)
    for record in dss.catalog.scan.of_content(key.removeprefix("blobs/").partition(".")[0]):
        if record.checksums.blob_key == key:
            blob = _of_blob(record, blob)
            if replicas <= blob.available:
                # The other files of a content that is everywhere, a million perhaps, tell nothing new.
                break
    return blob


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of every bucket, and what the catalog has of it: all in order, and one again.

    `scan` may begin with what lies at or before the key that it is given.
    """

    name: str
    prefix: str
    scan: Callable[[Dss, str], Iterator[Expected]]
    again: Callable[[Dss, str], Expected | None]
    has: Callable[[str], bool] = lambda _: True

    def expected(self, dss: Dss, *, after: str = "") -> Iterator[Expected]:
        """Yield what the catalog has behind a key, in order of key."""
        return dropwhile(lambda one: one.key <= after, self.scan(dss, after))


def _is_dead(key: str) -> bool:
    return key.endswith(".dead")


def _is_alive(key: str) -> bool:
    return not _is_dead(key)


# In this order a repair can take in what it finds: a bundle rests on its files, a tombstone on its bundle, a
# collection on what it links to.
SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        Section(name="files", prefix="files/", scan=_files, again=_by_name(_file_again)),
        Section(
            name="bundles",
            prefix="bundles/",
            scan=_bundles,
            again=_by_name(_bundle_again),
            has=_is_alive,
        ),
        Section(
            name="tombstones",
            prefix="bundles/",
            scan=_tombstones,
            again=_by_name(_tombstone_again),
            has=_is_dead,
        ),
        Section(
            name="collections",
            prefix="collections/",
            scan=_collections,
            again=_by_name(_collection_again),
            has=_is_alive,
        ),
        Section(
            name="collection_tombstones",
            prefix="collections/",
            scan=_collection_tombstones,
            again=_by_name(_collection_tombstone_again),
            has=_is_dead,
        ),
        Section(name="blobs", prefix="blobs/", scan=_blobs, again=_blob_again),
        Section(name="documents", prefix="documents/", scan=_documents, again=_document_again),
        Section(name="events", prefix="events/", scan=_told, again=_told_again),
        Section(name="journals", prefix="journals/", scan=_journals, again=_journal_again),
    )
}
