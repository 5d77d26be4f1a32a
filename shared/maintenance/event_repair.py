"""Repairs of metadata documents, publications and journals: byte for byte as they were published, or left.

The catalog knows what is right: each event has the size and checksums of its document, and a journal consists
of its events' documents. So every repair is proved before it is written.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from shared.catalog import Event, Journal
from shared.errors import InvalidChecksum, NotProven, NotYetThere, ObjectNotFound, StoreError
from shared.events.documents import published_document
from shared.events.journal import events_of, join, journal_index, journal_of_many, journal_of_one
from shared.events.publishing import event_type
from shared.identifiers import event_id, journal_index_key, parse_document_key
from shared.maintenance.audit import Finding, Problem
from shared.manifests import digest, write_once
from shared.metadata import TOMBSTONE
from shared.parallel import map_in_threads
from shared.purges.scrubbing import put_journal
from shared.replicas import Replica
from shared.system import Dss

# Documents that are checked at once.
_AT_ONCE = 16
# Errors of a replica that lacks something or has it wrong; another replica may have it.
_NOT_HERE = (StoreError, NotYetThere, InvalidChecksum)


def _write_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Write a lost document again."""
    content, source = _published(dss, finding.key, replica)
    write_once(replica, finding.key, content)
    return f"made again, {len(content)} bytes, {source}"


def _replace_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Replace a wrong document."""
    content, source = _published(dss, finding.key, replica)
    replica.store.delete(replica.bucket, finding.key)
    write_once(replica, finding.key, content)
    return f"replaced, {len(content)} bytes, {source}"


def _published(dss: Dss, key: str, replica: Replica) -> tuple[bytes, str]:
    """Return a document as it was published on a replica, and what it is made from."""
    name = parse_document_key(key)
    event = _event(dss, event_id(replica.name, name.fqid, event_type(dead=name.dead))) if name else None
    if event is None:
        raise NotProven("the catalog does not know its event any more")
    for content, source in _candidates(dss, event, key, replica):
        if digest(content) == event.digest:
            return content, source
    raise NotProven("nothing that is still there makes up what was published")


def _event(dss: Dss, name: str) -> Event | None:
    return dss.catalog.events.get_many([name]).get(name)


def _candidates(dss: Dss, event: Event, key: str, replica: Replica) -> Iterator[tuple[bytes, str]]:
    """Yield what a document may have been, the cheapest first."""
    others = [other for other in dss.replicas if other.name != replica.name]
    for other in others:
        with suppress(*_NOT_HERE):
            yield other.store.read_all(other.bucket, key), f"as on {other.name}"
    head = dss.catalog.bundles.head(event.fqid)
    if head is None:
        return
    for source in (replica, *others):
        with suppress(*_NOT_HERE):
            dead = event.type == TOMBSTONE
            made = published_document(dss, source, head, size=event.size, dead=dead)
            yield made, f"from the bundle on {source.name}"


def _write_publication(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Write the publication of an event again, with the catalog's time."""
    event = _event(dss, finding.key.partition("/")[2])
    if event is None:
        raise NotProven("the catalog does not know its event any more")
    if finding.kind is Problem.CORRUPT:
        replica.store.delete(replica.bucket, finding.key)
    write_once(replica, finding.key, journal_index([event]))
    return f"written again: published at {event.timestamp}"


def _write_journal(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Put a lost journal together again, or write its lost index."""
    journal, events = _journal(dss, finding.key, replica)
    if finding.key != journal.key:
        write_once(replica, finding.key, journal_index(events))
        return f"written again, for {len(events)} events"
    _require_documents(replica, events)
    if all(event.id for event in events):
        join(replica, journal, events)
    else:
        put_journal(dss, replica, journal, events)
    return f"put together again, from {len(events)} documents"


def _replace_journal(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Replace a wrong journal or index, if it can be made again."""
    journal, events = _journal(dss, finding.key, replica)
    if finding.key == journal.key:
        _require_documents(replica, events)
    replica.store.delete(replica.bucket, finding.key)
    return _write_journal(dss, finding, replica)


def _journal(dss: Dss, key: str, replica: Replica) -> tuple[Journal, list[Event]]:
    """Return a journal and its events. Raises NotProven if they don't make up just that journal."""
    name = key.removeprefix("journals/").removesuffix(".json")
    journal = dss.catalog.journals.get(replica.name, name)
    if journal is None or key not in (journal.key, journal_index_key(journal.id)):
        raise NotProven("the catalog does not know it any more")
    events = events_of(dss, journal)
    lacking = sum(
        bool(entry.event_id and not event.id) for entry, event in zip(journal.entries, events, strict=True)
    )
    if lacking:
        raise NotProven(f"the catalog lacks {lacking} of its events")
    made = journal_of_many(events)
    if journal not in (made, replace(made, crc32c="", index=None)):
        raise NotProven("the catalog's events make up another journal")
    return journal, events


def _require_documents(replica: Replica, events: list[Event]) -> None:
    """Raise NotProven if a document is not as it was published."""

    def is_right(event: Event) -> bool:
        key = journal_of_one(event).key
        try:
            stored = replica.store.stat(replica.bucket, key)
            if stored.size != event.size:
                return False
            if stored.md5 or stored.crc32c:
                return stored.md5 in (None, event.md5) and stored.crc32c in (None, event.crc32c)
            return digest(replica.store.read_all(replica.bucket, key)) == event.digest
        except ObjectNotFound:
            return False

    # Spaces stand for what was removed for good.
    events = [event for event in events if event.id]
    for event, right in zip(events, map_in_threads(is_right, events, threads=_AT_ONCE), strict=True):
        if not right:
            raise NotProven(f"{journal_of_one(event).key} is not as it was published")


# Repairs by problem and section. What is dark is left: the sweep finds what is unpublished.
REPAIRS: Mapping[tuple[Problem, str], Callable[[Dss, Finding, Replica], str]] = {
    (Problem.LOST, "documents"): _write_document,
    (Problem.CORRUPT, "documents"): _replace_document,
    (Problem.LOST, "events"): _write_publication,
    (Problem.CORRUPT, "events"): _write_publication,
    (Problem.LOST, "journals"): _write_journal,
    (Problem.CORRUPT, "journals"): _replace_journal,
}
