"""Replication: what one replica has appears on all others, whole and proved, in any order of events.

A file's blob goes before its manifest; a bundle waits for its files, a collection for what it links to, and a
tombstone for nothing: `shared.kinds` has the steps of each. Content becomes available on a replica only after
its store has proved it. Every event may come twice, and several at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from shared.errors import Gone
from shared.identifiers import ObjectName, parse_key
from shared.kinds import ObjectKind, find_kind
from shared.manifests import write_once
from shared.messages import FINALIZED, ObjectEvent
from shared.replicas import Replica
from shared.system import Dss


@dataclass(frozen=True, kw_only=True)
class Replicated:
    """An object that became available on a replica; `bytes` of content were copied for it."""

    key: str
    replica: str
    bytes: int = 0


def replicate(
    dss: Dss, event: ObjectEvent, report: Callable[[Replicated], None] = lambda _: None
) -> list[Replicated]:
    """Bring the object of an event to all replicas that lack it; `report` each, and return them.

    Does nothing for objects that aren't manifests or tombstones of the system, and for those of what was
    removed for good. Raises NotYetThere if what the object rests on is not at its destination yet, and
    Unavailable or StoreError if a cloud fails; another
    attempt goes on from there. If one replica fails, the others are served first.
    """
    name = parse_key(event.key)
    source = dss.replicas.find(event.replica)
    if name is None or source is None or event.event_type != FINALIZED or event.bucket != source.bucket:
        return []
    if (source.name, event.key) in dss.arriving:
        # The event of a copy that another thread is making. If that is killed, its own event comes again.
        return []
    kind = find_kind(name)
    done = []
    # What was removed for good meanwhile is not brought back.
    with suppress(Gone):
        for replicated in _replicate(dss, kind, name, source) if kind else ():
            report(replicated)
            done.append(replicated)
    return done


def _replicate(dss: Dss, kind: ObjectKind[Any], name: ObjectName, source: Replica) -> Iterator[Replicated]:
    """Restore an object and bring it to each replica that lacks it; then raise the first error."""
    record, new = kind.restore(dss, name, source)
    if new:
        yield Replicated(key=name.key, replica=source.name)
    errors: list[Exception] = []
    for destination in dss.replicas:
        if destination.name in record.available:
            continue
        try:
            done = _bring(dss, kind, record, source, destination)
        except Exception as error:  # noqa: BLE001 # raised below, when the other replicas have been served
            errors.append(error)
        else:
            if done:
                yield Replicated(key=name.key, replica=destination.name, bytes=kind.content_size(record))
    if errors:
        raise errors[0]


def _bring(dss: Dss, kind: ObjectKind[Any], record: Any, source: Replica, destination: Replica) -> bool:
    """Make an object available at a destination; False if the copy workflow goes on from here."""
    if not kind.bring_content(dss, record, source, destination):
        return False
    key = kind.name_of(record).key
    document = kind.document_to_copy(dss, record, source)
    with _arriving(dss, destination, key):
        write_once(destination, key, document)
        dss.faults.reach(kind.written)
        kind.make_available(dss, record, destination.name)
    return True


@contextmanager
def _arriving(dss: Dss, destination: Replica, key: str) -> Iterator[None]:
    """Let other threads know, within the block, that an object arrives at a destination."""
    arrival = (destination.name, key)
    dss.arriving.add(arrival)
    try:
        yield
    finally:
        dss.arriving.discard(arrival)
