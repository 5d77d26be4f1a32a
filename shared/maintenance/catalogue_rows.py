"""Catalogue and catalog side by side: what a catalogue holds of bundle versions, and what it should."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile

from shared.access import labels_of
from shared.catalog import BundleHead
from shared.errors import IllegalArguments
from shared.explore.base import DELETED, WITHDRAWN
from shared.explore.catalogues import Catalogue
from shared.explore.upkeep import Held
from shared.identifiers import Fqid
from shared.maintenance.index_check import all_of_them
from shared.maintenance.merge import by_key, side_by_side
from shared.system import Dss

# States of what nobody sees, or is to see.
_GONE = (DELETED, WITHDRAWN)


@dataclass(frozen=True, kw_only=True)
class CatalogueRow:
    """A bundle version: its head in the catalog, and what a catalogue holds of it."""

    catalogue: Catalogue
    fqid: Fqid
    head: BundleHead | None
    held: Held | None

    @property
    def belongs(self) -> bool:
        """Whether the version is to be in the catalogue, perhaps as one that has failed."""
        head, setting = self.head, self.catalogue.setting
        if head is None or head.hidden or not self.fqid.uuid.startswith(setting.prefix):
            return False
        return head.was_visible(setting.replica)

    @property
    def is_in(self) -> bool:
        """Whether the catalogue holds the version as one that is there."""
        return self.held is not None and self.held.state not in _GONE

    @property
    def labels(self) -> frozenset[str]:
        """The labels of those who may read the version now."""
        return labels_of(self.head.content_readers) if self.head else frozenset()

    @property
    def has_right_readers(self) -> bool:
        """Whether those see the version who may read it."""
        return not self.is_in or (self.held is not None and self.held.labels == self.labels)


def rows(
    dss: Dss,
    catalogue: Catalogue,
    *,
    prefix: str = "",
    after: Fqid | None = None,
    enough: Callable[[Fqid], bool] = all_of_them,
) -> Iterator[CatalogueRow]:
    """Yield all bundle versions that the catalog or a catalogue knows, in order: of UUIDs with a prefix.

    `enough` returns whether a version is the last one to read.
    """
    both = _narrower(prefix, catalogue.setting.prefix)
    # What is in the catalogue, though not by its present configuration, is seen if no prefix is asked for.
    held = dss.catalogues.upkeep.held(catalogue, after=after, prefix=prefix)
    start = str(after or "")
    heads: Iterator[BundleHead] = iter(())
    if both is not None:
        found_heads = dss.catalog.scan.bundles(max(start, both))
        heads = takewhile(lambda head: head.fqid.uuid.startswith(both), found_heads)
    known = by_key((head for head in heads if str(head.fqid) > start), lambda head: str(head.fqid))
    for name, head, found in side_by_side(known, {"": by_key(held, lambda one: str(one.fqid))}):
        fqid = Fqid.parse(name)
        yield CatalogueRow(catalogue=catalogue, fqid=fqid, head=head, held=found.get(""))
        if enough(fqid):
            return


def _narrower(one: str, other: str) -> str | None:
    """Return the prefix of what has both prefixes; None if nothing has."""
    if one.startswith(other):
        return one
    return other if other.startswith(one) else None


def chosen(
    dss: Dss, names: Sequence[str] = (), *, replicas: Sequence[str] = (), sources: Sequence[str] = ()
) -> list[Catalogue]:
    """Return the catalogues with these names, of these replicas, and of these sources; all by default.

    A source is named by `GET /index/catalogs`, and `*` in it is any characters. Raises IllegalArguments if
    there is none, or none with a name.
    """
    known = dss.catalogues.catalogues()
    for name in names:
        if name not in known:
            listed = ", ".join(known) or "none: set DSS_CATALOGUES"
            raise IllegalArguments(f"catalogue {name[:80]!r} does not exist; there are {listed}")
    found = [
        each
        for each in known.values()
        if (not names or each.name in names)
        and (not replicas or each.setting.replica in replicas)
        and (not sources or any(fnmatchcase(each.source["spec"], source) for source in sources))
    ]
    if not found:
        raise IllegalArguments("there is no such catalogue; DSS_CATALOGUES lists those that there are")
    return found
