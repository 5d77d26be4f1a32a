"""Rebuild the catalog from one bucket alone.

Purges, groups and bindings come first, then events, then files, bundles, tombstones and collections, and at
last subscriptions.

At every moment a read on the replica sees nothing that it would not have seen when the bucket was written,
and nothing is published twice: so sweeps, events and deletions may go on meanwhile. Safe to repeat: a rebuild
that was stopped goes on when it is started again, and one from another replica adds that replica.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, takewhile
from typing import Any

from shared.errors import DssError, Gone, NotYetThere
from shared.identifiers import Kind, ObjectName, parse_key
from shared.kinds import KINDS, ObjectKind
from shared.maintenance.event_rebuild import RestoredEvent, rebuild_events, restore_events
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import retry
from shared.system import Dss
from shared.webhooks.saved_subscriptions import restore_subscriptions

# Objects that are restored at once. An object takes six round trips, one after the other, and some 4 ms of
# CPU time: where a round trip takes 30 ms, a core is busy with so many.
THREADS = 64
EVENTS = "events"
SUBSCRIPTIONS = "subscriptions"


@dataclass(frozen=True, kw_only=True)
class Restored:
    """The outcome for one manifest, tombstone, event or subscription.

    `failed` says why it is not in the catalog, else it is empty. `new`: the catalog had to learn of it, or
    would have to. `waits`: what it rests on is not there.
    """

    section: str
    key: str
    new: bool = False
    failed: str = ""
    waits: bool = False


@dataclass(frozen=True)
class Named:
    """An object in a bucket, and the FQIDs and UUIDs that tombstones of its UUID there name."""

    name: ObjectName
    hidden: frozenset[str]


def section_names() -> tuple[str, ...]:
    """Return the sections of a rebuild, in its order."""
    before, after = around_events()
    return (*(kind.section for kind in before), EVENTS, *(kind.section for kind in after), SUBSCRIPTIONS)


def _ordered() -> list[ObjectKind[Any]]:
    """Return all kinds, each after those that it rests on.

    A nested kind comes last: it may rest on everything else, unless a tombstone hides that.
    """
    return sorted(KINDS.values(), key=lambda kind: kind.nested)


def around_events() -> tuple[list[ObjectKind[Any]], list[ObjectKind[Any]]]:
    """Return the kinds that come before events, and those that come after them.

    Purges, groups and bindings are known before anything can be seen of what they remove or bind.
    """
    kinds = _ordered()
    count = kinds.index(KINDS[Kind.ACCESS, False]) + 1
    return kinds[:count], kinds[count:]


def rebuild(dss: Dss, replica: Replica, *, dry_run: bool = False) -> Iterator[Restored]:
    """Yield the outcome for every object in a replica's bucket, section by section (`section_names`).

    What a purge names is skipped.

    Afterwards the catalog knows all that the bucket proves, and reads on this replica answer as they did when
    the bucket was written. An object that is not proved fails, and the rest goes on. With `dry_run` nothing
    is changed, and only the catalog is asked. Raises what the store's listing raises.
    """
    before, after = around_events()
    for kind in before:
        yield from _restored_kind(dss, replica, kind, dry_run=dry_run)
    yield from map(_of_event, rebuild_events(dss, replica, dry_run=dry_run))
    for kind in after:
        yield from _restored_kind(dss, replica, kind, dry_run=dry_run)
    yield from restored_subscriptions(dss, replica, dry_run=dry_run)


def _of_event(event: RestoredEvent) -> Restored:
    return Restored(section=EVENTS, key=event.key, new=event.new, failed=event.failed)


def restored_subscriptions(dss: Dss, replica: Replica, *, dry_run: bool = False) -> Iterator[Restored]:
    """Yield the outcome for every subscription that a bucket has."""
    for one in restore_subscriptions(dss, replica, dry_run=dry_run):
        yield Restored(section=SUBSCRIPTIONS, key=one.key, new=one.new, failed=one.failed)


def restored_events(dss: Dss, replica: Replica, keys: Sequence[str]) -> Iterator[Restored]:
    """Restore some journals by the keys of their indexes, or publications; see `rebuild_events`."""
    return map(_of_event, restore_events(dss, replica, keys))


def restored_objects(
    dss: Dss, replica: Replica, kind: ObjectKind[Any], names: Iterable[Named], *, dry_run: bool = False
) -> Iterator[tuple[Named, Restored]]:
    """Restore objects of a kind in threads, and yield each with its outcome, in order."""
    work = partial(_restored, dss, replica, kind, dry_run)
    return map_in_threads(work, names, threads=THREADS)


def _restored_kind(dss: Dss, replica: Replica, kind: ObjectKind[Any], *, dry_run: bool) -> Iterator[Restored]:
    """Yield the outcome for every object of a kind."""
    names: Iterable[Named] = objects_of(replica, kind)
    while names:
        waiting: list[tuple[Named, Restored]] = []
        progress = False
        for named, restored in restored_objects(dss, replica, kind, names, dry_run=dry_run):
            if kind.nested and restored.waits:
                waiting.append((named, restored))
                continue
            progress = progress or restored.new
            yield restored
        # Names are in no order of nesting: those that wait are tried again while others are restored.
        if not progress:
            yield from (restored for _, restored in waiting)
            break
        names = [named for named, _ in waiting]


def objects_of(replica: Replica, kind: ObjectKind[Any], after: str = "", until: str = "") -> Iterator[Named]:
    """Yield the objects of a kind whose keys are after one, up to `until` if it is given, in order of key.

    `until` splits no UUID.
    """
    folder = f"{kind.kind}/"
    listed = (stored.key for stored in replica.store.list(replica.bucket, folder, after=after))
    inside = takewhile(lambda key: not until or key <= until, listed)
    parsed = (name for key in inside if (name := parse_key(key)))
    # A tombstone sorts after what it hides, so none of it is before `after`.
    for _, of_uuid in groupby(parsed, lambda name: name.uuid):
        names = list(of_uuid)
        hidden = frozenset(name.subject for name in names if name.dead)
        yield from (Named(name, hidden) for name in names if kind.owns(name))


def _restored(
    dss: Dss, replica: Replica, kind: ObjectKind[Any], dry_run: bool, named: Named
) -> tuple[Named, Restored]:
    key = named.name.key
    work = (
        partial(kind.lacks, dss, named.name, replica)
        if dry_run
        else partial(_restore, dss, replica, kind, named)
    )
    try:
        new = retry(dss.clock, work)
    except Gone:
        return named, Restored(section=kind.section, key=key)
    except DssError as error:
        waits = isinstance(error, NotYetThere)
        return named, Restored(section=kind.section, key=key, failed=error.title, waits=waits)
    return named, Restored(section=kind.section, key=key, new=new)


def _restore(dss: Dss, replica: Replica, kind: ObjectKind[Any], named: Named) -> bool:
    """Restore one object with its history; return whether the catalog had to learn of it."""
    record, new = kind.learn(dss, named.name, replica)
    # Before reads see it, and before a sweep takes it for unpublished.
    kind.recall(dss, record, replica, named.hidden)
    if new:
        kind.make_available(dss, record, replica.name)
    return new
