"""How what several bundles say of one entity becomes the one document that is searched and shown."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.tallies import (
    ENTITIES,
    Accumulator,
    Counts,
    Merge,
    Merges,
    Slot,
    common,
    distinct_number,
    greatest,
    least,
    most_frequent,
    number,
    total,
    value_set,
)

_DATES: dict[str, Accumulator] = {
    "submission_date": least,
    "update_date": greatest,
    "last_modified_date": greatest,
    "aggregate_submission_date": least,
    "aggregate_update_date": greatest,
    "aggregate_last_modified_date": greatest,
}
_MERGES: Mapping[str, Merge] = {
    "donors": Merge(
        whole=frozenset(("organism_age_range",)), derived={"donor_count": ("biomaterial_id", distinct_number)}
    ),
    "cell_suspensions": Merge(
        fields={"total_estimated_cells": total, "total_estimated_cells_redundant": total}, group_by=("organ",)
    ),
    "projects": Merge(
        fields={"estimated_cell_count": greatest},
        drop=frozenset(("project_description", "contact_names", "contributors", "publications")),
    ),
    "files": Merge(
        fields={
            "content_description": value_set,
            "file_format": common,
            "is_intermediate": common,
            "file_source": value_set,
            "size": total,
            "matrix_cell_count": total,
        },
        derived={"count": (ENTITIES, number), "matrix_cell_count": ("matrix_cell_count", total)},
        only=True,
        group_by=("content_description", "file_format", "is_intermediate"),
    ),
    "imaging_protocols": Merge(fields={"assay_type": most_frequent}, whole=frozenset(("assay_type",))),
    "dates": Merge(fields=_DATES, only=True),
    "matrices": Merge(fields={"file": value_set}, only=True),
    "contributed_analyses": Merge(fields={"file": value_set}, only=True),
}
# Lists that aren't merged, because they are of the entity itself; bundles show all of their files.
_OWN: Mapping[str, tuple[str, ...]] = {
    "files": ("files",),
    "cell_suspensions": ("cell_suspensions",),
    "samples": ("samples", "sample_specimens", "sample_cell_lines", "sample_organoids"),
    "projects": ("projects",),
    "bundles": ("files",),
}
# What nobody sees of entities that may be in any number of bundles, each of which has others of these.
_UNSEEN: Mapping[str, Merge] = {
    "cell_suspensions": replace(
        _MERGES["cell_suspensions"], drop=frozenset(("document_id", "biomaterial_id"))
    ),
    **{
        name: replace(_MERGES.get(name, Merge()), drop=frozenset(("document_id",)))
        for name in (
            "analysis_protocols",
            "imaging_protocols",
            "library_preparation_protocols",
            "sequencing_protocols",
        )
    },
    "sequencing_inputs": Merge(omit=True),
    "sequencing_processes": Merge(omit=True),
}
_GROWING = ("samples", "projects")
MERGES: Mapping[str, Merges] = {
    entity_type: Merges(
        {
            **_MERGES,
            **(_UNSEEN if entity_type in _GROWING else {}),
            **dict.fromkeys(own, Merge(as_they_are=True)),
        }
    )
    for entity_type, own in _OWN.items()
}


def document(entity_type: str, tallies: Mapping[Slot, Counts]) -> dict[str, Any]:
    """Return an entity's document, of the counts of its inner entities' values."""
    contents = MERGES[entity_type].contents(tallies)
    suspensions = contents.get("cell_suspensions", [])
    cells = sum(each["total_estimated_cells"] or 0 for each in suspensions)
    return {
        "contents": contents,
        "cell_count": cells,
        "effective_cell_count": _effective_cells(entity_type, contents, cells),
    }


def _effective_cells(entity_type: str, contents: Mapping[str, list[dict[str, Json]]], cells: int) -> int:
    """Return the number of cells of a project as it is estimated, and of all else as it is counted."""
    estimates = [each["estimated_cell_count"] for each in contents["projects"]]
    if entity_type != "projects" or estimates == [None]:
        return cells
    return max((each for each in estimates if each is not None), default=cells)
