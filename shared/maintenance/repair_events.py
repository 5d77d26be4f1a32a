"""Repairs of metadata documents and journals: made again byte for byte as they were told, or left.

What is right is in the catalog: each event has the size and checksums of its document, and a journal is made
of its events' documents. So whatever is made again, of whatever is still there, proves right before it is
written.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from shared.catalog import Event, Journal
from shared.errors import InvalidChecksum, NotYetThere, ObjectNotFound, StoreError
from shared.events.documents import make_document
from shared.events.journal import index_of, join, journal_of_many, journal_of_one
from shared.events.publishing import event_type
from shared.files import write_once
from shared.identifiers import Fqid, event_id, journal_index_key, parse_document_key
from shared.maintenance.audit import Finding, Problem
from shared.maintenance.remake import Unexplained
from shared.manifests import digest
from shared.metadata import TOMBSTONE
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.stores.base import read_all
from shared.system import Dss

# Documents that are looked at side by side.
_AT_ONCE = 16
# What a replica says that lacks something, or has it wrong: another one may have it.
_NOT_HERE = (StoreError, NotYetThere, InvalidChecksum)


def _write_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Keep a lost document again."""
    content, source = _told(dss, finding.key, replica)
    write_once(dss, replica.name, finding.key, content)
    return f"made again, {len(content)} bytes, {source}"


def _replace_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Replace a wrong document."""
    content, source = _told(dss, finding.key, replica)
    replica.store.delete(replica.bucket, finding.key)
    write_once(dss, replica.name, finding.key, content)
    return f"replaced, {len(content)} bytes, {source}"


def _told(dss: Dss, key: str, replica: Replica) -> tuple[bytes, str]:
    """Return a document as it was told on a replica, and what it is made of."""
    name = parse_document_key(key)
    fqid = Fqid(name.uuid, name.version or "") if name else None
    this = event_id(replica.name, fqid, event_type(dead=name.dead)) if name and fqid else ""
    event = dss.catalog.events.get_many([this]).get(this) if this else None
    if event is None:
        raise Unexplained("the catalog does not know its event any more")
    for content, source in _candidates(dss, event, key, replica):
        if digest(content) == event.digest:
            return content, source
    raise Unexplained("nothing that is still there makes up what was told")


def _candidates(dss: Dss, event: Event, key: str, replica: Replica) -> Iterator[tuple[bytes, str]]:
    """Yield what a document may have been, the cheapest first."""
    others = [one for one in dss.replicas if one.name != replica.name]
    for other in others:
        with suppress(*_NOT_HERE):
            yield read_all(other.store, other.bucket, key), f"as on {other.name}"
    head = dss.catalog.bundles.head(event.fqid)
    if head is None:
        return
    for one in (replica, *others):
        with suppress(*_NOT_HERE):
            made = make_document(dss, one, head, dead=event.type == TOMBSTONE)
            yield made, f"of what {one.name} has of the bundle"


def _write_publication(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Say again that an event was told, and when. What says otherwise has a time that the catalog lost."""
    this = finding.key.partition("/")[2]
    event = dss.catalog.events.get_many([this]).get(this)
    if event is None:
        raise Unexplained("the catalog does not know its event any more")
    if finding.kind is Problem.CORRUPT:
        replica.store.delete(replica.bucket, finding.key)
    write_once(dss, replica.name, finding.key, index_of([event]))
    return f"written again: told at {event.timestamp}"


def _write_journal(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Put a lost journal together again, or write its index."""
    journal, events = _journal(dss, finding.key, replica)
    if finding.key != journal.key:
        write_once(dss, replica.name, finding.key, index_of(events))
        return f"written again, of {len(events)} events"
    _require_documents(replica, events)
    join(replica, journal, events)
    return f"put together again, of {len(events)} documents"


def _replace_journal(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Replace a wrong journal, or index, once it is clear that it can be made again."""
    journal, events = _journal(dss, finding.key, replica)
    if finding.key == journal.key:
        _require_documents(replica, events)
    replica.store.delete(replica.bucket, finding.key)
    return _write_journal(dss, finding, replica)


def _journal(dss: Dss, key: str, replica: Replica) -> tuple[Journal, list[Event]]:
    """Return a journal and its events, which make up just that journal."""
    name = key.removeprefix("journals/").removesuffix(".json")
    journal = dss.catalog.journals.get(replica.name, name)
    if journal is None or key not in (journal.key, journal_index_key(journal.id)):
        raise Unexplained("the catalog does not know it any more")
    found = dss.catalog.events.get_many([entry.event_id for entry in journal.entries])
    events = [found[entry.event_id] for entry in journal.entries if entry.event_id in found]
    if len(events) < len(journal.entries):
        raise Unexplained(f"the catalog lacks {len(journal.entries) - len(events)} of its events")
    made = journal_of_many(events)
    if journal not in (made, replace(made, crc32c="", index=None)):
        raise Unexplained("the catalog's events make up another journal")
    return journal, events


def _require_documents(replica: Replica, events: list[Event]) -> None:
    """Raise Unexplained where a document is not as it was told."""

    def is_right(event: Event) -> bool:
        key = journal_of_one(event).key
        try:
            found = replica.store.stat(replica.bucket, key)
            if found.size != event.size:
                return False
            if found.md5 or found.crc32c:
                return found.md5 in (None, event.md5) and found.crc32c in (None, event.crc32c)
            return digest(read_all(replica.store, replica.bucket, key)) == event.digest
        except ObjectNotFound:
            return False

    for event, right in zip(events, map_in_threads(is_right, events, threads=_AT_ONCE), strict=True):
        if not right:
            raise Unexplained(f"{journal_of_one(event).key} is not as it was told")


# What is done about a kind of finding in a section. What is dark is left: the sweep finds what was not told.
REPAIRS: Mapping[tuple[Problem, str], Callable[[Dss, Finding, Replica], str]] = {
    (Problem.LOST, "documents"): _write_document,
    (Problem.CORRUPT, "documents"): _replace_document,
    (Problem.LOST, "events"): _write_publication,
    (Problem.CORRUPT, "events"): _write_publication,
    (Problem.LOST, "journals"): _write_journal,
    (Problem.CORRUPT, "journals"): _replace_journal,
}
