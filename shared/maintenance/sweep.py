"""The sweep: what a replica has lacked, or not been told of, for too long is brought to mind, and counted."""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from shared.clock import Deadline
from shared.errors import ObjectNotFound
from shared.events.journal import uncompacted
from shared.identifiers import moment_of
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.replicas import Replica
from shared.system import Dss

# Seconds that a sweep publishes for. A function has nine minutes, and schedules come every five.
_SECONDS = 240
_AT_ONCE = 32
_BATCH = 1000
# For how long sweeps look whether an object is there that was claimed, and no replica is said to have: what
# a killed writer has written is there when it dies. What comes to light later is the audit's.
_CLAIMED_FOR = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How far a replica is behind; `oldest_seconds` is the age of what has waited longest."""

    replica: str
    objects: int
    oldest_seconds: float


def sweep(dss: Dss, *, older_than: timedelta) -> int:
    """Publish an object event again for what has been missing or unpublished for so long; return how many.

    So too for what a writer wrote that was killed before it could say so, and whose own event was lost.
    Safe to repeat: what an event brings about twice is there once. Ends after _SECONDS, the oldest first in
    each collection; the next sweep finds the rest. Raises Unavailable where an event cannot be published.
    """
    deadline = Deadline(dss.clock, _SECONDS)
    # An object that several replicas lack is one event.
    published: set[ObjectEvent] = set()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for batch in _batches(_overdue(dss, older_than)):
            events = set(batch) - published
            list(threads.map(partial(_publish, dss), events))
            published.update(events)
            if deadline.passed:
                break
    return len(published)


def _overdue(dss: Dss, older_than: timedelta) -> Iterator[ObjectEvent]:
    before = dss.clock.now() - older_than
    for replica in dss.replicas:
        for item in dss.catalog.backlog.missing(replica.name, before=before):
            source = next(filter(None, map(dss.replicas.find, item.available)), None)
            if not item.available and item.since > before - _CLAIMED_FOR:
                source = _holder(dss, item.key)
            if source:
                yield ObjectEvent(replica=source.name, bucket=source.bucket, key=item.key)
        for unpublished in dss.catalog.backlog.unpublished(replica.name, before=before):
            yield ObjectEvent(replica=replica.name, bucket=replica.bucket, key=unpublished.key)


def _holder(dss: Dss, key: str) -> Replica | None:
    """Return a replica that has an object, whatever the catalog says; a request for each."""
    for replica in dss.replicas:
        with contextlib.suppress(ObjectNotFound):
            replica.store.stat(replica.bucket, key)
            return replica
    return None


def _batches(events: Iterator[ObjectEvent]) -> Iterator[list[ObjectEvent]]:
    while batch := list(islice(events, _BATCH)):
        yield batch


def _publish(dss: Dss, event: ObjectEvent) -> None:
    dss.publisher.publish(OBJECT_EVENTS, event.attributes)


def backlogs(dss: Dss) -> Iterator[Backlog]:
    """Yield each replica's backlog: what it lacks and others have. One read for each object that it lacks."""
    for replica in dss.replicas:
        missing = dss.catalog.backlog.missing(replica.name, before=dss.clock.now())
        yield _backlog(dss, replica, [item.since for item in missing if item.available])


def unpublished(dss: Dss) -> Iterator[Backlog]:
    """Yield what each replica has and nobody has been told of there: manifests and tombstones of bundles.

    Counted from when they were written, wherever that was. One read for each, and for each that is still to
    come to the replica.
    """
    for replica in dss.replicas:
        items = dss.catalog.backlog.unpublished(replica.name, before=dss.clock.now())
        yield _backlog(dss, replica, [item.since for item in items])


def unjournalled(dss: Dss) -> Iterator[Backlog]:
    """Yield the events of each replica that are in no journal of many. Costs what `uncompacted` does."""
    for replica in dss.replicas:
        count, oldest = uncompacted(dss, replica.name)
        yield _backlog(dss, replica, [moment_of(oldest)] if oldest else [], objects=count)


def _backlog(dss: Dss, replica: Replica, since: Sequence[datetime], objects: int | None = None) -> Backlog:
    """Return the backlog of what has waited since these moments, and so many objects, or these."""
    # What was claimed by a process whose clock is ahead has not waited yet.
    age = max((dss.clock.now() - min(since)).total_seconds(), 0.0) if since else 0.0
    return Backlog(
        replica=replica.name,
        objects=len(since) if objects is None else objects,
        oldest_seconds=round(age, 1),
    )
