"""Catalogue plug-ins: what a bundle's metadata mean, and how entities are filtered, merged and shown.

A plug-in is found by its name in a catalogue's configuration, here or as an entry point of another
distribution.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.explore.bundle_metadata import BundleMetadata, Contribution, Json
from shared.explore.fields import Field
from shared.explore.query import Summaries
from shared.explore.tallies import Counts, Merges, Slot
from shared.plugins import chosen


@dataclass(frozen=True)
class EntityType:
    """A type of entity that people list: how it is sorted by default, and the largest page."""

    default_sort: str
    default_order: str = "asc"
    max_size: int = 1000
    is_listed: bool = True


class Plugin(Protocol):
    """Says what the catalogue shows of bundles; the same plug-in always makes the same of the same bundle."""

    entity_types: Mapping[str, EntityType]
    fields: tuple[Field, ...]
    merges: Mapping[str, Merges]

    def accepts(self, bundle: BundleMetadata) -> bool:
        """Return whether a bundle belongs into a catalogue of this plug-in; others are left out, not
        failed."""
        ...

    def contributions(self, bundle: BundleMetadata) -> list[Contribution]:
        """Return what a bundle says of each of its entities. Raises UnusableMetadata."""
        ...

    def document(self, entity_type: str, tallies: Mapping[Slot, Counts]) -> dict[str, Any]:
        """Return an entity's document, of the counts of its inner entities' values."""
        ...

    def hit(self, entity_type: str, document: Mapping[str, Any]) -> dict[str, Json]:
        """Return a document as the API shows it."""
        ...

    def sums(self, entity_type: str, document: Mapping[str, Any]) -> list[int]:
        """Return numbers of a document that summaries add up; always as many of a type.

        Those of a file begin with its size in bytes.
        """
        ...

    def summary(self, ask: Summaries) -> dict[str, Json]:
        """Return what there is in all, of the sums and counts of documents."""
        ...

    def words(self, document: Mapping[str, Any]) -> str:
        """Return the text of a document whose words it is found by."""
        ...


# Of all that plug-ins of this package merge, sort and count by. Counts that were kept by other rules can't be
# changed by these, so another one needs new catalogues.
RULES = "1"

PLUGIN_GROUP = "dss.explore"
PLUGINS: Mapping[str, str] = {
    "hca": "shared.explore.hca.plugin:HcaPlugin",
    "generic": "shared.explore.generic.plugin:GenericPlugin",
}


def open_plugin(name: str, **options: Any) -> Plugin:
    """Return a plug-in by its name, made with its options: `host`, the host of DRS ids, and those of its
    catalogue's configuration.

    Raises ValueError if there is none of that name, or if it does not take the options.
    """
    make = chosen(PLUGIN_GROUP, PLUGINS, name, "there is no catalogue plug-in").load()
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        known = ", ".join(sorted(each for each in inspect.signature(make).parameters if each != "host"))
        raise ValueError(
            f"the catalogue plug-in {name!r} can't be made: {error}; its options are: {known or 'none'}"
        ) from None
    opened: Plugin = make(**options)
    return opened


def rules_of(plugin: Plugin) -> str:
    """Return which rules a plug-in merges, sorts and counts by: a catalogue is written by the same alone.

    A plug-in of another distribution may have an attribute `rules`.
    """
    return str(getattr(plugin, "rules", RULES))
