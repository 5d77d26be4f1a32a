"""The sections of a bucket: every object that the catalog says is there, in the order of a listing.

Manifests and tombstones have only one encoding, so the catalog knows their very bytes, and checksums that a
store gives can be compared without reading the objects. Memory does not grow with the catalog.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import dropwhile, groupby, islice, takewhile
from typing import Any

import google_crc32c

from shared.catalog import BundleHead, Event, FileRecord, Journal
from shared.errors import CatalogBroken
from shared.events.journal import journal_index
from shared.identifiers import (
    EVENT_TYPES,
    Fqid,
    document_key,
    event_ids,
    journal_index_key,
    parse_document_key,
    parse_key,
    publication_key,
)
from shared.kinds import KINDS, ObjectKind
from shared.maintenance.expected import Expected, ExpectedBlob, ExpectedDocument, ExpectedJournal
from shared.manifests import digest
from shared.metadata import TOMBSTONE
from shared.parallel import map_in_threads
from shared.system import Dss

# Bundles or collections whose pages are read at once; those of one may be some MiB.
_PAGED_AT_ONCE = 8
# Events whose bundles are looked up in one request.
_EVENTS_AT_ONCE = 500


class Section(ABC):
    """A part of every bucket, and what the catalog says is in it."""

    name: str
    prefix: str

    @abstractmethod
    def scan(self, dss: Dss, after: str, until: str) -> Iterator[Expected]:
        """Yield what the catalog has after a key, up to `until`, in order; the first may sort before."""

    @abstractmethod
    def lookup(self, dss: Dss, key: str) -> Expected | None:
        """Return what the catalog has now of one key."""

    def has(self, key: str) -> bool:
        """Return whether a key that begins with the prefix belongs to the section."""
        return True

    def expected(self, dss: Dss, *, after: str = "", until: str = "") -> Iterator[Expected]:
        """Yield what the catalog has after a key, up to `until` if it is given, in order of key."""
        found = dropwhile(lambda expected: expected.key <= after, self.scan(dss, after, until))
        return takewhile(lambda expected: expected.key <= until, found) if until else found


class KindSection(Section):
    """The manifests or tombstones of one kind."""

    def __init__(self, kind: ObjectKind[Any]) -> None:
        self._kind = kind
        self.name = kind.section
        self.prefix = f"{kind.kind}/"
        # A folder of one kind is wholly its section's, so that no object is left out.
        self._shares_folder = len([other for other in KINDS.values() if other.kind is kind.kind]) > 1

    def has(self, key: str) -> bool:
        """Return whether the object of a key is a tombstone, if the kind is one of tombstones, else not."""
        return not self._shares_folder or key.endswith(".dead") == self._kind.dead

    def scan(self, dss: Dss, after: str, until: str) -> Iterator[Expected]:
        """Yield the objects that the catalog has after a key; a read each, and one for each page."""
        records = self._kind.scan(dss, _bound(after), _bound(until))
        work = partial(_of_record, dss, self._kind)
        return (
            map_in_threads(work, records, threads=_PAGED_AT_ONCE) if self._kind.paged else map(work, records)
        )

    def lookup(self, dss: Dss, key: str) -> Expected | None:
        """Return the object of a key, as the catalog has it now."""
        name = parse_key(key)
        record = self._kind.lookup(dss, name) if name and self._kind.owns(name) else None
        return _of_record(dss, self._kind, record) if record else None


def _of_record(dss: Dss, kind: ObjectKind[Any], record: Any) -> ExpectedDocument:
    key = kind.name_of(record).key
    # What is about to be removed for good is there until then.
    held = record.available | getattr(record, "withheld", frozenset())
    if not held:
        # A claim whose writer was killed, or is still writing: its pages may be incomplete.
        return ExpectedDocument(key=key, available=frozenset(), size=0, sha256="")
    try:
        return _described(key, held, kind.document(dss, record))
    except CatalogBroken as error:
        why = f"the catalog contradicts itself: {error}"
        return ExpectedDocument(key=key, available=held, size=0, sha256="", broken=why)


def _described(key: str, available: frozenset[str], content: bytes) -> ExpectedDocument:
    return ExpectedDocument(
        key=key,
        available=available,
        size=len(content),
        sha256=digest(content),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        crc32c=google_crc32c.Checksum(content).digest().hex(),
    )


def _bound(key: str) -> str:
    """Return the name of a document that sorts before all whose keys come after a key; empty for none.

    The bucket may hold any key, but a query takes only some: `bundles/ab~` becomes `ab`, and `bundles/~`,
    which sorts after all UUIDs, becomes `g`.
    """
    name = key.partition("/")[2]
    alike = re.match("[0-9a-f][0-9a-zA-Z.-]*", name)
    # The names of all documents begin with a UUID's digit.
    return alike.group() if alike else "g" * (name > "g")


class BlobSection(Section):
    """Blobs: contents that file versions name."""

    name = "blobs"
    prefix = "blobs/"

    def scan(self, dss: Dss, after: str, until: str) -> Iterator[Expected]:
        """Yield the blobs of all file versions, in order of SHA-256; a read for each version."""
        since, last = (key.removeprefix(self.prefix).partition(".")[0] for key in (after, until))
        found = dss.catalog.scan.contents(since, last)
        for _, records in groupby(found, lambda record: record.checksums.sha256):
            # The files of one SHA-256 may be many. Its blobs are few: only a wrong claim makes another one.
            blobs: dict[str, ExpectedBlob] = {}
            for record in records:
                blobs[record.checksums.blob_key] = _of_blob(record, blobs.get(record.checksums.blob_key))
            yield from (blobs[key] for key in sorted(blobs))

    def lookup(self, dss: Dss, key: str) -> ExpectedBlob | None:
        """Return the blob of a key; a read for each file version of its SHA-256, up to the last needed."""
        blob: ExpectedBlob | None = None
        replicas = set(dss.replicas.names)
        for record in dss.catalog.scan.of_content(key.removeprefix(self.prefix).partition(".")[0]):
            if record.checksums.blob_key == key:
                blob = _of_blob(record, blob)
                if replicas <= blob.available:
                    # The other files of this content, perhaps a million, add nothing.
                    break
        return blob


def _of_blob(record: FileRecord, same: ExpectedBlob | None) -> ExpectedBlob:
    available = record.available | record.withheld | (same.available if same else frozenset())
    return ExpectedBlob(
        key=record.checksums.blob_key, available=available, size=record.size, checksums=record.checksums
    )


class DocumentSection(Section):
    """Metadata documents of bundle versions and of their tombstones."""

    name = "documents"
    prefix = "documents/"

    def scan(self, dss: Dss, after: str, until: str) -> Iterator[Expected]:
        """Yield the documents of all events, in order of bundle version."""
        heads = dss.catalog.scan.bundles(_bound(after), _bound(until))
        found = map_in_threads(lambda head: _documents(dss, head.fqid), heads, threads=_PAGED_AT_ONCE)
        return (document for documents in found for document in documents)

    def lookup(self, dss: Dss, key: str) -> Expected | None:
        """Return the document of a key, if its event is known."""
        name = parse_document_key(key)
        documents = _documents(dss, name.fqid) if name else []
        return next((document for document in documents if document.key == key), None)


def _documents(dss: Dss, fqid: Fqid) -> list[ExpectedDocument]:
    """Return the documents of a bundle version's events, in order of key."""
    events = dss.catalog.events.get_many(event_ids(dss.replicas.names, fqid)).values()
    expected = []
    for kind in EVENT_TYPES:
        if of_kind := [event for event in events if event.type == kind]:
            first = of_kind[0]
            expected.append(
                ExpectedDocument(
                    key=document_key(fqid, dead=kind == TOMBSTONE),
                    available=frozenset(event.replica for event in of_kind),
                    size=first.size,
                    sha256=first.digest,
                    md5=first.md5,
                    crc32c=first.crc32c,
                )
            )
    return expected


class EventSection(Section):
    """Publications: an object for each published event, with its time."""

    name = "events"
    prefix = "events/"

    def scan(self, dss: Dss, after: str, until: str) -> Iterator[Expected]:
        """Yield the publications of all events, in order of id; two reads each."""
        events = dss.catalog.scan.events(_bound(after), _bound(until))
        while batch := list(islice(events, _EVENTS_AT_ONCE)):
            heads = dss.catalog.bundles.get_many(event.fqid for event in batch)
            yield from (_of_event(dss, event, heads.get(event.fqid)) for event in batch)

    def lookup(self, dss: Dss, key: str) -> Expected | None:
        """Return the publication of a key, if its event is known."""
        name = key.partition("/")[2]
        # The bucket may hold any key, but only some can be the name of a document.
        event = dss.catalog.events.get_many([name]).get(name) if re.fullmatch("[0-9a-f-]+", name) else None
        return _of_event(dss, event, dss.catalog.bundles.head(event.fqid)) if event else None


def _of_event(dss: Dss, event: Event, head: BundleHead | None) -> Expected:
    """Return the publication of an event. It is written just before the catalog says so."""
    unpublished = head.unpublished if head else frozenset()
    if head and event.type == TOMBSTONE:
        uuid, _, version = head.hidden_by.partition(".")
        tombstone = dss.catalog.scan.tombstone(uuid, version or None)
        unpublished = tombstone.unpublished if tombstone else frozenset()
    available = frozenset({event.replica} - unpublished)
    return replace(_described(publication_key(event.id), available, journal_index([event])), early=True)


class JournalSection(Section):
    """Journals of many events, and their indexes."""

    name = "journals"
    prefix = "journals/"

    def scan(self, dss: Dss, after: str, until: str) -> Iterator[Expected]:
        """Yield all journals, in order of id, each before its index; one read each."""
        journals = dss.catalog.scan.journals(_journal_name(after), _journal_name(until))
        return (expected for journal in journals for expected in _of_journal(journal))

    def lookup(self, dss: Dss, key: str) -> Expected | None:
        """Return the journal or index of a key."""
        for replica in dss.replicas:
            journal = dss.catalog.journals.get(replica.name, _journal_name(key))
            for expected in _of_journal(journal) if journal else ():
                if expected.key == key:
                    return expected
        return None


def _journal_name(key: str) -> str:
    return key.removeprefix("journals/").removesuffix(".json")


def _of_journal(journal: Journal) -> Iterator[Expected]:
    yield ExpectedJournal(journal=journal)
    if journal.index:
        yield ExpectedDocument(
            key=journal_index_key(journal.id),
            available=frozenset((journal.replica,)),
            **asdict(journal.index),
        )


def sections() -> Mapping[str, Section]:
    """Return all sections by name, those of the kinds first and in their order."""
    kinds = [KindSection(kind) for kind in KINDS.values()]
    return {
        section.name: section
        for section in (*kinds, BlobSection(), DocumentSection(), EventSection(), JournalSection())
    }
