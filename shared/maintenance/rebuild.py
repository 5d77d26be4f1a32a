"""Rebuild the catalog from one bucket alone.

Purges, groups and bindings come first, then events, then files, bundles, tombstones and collections, and at
last subscriptions.

At every moment a read on the replica sees nothing that it would not have seen when the bucket was written,
and nothing is published twice: so sweeps, events and deletions may go on meanwhile. Safe to repeat: a rebuild
that was stopped goes on when it is started again, and one from another replica adds that replica.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.errors import DssError, Gone, NotYetThere
from shared.identifiers import Kind, ObjectName, parse_key
from shared.kinds import KINDS, ObjectKind
from shared.maintenance.event_rebuild import rebuild_events
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import retry
from shared.system import Dss
from shared.webhooks.saved_subscriptions import restore_subscriptions

# Objects that are restored at once. Firestore: a new load should begin with at most 500 writes a second; an
# object takes two writes and about six round trips, so these threads make some hundred.
_THREADS = 32
_EVENTS = "events"
_SUBSCRIPTIONS = "subscriptions"


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


def section_names() -> tuple[str, ...]:
    """Return the sections of a rebuild, in its order."""
    before, after = _around_events()
    return (*(kind.section for kind in before), _EVENTS, *(kind.section for kind in after), _SUBSCRIPTIONS)


def _ordered() -> list[ObjectKind[Any]]:
    """Return all kinds, each after those that it rests on.

    A nested kind comes last: it may rest on everything else, unless a tombstone hides that.
    """
    return sorted(KINDS.values(), key=lambda kind: kind.nested)


def _around_events() -> tuple[list[ObjectKind[Any]], list[ObjectKind[Any]]]:
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
    hidden = frozenset(name.subject for name in _names(replica, KINDS[Kind.BUNDLE, True]))
    before, after = _around_events()
    for kind in before:
        yield from _restored_kind(dss, replica, kind, hidden, dry_run=dry_run)
    for event in rebuild_events(dss, replica, dry_run=dry_run):
        yield Restored(section=_EVENTS, key=event.key, new=event.new, failed=event.failed)
    for kind in after:
        yield from _restored_kind(dss, replica, kind, hidden, dry_run=dry_run)
    for one in restore_subscriptions(dss, replica, dry_run=dry_run):
        yield Restored(section=_SUBSCRIPTIONS, key=one.key, new=one.new, failed=one.failed)


def _restored_kind(
    dss: Dss, replica: Replica, kind: ObjectKind[Any], hidden: Collection[str], *, dry_run: bool
) -> Iterator[Restored]:
    """Yield the outcome for every object of a kind."""
    work = partial(_restored, dss, replica, kind, hidden, dry_run)
    names: Iterable[ObjectName] = _names(replica, kind)
    while names:
        waiting: list[tuple[ObjectName, Restored]] = []
        progress = False
        for name, restored in map_in_threads(work, names, threads=_THREADS):
            if kind.nested and restored.waits:
                waiting.append((name, restored))
                continue
            progress = progress or restored.new
            yield restored
        # Names are in no order of nesting: those that wait are tried again while others are restored.
        if not progress:
            yield from (restored for _, restored in waiting)
            break
        names = [name for name, _ in waiting]


def _names(replica: Replica, kind: ObjectKind[Any]) -> Iterator[ObjectName]:
    for stored in replica.store.list(replica.bucket, f"{kind.kind}/"):
        name = parse_key(stored.key)
        if name and kind.owns(name):
            yield name


def _restored(
    dss: Dss,
    replica: Replica,
    kind: ObjectKind[Any],
    hidden: Collection[str],
    dry_run: bool,
    name: ObjectName,
) -> tuple[ObjectName, Restored]:
    work = (
        partial(kind.lacks, dss, name, replica)
        if dry_run
        else partial(_restore, dss, replica, kind, hidden, name)
    )
    try:
        new = retry(dss.clock, work)
    except Gone:
        return name, Restored(section=kind.section, key=name.key)
    except DssError as error:
        waits = isinstance(error, NotYetThere)
        return name, Restored(section=kind.section, key=name.key, failed=error.title, waits=waits)
    return name, Restored(section=kind.section, key=name.key, new=new)


def _restore(
    dss: Dss, replica: Replica, kind: ObjectKind[Any], hidden: Collection[str], name: ObjectName
) -> bool:
    """Restore one object with its history; return whether the catalog had to learn of it."""
    record, new = kind.learn(dss, name, replica)
    # Before reads see it, and before a sweep takes it for unpublished.
    kind.recall(dss, record, replica, hidden)
    if new:
        kind.make_available(dss, record, replica.name)
    return new
