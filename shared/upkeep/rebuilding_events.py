"""Events, made anew from one bucket: journals with the times of their events, then whatever is in none.

A document that is kept proves its event. What was never put into a journal has lost its time; it is
journalled now, in the order in which the documents were written, behind all else: who followed the journal
before may meet it twice, and misses nothing. Nobody is told again.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from shared.errors import DssError, NotFound, ObjectNotFound
from shared.events.journal import events_of_index, journal_of_many
from shared.events.telling import event_of, event_type
from shared.identifiers import Fqid, Kind, ObjectName, document_key, event_id, parse_document_key, parse_key
from shared.parallel import in_threads, persistently
from shared.replicas import Replica
from shared.stores.base import StoredObject, read_all
from shared.system import Dss

_THREADS = 32
_INDEX = ".json"


@dataclass(frozen=True, kw_only=True)
class RestoredEvent:
    """What became of the event that a document proves, as of a manifest in `shared.upkeep.rebuilding`."""

    name: ObjectName
    new: bool = False
    failed: str = ""


@dataclass(frozen=True)
class _Proof:
    """A document, what it is about, and whether the journal has its event already."""

    found: StoredObject
    name: ObjectName
    recorded: bool = False
    failed: str = ""

    @property
    def fqid(self) -> Fqid:
        """The bundle version that it is about."""
        return Fqid(self.name.uuid, self.name.version or "")

    @property
    def place(self) -> tuple[float, str]:
        """By which it is put in order: when it was written, then its key."""
        # The key of a tombstone's document sorts behind that of the version's.
        return self.found.written.timestamp() if self.found.written else 0.0, self.found.key


def rebuild_events(dss: Dss, replica: Replica, *, dry_run: bool) -> Iterator[RestoredEvent]:
    """Yield what becomes of each event that a replica's bucket proves; its bundles are in the catalog.

    With `dry_run` nothing is changed, and events that are in journals count as new, too.
    """
    if not dry_run:
        for found in replica.store.list(replica.bucket, "journals/"):
            if found.key.endswith(_INDEX):
                _restore_journal(dss, replica, found.key)
    unrecorded = []
    for proof in in_threads(partial(_proof, dss, replica, dry_run), _documents(replica), threads=_THREADS):
        if proof.recorded or proof.failed or dry_run:
            yield RestoredEvent(name=proof.name, new=not proof.recorded, failed=proof.failed)
        else:
            unrecorded.append(proof)
    for proof in sorted(unrecorded, key=lambda one: one.place):
        yield _recorded(dss, replica, proof)
    if not dry_run:
        _note_tombstones(dss, replica)


def forget_unseen(dss: Dss, replica: Replica, tombstone: ObjectName) -> None:
    """Take versions that have no document on a replica for hidden before they came there.

    For a tombstone that the catalog has just learnt of: whether a version or its tombstone came first, only
    the document tells.
    """
    name = f"{tombstone.uuid}.{tombstone.version}" if tombstone.version else tombstone.uuid
    for head in dss.catalog.bundles.hidden_by(name):
        if head.was_visible(replica.name):
            try:
                replica.store.stat(replica.bucket, document_key(head.fqid, dead=False))
            except ObjectNotFound:
                dss.catalog.bundles.was_never_on(head.fqid, replica.name)


def _restore_journal(dss: Dss, replica: Replica, key: str) -> None:
    events = events_of_index(read_all(replica.store, replica.bucket, key))
    dss.catalog.events.restore(replica.name, events)
    journal = journal_of_many(events)
    # Without its object, the events' times are known all the same, and others may make the journal.
    with suppress(ObjectNotFound):
        if replica.store.stat(replica.bucket, journal.key).size == journal.size:
            dss.catalog.journals.add(journal)


def _documents(replica: Replica) -> Iterator[tuple[StoredObject, ObjectName]]:
    for found in replica.store.list(replica.bucket, "documents/"):
        name = parse_document_key(found.key)
        if name:
            yield found, name


def _proof(dss: Dss, replica: Replica, dry_run: bool, document: tuple[StoredObject, ObjectName]) -> _Proof:
    proof = _Proof(*document)
    try:
        recorded = persistently(dss.clock, lambda: _note(dss, replica, proof, dry_run))
    except DssError as error:
        return _Proof(*document, failed=error.title)
    return _Proof(*document, recorded=recorded)


def _note(dss: Dss, replica: Replica, proof: _Proof, dry_run: bool) -> bool:
    """Note on the head what the document proves; return whether the journal has its event."""
    this = event_id(replica.name, proof.fqid, event_type(dead=proof.name.dead))
    recorded = this in dss.catalog.events.get_many([this])
    if dry_run:
        return recorded
    head = dss.catalog.bundles.head(proof.fqid)
    if head is None:
        raise NotFound(f"{proof.found.key}: the catalog does not know the bundle that it is about")
    if head.hidden and replica.name not in head.hidden_on:
        dss.catalog.bundles.was_hidden_on(proof.fqid, replica.name)
    if recorded and not proof.name.dead and replica.name in head.untold:
        dss.catalog.bundles.told(proof.fqid, replica.name)
    return recorded


def _recorded(dss: Dss, replica: Replica, proof: _Proof) -> RestoredEvent:
    dead = proof.name.dead

    def record() -> None:
        content = read_all(replica.store, replica.bucket, proof.found.key)
        dss.catalog.events.record(event_of(replica.name, proof.fqid, content, dead=dead))
        if not dead:
            dss.catalog.bundles.told(proof.fqid, replica.name)

    try:
        persistently(dss.clock, record)
    except DssError as error:
        return RestoredEvent(name=proof.name, failed=error.title)
    return RestoredEvent(name=proof.name, new=True)


def _note_tombstones(dss: Dss, replica: Replica) -> None:
    """Take what has been told from what the sweep would bring to mind."""
    for found in replica.store.list(replica.bucket, f"{Kind.BUNDLE}/"):
        name = parse_key(found.key)
        known = dss.catalog.scan.tombstone(name.uuid, name.version) if name and name.dead else None
        if known and replica.name in known.untold and _all_told(dss, replica, known.tombstone.name):
            dss.catalog.tombstones.told(known.tombstone, replica.name)


def _all_told(dss: Dss, replica: Replica, tombstone: str) -> bool:
    heads = [head for head in dss.catalog.bundles.hidden_by(tombstone) if head.was_visible(replica.name)]
    ids = [event_id(replica.name, head.fqid, event_type(dead=True)) for head in heads]
    return len(dss.catalog.events.get_many(ids)) == len(ids)
