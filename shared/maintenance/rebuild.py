"""The catalog, made anew from one bucket alone: events first, then files, bundles, tombstones, collections.

At every moment, what can be seen on the replica was to be seen there when the bucket was written, and is as
much told as it was then: so sweeps, events and deletions may go on meanwhile.
Everything may be done twice: a rebuild that was stopped goes on by being started again, and one from a
further replica adds that replica to what is there.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from shared.catalog import BundleTombstone
from shared.errors import DssError, NotYetThere
from shared.identifiers import Fqid, Kind, ObjectName, parse_key
from shared.maintenance.rebuild_events import all_were_published, rebuild_events, was_published, was_seen
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.restore import restore, restore_bundle, restore_tombstone
from shared.retry import retry
from shared.system import Dss

# Objects that are restored at once. Firestore: a new load should begin with 500 writes a second at most; each
# object takes two writes and about six round trips, so these make some hundreds.
_THREADS = 32


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What became of a manifest, tombstone or event.

    `failed` says why it is not in the catalog, else it is empty. `new` tells whether the catalog had to
    learn of it, or would have to; `waits` that what it rests on is not there.
    """

    section: str
    key: str
    new: bool = False
    failed: str = ""
    waits: bool = False


_Look = Callable[[Dss, ObjectName, Replica], bool]


def _lacks_file(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    record = dss.catalog.files.get(Fqid(name.uuid, name.version or ""))
    return record is None or replica.name not in record.available


def _lacks_bundle(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    head = dss.catalog.bundles.head(Fqid(name.uuid, name.version or ""))
    return head is None or replica.name not in head.available


def _lacks_tombstone(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    known = dss.catalog.scan.tombstone(name.uuid, name.version)
    return known is None or replica.name not in known.available


def _lacks_collection(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    head = dss.catalog.collections.head(Fqid(name.uuid, name.version or ""))
    return head is None or replica.name not in head.available


def _lacks_collection_tombstone(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    known = dss.catalog.collection_tombstones.get(name.uuid)
    return known is None or replica.name not in known.available


@dataclass(frozen=True, kw_only=True)
class _Section:
    """Objects of one kind, alive or dead; `lacks` tells whether the catalog has to learn of one."""

    name: str
    kind: Kind
    dead: bool
    lacks: _Look
    # Whether some of them rest on others of them, in no order of their names.
    nested: bool = False


# In this order: a bundle rests on its files, a collection on what it links to, unless that is hidden, and a
# tombstone of bundles on what it hides.
_SECTIONS = (
    _Section(name="files", kind=Kind.FILE, dead=False, lacks=_lacks_file),
    _Section(name="bundles", kind=Kind.BUNDLE, dead=False, lacks=_lacks_bundle),
    _Section(name="tombstones", kind=Kind.BUNDLE, dead=True, lacks=_lacks_tombstone),
    _Section(
        name="collection_tombstones", kind=Kind.COLLECTION, dead=True, lacks=_lacks_collection_tombstone
    ),
    _Section(name="collections", kind=Kind.COLLECTION, dead=False, lacks=_lacks_collection, nested=True),
)
_EVENTS = "events"
SECTION_NAMES = (_EVENTS, *(section.name for section in _SECTIONS))


def rebuild(dss: Dss, replica: Replica, *, dry_run: bool = False) -> Iterator[Restored]:
    """Yield what becomes of every event in a replica's bucket, and then of every manifest and tombstone.

    When it is through, the catalog knows all that the bucket proves, and reads on this replica answer as they
    did when that was written. What cannot be proven is told, and does not stop the rest. With `dry_run`
    nothing is changed, and only the catalog asked. Raises what the store's listing raises.
    """
    for event in rebuild_events(dss, replica, dry_run=dry_run):
        yield Restored(section=_EVENTS, key=event.key, new=event.new, failed=event.failed)
    tombstones = frozenset(map(_hidden, _names(replica, Kind.BUNDLE, dead=True)))
    for section in _SECTIONS:
        restore_one = section.lacks if dry_run else partial(_restore, tombstones)
        work = partial(_restored, dss, replica, section, restore_one)
        names: Iterable[ObjectName] = _names(replica, section.kind, dead=section.dead)
        while names:
            waiting: list[tuple[ObjectName, Restored]] = []
            learnt = False
            for name, restored in map_in_threads(work, names, threads=_THREADS):
                if section.nested and restored.waits:
                    waiting.append((name, restored))
                    continue
                learnt = learnt or restored.new
                yield restored
            # What waits for another one is tried again, as long as others come to be there.
            if not learnt:
                yield from (restored for _, restored in waiting)
                break
            names = [name for name, _ in waiting]


def _hidden(tombstone: ObjectName) -> str:
    """Return the FQID or UUID that a tombstone hides."""
    return f"{tombstone.uuid}.{tombstone.version}" if tombstone.version else tombstone.uuid


def _names(replica: Replica, kind: Kind, *, dead: bool) -> Iterator[ObjectName]:
    for found in replica.store.list(replica.bucket, f"{kind}/"):
        name = parse_key(found.key)
        if name and name.dead is dead:
            yield name


def _restored(
    dss: Dss, replica: Replica, section: _Section, restore: _Look, name: ObjectName
) -> tuple[ObjectName, Restored]:
    try:
        new = retry(dss.clock, lambda: restore(dss, name, replica))
    except DssError as error:
        waits = isinstance(error, NotYetThere)
        return name, Restored(section=section.name, key=name.key, failed=error.title, waits=waits)
    return name, Restored(section=section.name, key=name.key, new=new)


def _restore(tombstones: Container[str], dss: Dss, name: ObjectName, replica: Replica) -> bool:
    if name.kind is not Kind.BUNDLE:
        return restore(dss, name, replica)
    if name.dead:
        return restore_tombstone(dss, name, replica, before=partial(_before_tombstone, dss, replica))[1]
    fqid = Fqid(name.uuid, name.version or "")
    before = partial(_before_bundle, tombstones, dss, replica, fqid)
    head, new = restore_bundle(dss, fqid, replica, before=before)
    if not new and replica.name in head.unpublished and was_published(dss, replica, fqid):
        # The catalog was older than the bucket.
        dss.catalog.bundles.mark_published(fqid, replica.name)
    return new


def _before_bundle(tombstones: Container[str], dss: Dss, replica: Replica, fqid: Fqid) -> None:
    """Hide a version that is hidden, and note that it was told of, before anybody can come by it."""
    for hidden in (str(fqid), fqid.uuid):
        if hidden in tombstones:
            seen = was_seen(replica, fqid)
            dss.catalog.tombstones.had_hidden(hidden, fqid, replica.name, seen=seen)
            break
    if was_published(dss, replica, fqid):
        dss.catalog.bundles.mark_published(fqid, replica.name)


def _before_tombstone(dss: Dss, replica: Replica, tombstone: BundleTombstone) -> None:
    """Note that a tombstone was told of, before the sweep can take it for one that was not."""
    if all_were_published(dss, replica, tombstone):
        dss.catalog.tombstones.mark_published(tombstone, replica.name)
