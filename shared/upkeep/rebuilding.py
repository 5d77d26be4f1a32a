"""The catalog, made anew from one bucket alone: files first, then bundles, tombstones, collections.

Everything may be done twice: a rebuild that was stopped goes on by being started again, and one from a
further replica adds that replica to what is there.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from shared.errors import DssError, NotYetThere
from shared.identifiers import Fqid, Kind, ObjectName, parse_key
from shared.parallel import in_threads, persistently
from shared.replicas import Replica
from shared.restoring import restore
from shared.system import Dss
from shared.upkeep.rebuilding_events import forget_unseen, rebuild_events

# Objects that are restored at once. Firestore: a new load should begin with 500 writes a second at most; each
# object takes two writes and about six round trips, so these make some hundreds.
_THREADS = 32


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What became of a manifest or tombstone; `failed` says why it is not in the catalog, else it is empty.

    `new` tells whether the catalog had to learn of it, or would have to; `waits` that what it rests on is not
    there.
    """

    section: str
    name: ObjectName
    new: bool = False
    failed: str = ""
    waits: bool = False

    @property
    def key(self) -> str:
        """The key of the object."""
        return self.name.key


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
SECTION_NAMES = (*(section.name for section in _SECTIONS), _EVENTS)


def rebuild(dss: Dss, replica: Replica, *, dry_run: bool = False) -> Iterator[Restored]:
    """Yield what becomes of every manifest and tombstone in a replica's bucket, and then of every event.

    When it is through, the catalog knows all that the bucket proves, and reads on this replica answer as they
    did when that was written. What cannot be proven is told, and does not stop the rest. With `dry_run`
    nothing is changed, and only the catalog asked. Raises what the store's listing raises.
    """
    for section in _SECTIONS:
        work = partial(_restored, dss, replica, section, section.lacks if dry_run else _restore)
        names: Iterable[ObjectName] = _names(replica, section)
        while names:
            waiting: list[Restored] = []
            learnt = False
            for restored in in_threads(work, names, threads=_THREADS):
                if section.nested and restored.waits:
                    waiting.append(restored)
                    continue
                learnt = learnt or restored.new
                yield restored
            # What waits for another one is tried again, as long as others come to be there.
            if not learnt:
                yield from waiting
                break
            names = [restored.name for restored in waiting]
    for event in rebuild_events(dss, replica, dry_run=dry_run):
        yield Restored(section=_EVENTS, name=event.name, new=event.new, failed=event.failed)


def _restore(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    new = restore(dss, name, replica)
    if new and name.dead and name.kind is Kind.BUNDLE:
        forget_unseen(dss, replica, name)
    return new


def _names(replica: Replica, section: _Section) -> Iterator[ObjectName]:
    for found in replica.store.list(replica.bucket, f"{section.kind}/"):
        name = parse_key(found.key)
        if name and name.dead is section.dead:
            yield name


def _restored(dss: Dss, replica: Replica, section: _Section, restore: _Look, name: ObjectName) -> Restored:
    try:
        new = persistently(dss.clock, lambda: restore(dss, name, replica))
    except DssError as error:
        waits = isinstance(error, NotYetThere)
        return Restored(section=section.name, name=name, failed=error.title, waits=waits)
    return Restored(section=section.name, name=name, new=new)
