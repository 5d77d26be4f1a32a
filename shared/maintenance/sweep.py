"""The sweep: publish object events again for what a replica has lacked, or not published, too long."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from shared.catalog import Missing, Unpublished
from shared.clock import Deadline
from shared.errors import NotYetThere, ObjectNotFound
from shared.events.journal import uncompacted
from shared.identifiers import moment_of, parse_key
from shared.kinds import KINDS, find_kind
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.replicas import Replica
from shared.system import Dss

# Seconds that one sweep publishes for. A function may take nine minutes, and the schedule is every five.
_SECONDS = 240
_AT_ONCE = 32
_BATCH = 1000
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

    `left_alone` counts those that sweeps leave alone, as their event has become a dead letter. There may be
    more of both unless it `is_all`.
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
        for missing in dss.catalog.backlog.missing(KINDS.values(), replica.name, before=before):
            if _is_left_alone(dss, missing.left_alone, REPLICATION):
                continue
            source = next(filter(None, map(dss.replicas.find, missing.available)), None)
            if not missing.available and missing.since > before - _CLAIMED_FOR:
                source = _holder(dss, missing.key)
            if source:
                yield ObjectEvent(replica=source.name, bucket=source.bucket, key=missing.key)
        for unpublished in dss.catalog.backlog.unpublished(KINDS.values(), replica.name, before=before):
            if not _is_left_alone(dss, unpublished.left_alone, publication_on(replica.name)):
                yield ObjectEvent(replica=replica.name, bucket=replica.bucket, key=unpublished.key)


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


def backlogs(dss: Dss, *, most: int | None = None) -> Iterator[Backlog]:
    """Yield each replica's backlog: objects that it lacks and others have. One read for each of them.

    With `most`, so many objects of a kind are looked at, those that wait longest.
    """
    for replica in dss.replicas:
        yield _backlog(dss, dss.catalog.backlog.missing, replica, REPLICATION, most)


def unpublished(dss: Dss, *, most: int | None = None) -> Iterator[Backlog]:
    """Yield the backlog of each replica's unpublished events, from manifests and tombstones of bundles.

    Their age counts from when they were claimed on any replica. One read for each, and for each that is still
    to come to the replica. `most` is as in `backlogs`.
    """
    for replica in dss.replicas:
        yield _backlog(dss, dss.catalog.backlog.unpublished, replica, publication_on(replica.name), most)


def unjournalled(dss: Dss) -> Iterator[Backlog]:
    """Yield the events of each replica that are in no journal of many. Costs what `uncompacted` does."""
    for replica in dss.replicas:
        count, oldest = uncompacted(dss, replica.name)
        age = _age(dss, [moment_of(oldest)] if oldest else [])
        yield Backlog(replica=replica.name, objects=count, oldest_seconds=age)


def _backlog(
    dss: Dss,
    find: Callable[..., Iterator[Missing | Unpublished]],
    replica: Replica,
    work: str,
    most: int | None,
) -> Backlog:
    since: list[datetime] = []
    left_alone, is_all = 0, True
    for kind in KINDS.values():
        looked_at = 0
        for item in islice(find((kind,), replica.name, before=dss.clock.now()), most):
            looked_at += 1
            # What is available nowhere is a claim whose writer was killed.
            if isinstance(item, Unpublished) or item.available:
                since.append(item.since)
                left_alone += _is_left_alone(dss, item.left_alone, work)
        is_all &= looked_at != most
    return Backlog(
        replica=replica.name,
        objects=len(since),
        oldest_seconds=_age(dss, since),
        left_alone=left_alone,
        is_all=is_all,
    )


def _age(dss: Dss, since: Sequence[datetime]) -> float:
    # A moment may be in the future if the clock of the process that claimed the object is ahead.
    age = max((dss.clock.now() - min(since)).total_seconds(), 0.0) if since else 0.0
    return round(age, 1)
