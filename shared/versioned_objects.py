"""Objects of which the newest of a UUID counts: change it, have a bucket keep it, and put it into effect.

Such an object is immutable like a manifest, `{kind}/{uuid}.{version}`: a change makes another one. So they
are replicated, audited and rebuilt as all other objects are.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from shared.catalog import VersionedCatalog
from shared.catalog.versioned import Current, Versioned
from shared.clock import new_version, next_version
from shared.errors import TooManyUnderWay
from shared.identifiers import Fqid, Kind, manifest_key
from shared.manifests import encode, write_once
from shared.system import Dss

# How often a change starts again because another one was faster.
_ATTEMPTS = 20

R = TypeVar("R", bound=Versioned)


class VersionedObjects(ABC, Generic[R]):
    """One kind of such objects. `noun` begins the names of its fault points, too."""

    kind: Kind
    noun: str

    @abstractmethod
    def catalog(self, dss: Dss) -> VersionedCatalog[R]:
        """Return the catalog of these objects."""

    @abstractmethod
    def document(self, record: R) -> dict[str, Any]:
        """Return the content of an object."""

    @abstractmethod
    def record(self, fqid: Fqid, document: Mapping[str, Any]) -> R:
        """Return what an object's content describes. Raises ValueError, LookupError or TypeError if none."""

    @abstractmethod
    def stamped(self, record: R, fqid: Fqid, by: str) -> R:
        """Return an object with its version and its author."""

    def spread(self, dss: Dss, record: R) -> None:
        """Have everything else in the catalog follow an object that is in effect. Safe to repeat."""


def change_newest(dss: Dss, objects: VersionedObjects[R], first: R, by: str, change: Callable[[R], R]) -> R:
    """Change what counts for the UUID of `first`, which is what `change` gets if there is nothing yet.

    Returns the new object, in effect everywhere. If `change` changes nothing, nothing is written. Safe to
    repeat after a kill at any point: an object that was left on its way is finished first. Raises
    TooManyUnderWay if many others change it at once.
    """
    for _ in range(_ATTEMPTS):
        current = settled(dss, objects, first.fqid.uuid)
        before = current.record if current else first
        changed = change(before)
        if changed == before:
            return before
        new = following(dss, objects, changed, before.fqid, by)
        dss.faults.reach(f"{objects.noun}: before it is claimed")
        if objects.catalog(dss).claim(new, current):
            finish(dss, objects, new)
            return new
    raise TooManyUnderWay(f"{objects.noun} {first.fqid.uuid}: many others change it at once; try again")


def following(dss: Dss, objects: VersionedObjects[R], changed: R, before: Fqid, by: str) -> R:
    """Return an object that follows the one of this FQID, whose version is empty if there is none."""
    version = next_version(dss.clock, before.version) if before.version else new_version(dss.clock)
    return objects.stamped(changed, Fqid(before.uuid, version), by)


def settled(dss: Dss, objects: VersionedObjects[R], uuid: str) -> Current[R] | None:
    """Return what is in effect of a UUID, in one read; finish first what a killed process has left."""
    current = objects.catalog(dss).current(uuid)
    while current and (left := _left_on_its_way(dss, objects, current)):
        finish(dss, objects, left)
        current = objects.catalog(dss).current(uuid)
    return current


def _left_on_its_way(dss: Dss, objects: VersionedObjects[R], current: Current[R]) -> R | None:
    known = objects.catalog(dss).get(Fqid(current.record.fqid.uuid, current.claimed))
    return known if known and not known.available else None


def finish(dss: Dss, objects: VersionedObjects[R], record: R) -> None:
    """Write an object that the catalog has claimed to the primary replica, and put it into effect."""
    dss.faults.reach(f"{objects.noun}: claimed")
    primary = dss.replicas.primary
    write_once(primary, manifest_key(objects.kind, record.fqid), encode(objects.document(record)))
    dss.faults.reach(f"{objects.noun}: object written")
    take_effect(dss, objects, record, primary.name)


def take_effect(dss: Dss, objects: VersionedObjects[R], record: R, replica: str) -> None:
    """Put an object into effect that a replica has.

    Safe to repeat, in any order with others of the UUID: the newest counts.
    """
    catalog = objects.catalog(dss)
    # Everything follows an object before it becomes available anywhere.
    if not record.available:
        catalog.put_into_effect(record)
        dss.faults.reach(f"{objects.noun}: in effect")
        current = catalog.current(record.fqid.uuid)
        if current and current.record.fqid == record.fqid:
            objects.spread(dss, record)
    catalog.make_available(record.fqid, replica)
    dss.faults.reach(f"{objects.noun}: available")
