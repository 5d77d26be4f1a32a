"""What a list of a catalogue shows at first: which facets and which columns, by plug-in.

A catalogue of another plug-in than those named here shows its first facets, and as columns what entities of a
type are sorted by and facets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from run.browse.state import State
from shared.errors import IllegalArguments
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field, FieldType

# The order of the tabs, as far as a catalogue has these types.
_TABS = ("projects", "samples", "files", "bundles")
_MOST_FACETS, _MOST_COLUMNS = 12, 6
# Columns that people may choose.
MOST_CHOSEN = 20


@dataclass(frozen=True)
class Sum:
    """What a chart adds up: the first number of documents of a type of entities, for each term of a field."""

    title: str
    unit: str
    entity_type: str
    by: str


_BYTES_BY_FORMAT = Sum("bytesByFormat", "bytes", "files", "fileFormat")


@dataclass(frozen=True, kw_only=True)
class View:
    """What lists of a plug-in show: names of facets, and of columns by type of entity; and sums of charts."""

    facets: Sequence[str]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sums: Sequence[Sum] = ()


_VIEWS: Mapping[str, View] = {
    "hca": View(
        facets=(
            *("genusSpecies", "organ", "organPart", "sampleDisease", "developmentStage", "biologicalSex"),
            *("libraryConstructionApproach", "instrumentManufacturerModel", "fileFormat", "fileSource"),
            *("selectedCellType", "project"),
        ),
        columns={
            "projects": ("projectTitle", "genusSpecies", "organ", "libraryConstructionApproach", "cellCount"),
            "samples": ("sampleId", "genusSpecies", "organ", "organPart", "sampleDisease", "project"),
            "files": ("fileName", "fileFormat", "fileSize", "genusSpecies", "organ", "project"),
            "bundles": ("bundleUuid", "bundleVersion", "genusSpecies", "organ", "fileFormat", "project"),
        },
        sums=(
            _BYTES_BY_FORMAT,
            Sum("bytesByOrgan", "bytes", "files", "organ"),
            Sum("bytesBySpecies", "bytes", "files", "genusSpecies"),
            Sum("bytesByProject", "bytes", "files", "projectTitle"),
            Sum("cellsByOrgan", "cells", "cell_suspensions", "suspensionOrgan"),
            Sum("cellsBySpecies", "cells", "cell_suspensions", "genusSpecies"),
            Sum("cellsByProject", "cells", "cell_suspensions", "projectTitle"),
        ),
    ),
}
_GENERIC: Mapping[str, Sequence[str]] = {
    "files": ("fileName", "fileFormat", "fileSize"),
    "bundles": ("bundleUuid", "bundleVersion", "fileFormat"),
}


def tabs_of(catalogue: Catalogue) -> list[str]:
    """Return the types of entities that a catalogue lists, in the order of the tabs."""
    return sorted(
        catalogue.listed, key=lambda name: (_TABS.index(name) if name in _TABS else len(_TABS), name)
    )


def facets_of(catalogue: Catalogue) -> list[Field]:
    """Return the facets that a list shows with their values."""
    known = catalogue.fields
    view = _VIEWS.get(catalogue.setting.plugin)
    if view is None:
        return [each for each in known.values() if each.is_facet and not each.nested][:_MOST_FACETS]
    return [known[name] for name in view.facets if name in known]


def sums_of(catalogue: Catalogue) -> list[Sum]:
    """Return what charts add up, as far as a catalogue has it."""
    plugin = catalogue.plugin
    view = _VIEWS.get(catalogue.setting.plugin)
    fields = {each.name for each in plugin.fields if each.is_facet}
    return [
        each
        for each in (view.sums if view else (_BYTES_BY_FORMAT,))
        if each.entity_type in plugin.entity_types and each.by in fields
    ]


def other_facets_of(catalogue: Catalogue) -> list[Field]:
    """Return the facets that a list shows by name alone."""
    shown = facets_of(catalogue)
    return [each for each in catalogue.fields.values() if each.is_facet and each not in shown]


def bounded_of(catalogue: Catalogue) -> list[Field]:
    """Return the fields that a list can bound: numbers and days."""
    return [
        each
        for each in catalogue.fields.values()
        if each.type in (FieldType.NUMBER, FieldType.DATE) and not each.is_facet
    ]


def columns_of(catalogue: Catalogue, entity_type: str, state: State) -> list[Field]:
    """Return the columns of a list: those that are chosen, or those that it has at first.

    Raises IllegalArguments for unknown ones, or too many.
    """
    known = catalogue.fields
    if len(state.columns) > MOST_CHOSEN:
        raise IllegalArguments(f"column: {len(state.columns)} columns; choose {MOST_CHOSEN} at most")
    for name in state.columns:
        if name not in known:
            raise IllegalArguments(f"column: {name[:100]!r}: this catalogue has no such field")
    return [known[name] for name in state.columns or _columns(catalogue, entity_type) if name in known]


def _columns(catalogue: Catalogue, entity_type: str) -> Sequence[str]:
    view = _VIEWS.get(catalogue.setting.plugin)
    if view and entity_type in view.columns:
        return view.columns[entity_type]
    first = _GENERIC.get(entity_type, (catalogue.listed[entity_type].default_sort,))
    others = [each.name for each in facets_of(catalogue) if each.name not in first]
    return [*first, *others][:_MOST_COLUMNS]
