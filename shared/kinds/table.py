"""The table of kinds. A further kind is a module beside this one, and a row here."""

from typing import Any

from shared.identifiers import Kind, ObjectName
from shared.kinds.access import AccessKind
from shared.kinds.base import ObjectKind
from shared.kinds.bundle import BundleKind
from shared.kinds.bundle_tombstone import BundleTombstoneKind
from shared.kinds.collection import CollectionKind
from shared.kinds.collection_tombstone import CollectionTombstoneKind
from shared.kinds.file import FileKind
from shared.kinds.group import GroupKind

# In an order in which a repair can take in what it finds: nothing is seen before its binding is known, and
# who is in the groups that it names; a bundle rests on its files, a tombstone proves right once what it hides
# is known, and a collection rests on what it links to.
_ALL: tuple[ObjectKind[Any], ...] = (
    GroupKind(),
    AccessKind(),
    FileKind(),
    BundleKind(),
    BundleTombstoneKind(),
    CollectionKind(),
    CollectionTombstoneKind(),
)
KINDS: dict[tuple[Kind, bool], ObjectKind[Any]] = {(kind.kind, kind.dead): kind for kind in _ALL}


def find_kind(name: ObjectName) -> ObjectKind[Any] | None:
    """Return the kind of the object of this name; None if the system writes no such object."""
    kind = KINDS.get((name.kind, name.dead))
    return kind if kind and kind.owns(name) else None
