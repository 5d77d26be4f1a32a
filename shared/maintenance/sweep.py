"""The sweep: publish object events again for what a replica has lacked, or not published, too long."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from shared.catalog import Measured, Queue, Queued
from shared.clock import Deadline
from shared.errors import NotYetThere, ObjectNotFound
from shared.events.journal import uncompacted
from shared.identifiers import moment_of, parse_key
from shared.kinds import KINDS, ObjectKind, find_kind
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.system import Dss

# Seconds that one sweep publishes for. A function may take nine minutes, and the schedule is every five.
_SECONDS = 240
_AT_ONCE = 32
_BATCH = 1000
# How far before its oldest object, or before what is not overdue, a queue is taken to begin: a head that is
# written now may have the time of a clock that is behind, or of a commit that was retried.
_MARGIN = timedelta(minutes=10)
# When queues were last looked through from their first head, and how often they are.
_WHOLE, _WHOLE_EVERY = "whole", timedelta(days=1)
# Objects that are counted of a kind and queue; a read for each thousand.
_MOST_COUNTED = 1_000_000
# Counts at once.
_COUNTS = 8
# For how long sweeps look for the object of a claim that is available nowhere: if a killed writer has written
# one, it is there from then on. Later it is the audit that finds it.
_CLAIMED_FOR = timedelta(days=1)
# For how long sweeps leave an object alone after its event has become a dead letter.
_LEFT_ALONE = timedelta(days=1)
_FOR_GOOD = datetime(9999, 1, 1, tzinfo=UTC)
# The work that brings an object to other replicas.
REPLICATION = "sync"


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How far a replica is behind; `oldest_seconds` is the age of the oldest object.

    `left_alone` counts those of which an event has become a dead letter. There may be more of both unless it
    `is_all`.
    """

    replica: str
    objects: int
    oldest_seconds: float
    left_alone: int = 0
    is_all: bool = True


def sweep(dss: Dss, *, older_than: timedelta) -> int:
    """Publish an object event for all that has been missing or unpublished for so long; return how many.

    Includes objects whose writer was killed before it could update the catalog. Safe to repeat. Ends after
    _SECONDS, the oldest first in each collection; the next sweep finds the rest. Raises Unavailable if an
    event cannot be published. Leaves alone what `leave_alone` names.
    """
    deadline = Deadline(dss.clock, _SECONDS)
    # An object that several replicas lack is one event.
    published: set[ObjectEvent] = set()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for batch in _batches(_overdue(dss, dss.clock.now() - older_than)):
            events = set(batch) - published
            list(threads.map(partial(_publish, dss), events))
            published.update(events)
            if deadline.passed:
                break
    return len(published)


def _overdue(dss: Dss, before: datetime) -> Iterator[ObjectEvent]:
    starts = _move_on(dss, before)
    for replica in dss.replicas:
        for queue in _queues(replica):
            found = dss.catalog.backlog.queued(KINDS.values(), queue, before=before, start=starts[queue.name])
            for item in found:
                source = replica if queue.outbox else _source(dss, item)
                if source and not _is_left_alone(dss, item.left_alone, _work_of(queue)):
                    yield ObjectEvent(replica=source.name, bucket=source.bucket, key=item.key)
    for claim in dss.catalog.backlog.claimed(KINDS.values(), after=before - _CLAIMED_FOR, before=before):
        if not _is_left_alone(dss, claim.left_alone, REPLICATION) and (holder := _holder(dss, claim.key)):
            yield ObjectEvent(replica=holder.name, bucket=holder.bucket, key=claim.key)


def _move_on(dss: Dss, before: datetime) -> Mapping[str, datetime]:
    """Have queues begin a little before their oldest object, or before what is not overdue; return where.

    Once a day they are looked through from their first head, should a clock have been far behind.
    """
    backlog, now = dss.catalog.backlog, dss.clock.now()
    known = backlog.starts()
    whole = known.get(_WHOLE)
    if whole is None or now - whole >= _WHOLE_EVERY:
        # Before it is tried: if it takes too long, the next sweep does its part.
        backlog.set_starts({**known, _WHOLE: now})
        known, whole = {}, now
    moved = {_WHOLE: whole}
    for queue in (queue for replica in dss.replicas for queue in _queues(replica)):
        start = known.get(queue.name)
        found = [backlog.oldest(kind, queue, start=start) for kind in KINDS.values()]
        moved[queue.name] = min([before, *filter(None, found)]) - _MARGIN
    backlog.set_starts(moved)
    return moved


def _queues(replica: Replica) -> tuple[Queue, Queue]:
    return Queue(replica=replica.name), Queue(replica=replica.name, outbox=True)


def _work_of(queue: Queue) -> str:
    """Return the name of the work that takes an object from a queue."""
    return publication_on(queue.replica) if queue.outbox else REPLICATION


def _source(dss: Dss, item: Queued) -> Replica | None:
    return next(filter(None, map(dss.replicas.find, item.available)), None)


def _is_left_alone(dss: Dss, left_alone: Mapping[str, datetime], work: str) -> bool:
    return work in left_alone and dss.clock.now() < left_alone[work]


def publication_on(replica: str) -> str:
    """Return the name of the work that publishes the event of an object on a replica."""
    return f"index {replica}"


def leave_alone(dss: Dss, event: ObjectEvent, work: str, error: Exception | None) -> None:
    """Have sweeps leave an object alone whose event is a dead letter: an operator may replay that.

    For a day; for good if there is no error, because the event has killed the function each time, and would
    do so again. An object that waits for others (NotYetThere) is not left alone.
    """
    name = parse_key(event.key)
    kind = find_kind(name) if name else None
    if name and kind and not isinstance(error, NotYetThere):
        until = dss.clock.now() + _LEFT_ALONE if error else _FOR_GOOD
        dss.catalog.backlog.leave_alone(kind, name, work, until=until)


def _holder(dss: Dss, key: str) -> Replica | None:
    """Return a replica whose bucket has an object; a request for each replica."""
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


def backlogs(dss: Dss, *, most: int = _MOST_COUNTED) -> Iterator[Backlog]:
    """Yield each replica's backlog: objects that it lacks and others have. Reads none of them but the oldest.

    Up to `most` objects of a kind are counted, a read for each thousand.
    """
    for replica in dss.replicas:
        yield _backlog(dss, _queues(replica)[0], most)


def unpublished(dss: Dss, *, most: int = _MOST_COUNTED) -> Iterator[Backlog]:
    """Yield the backlog of each replica's unpublished events, from manifests and tombstones of bundles.

    Their age counts from when they were claimed on any replica. Costs and `most` are those of `backlogs`.
    """
    for replica in dss.replicas:
        yield _backlog(dss, _queues(replica)[1], most)


def unjournalled(dss: Dss) -> Iterator[Backlog]:
    """Yield the events of each replica that are in no journal of many. Costs what `uncompacted` does."""
    for replica in dss.replicas:
        count, oldest = uncompacted(dss, replica.name)
        age = _age(dss, moment_of(oldest) if oldest else None)
        yield Backlog(replica=replica.name, objects=count, oldest_seconds=age)


def _backlog(dss: Dss, queue: Queue, most: int) -> Backlog:
    start = dss.catalog.backlog.starts().get(queue.name)

    def measure(kind: ObjectKind[Any]) -> Measured:
        return dss.catalog.backlog.measure(kind, queue, start=start, most=most)

    found = list(map_in_threads(measure, KINDS.values(), threads=_COUNTS))
    return Backlog(
        replica=queue.replica,
        objects=sum(one.objects for one in found),
        oldest_seconds=_age(dss, min((one.since for one in found if one.since), default=None)),
        left_alone=sum(one.left_alone for one in found),
        is_all=all(one.is_all for one in found),
    )


def _age(dss: Dss, since: datetime | None) -> float:
    # A moment may be in the future if the clock of the process that claimed the object is ahead.
    return round(max((dss.clock.now() - since).total_seconds(), 0.0), 1) if since else 0.0
