"""The catalog, made anew from one bucket alone: files first, then bundles, then tombstones.

Everything may be done twice: a rebuild that was stopped goes on by being started again, and one from a
further replica adds that replica to what is there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from shared.errors import DssError
from shared.identifiers import Fqid, Kind, ObjectName, parse_key
from shared.parallel import in_threads, persistently
from shared.replicas import Replica
from shared.restoring import restore_bundle, restore_file, restore_tombstone
from shared.system import Dss

# Objects that are restored at once. Firestore: a new load should begin with 500 writes a second at most; each
# object takes two writes and about six round trips, so these make some hundreds.
_THREADS = 32


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What became of a manifest or tombstone; `failed` says why it is not in the catalog, else it is empty.

    `new` tells whether the catalog had to learn of it, or would have to.
    """

    section: str
    key: str
    new: bool = False
    failed: str = ""


_Restore = Callable[[Dss, ObjectName, Replica], bool]


def _file(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    return restore_file(dss, Fqid(name.uuid, name.version or ""), replica)[1]


def _bundle(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    return restore_bundle(dss, Fqid(name.uuid, name.version or ""), replica)[1]


def _tombstone(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    return restore_tombstone(dss, name, replica)[1]


def _lacks_file(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    record = dss.catalog.files.get(Fqid(name.uuid, name.version or ""))
    return record is None or replica.name not in record.available


def _lacks_bundle(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    head = dss.catalog.bundles.head(Fqid(name.uuid, name.version or ""))
    return head is None or replica.name not in head.available


def _lacks_tombstone(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    known = dss.catalog.scan.tombstone(name.uuid, name.version)
    return known is None or replica.name not in known.available


# In this order: a bundle rests on its files, a tombstone on what it hides. What restores an object of the
# kind, and what tells whether that is needed.
_SECTIONS: tuple[tuple[str, Kind, bool, _Restore, _Restore], ...] = (
    ("files", Kind.FILE, False, _file, _lacks_file),
    ("bundles", Kind.BUNDLE, False, _bundle, _lacks_bundle),
    ("tombstones", Kind.BUNDLE, True, _tombstone, _lacks_tombstone),
)


def rebuild(dss: Dss, replica: Replica, *, dry_run: bool = False) -> Iterator[Restored]:
    """Yield what becomes of every manifest and tombstone in a replica's bucket, in order of section and key.

    When it is through, the catalog knows all that the bucket proves, and reads on this replica answer as they
    did when that was written. What cannot be proven is told, and does not stop the rest. With `dry_run`
    nothing is changed, and only the catalog asked. Raises what the store's listing raises.
    """
    for section, kind, dead, restore, lacks in _SECTIONS:
        work = partial(_restored, dss, replica, section, lacks if dry_run else restore)
        yield from in_threads(work, _names(replica, kind, dead), threads=_THREADS)


def _names(replica: Replica, kind: Kind, dead: bool) -> Iterator[ObjectName]:
    for found in replica.store.list(replica.bucket, f"{kind}/"):
        name = parse_key(found.key)
        if name and name.dead is dead:
            yield name


def _restored(dss: Dss, replica: Replica, section: str, restore: _Restore, name: ObjectName) -> Restored:
    try:
        new = persistently(dss.clock, lambda: restore(dss, name, replica))
    except DssError as error:
        return Restored(section=section, key=name.key, failed=error.title)
    return Restored(section=section, key=name.key, new=new)
