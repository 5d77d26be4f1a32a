"""The numbers of the predecessor's summary: what is summed of each document, and what is made of the sums."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.query import Summaries, Summed

Document = Mapping[str, Any]


def sums(entity_type: str, document: Document) -> list[int]:
    """Return the numbers of a document that its type's part of the summary adds up."""
    contents = document["contents"]
    if entity_type == "files":
        (file,) = contents["files"]
        return [file["size"], file.get("matrix_cell_count") or 0]
    if entity_type == "cell_suspensions":
        return [document["cell_count"]]
    if entity_type == "projects":
        return _project(document)
    return []


def _project(document: Document) -> list[int]:
    """Return a project's estimate and its count of cells, each apart if there is no other, and in which case
    it is."""
    estimate = max(
        (each["estimated_cell_count"] or 0 for each in document["contents"]["projects"]), default=0
    )
    cells = document["cell_count"]
    if not cells:
        return [1, estimate, 0, 0, 0, 0, 0]
    if not estimate:
        return [0, 0, 1, cells, 0, 0, 0]
    return [0, 0, 0, 0, 1, estimate, cells]


def summary(ask: Summaries) -> dict[str, Json]:
    """Return the predecessor's summary: each number comes from the documents of one type."""
    files, _ = ask.counts("files")
    _, samples = ask.counts("samples", "effectiveOrgan", "genusSpecies")
    projects, of_projects = ask.counts("projects", "laboratory")
    donors, specimens = ask.distinct("samples", "donorId", "specimenId")
    by_format = ask.sums("files", by="fileFormat")
    by_organ = ask.sums("cell_suspensions", by="suspensionOrgan")
    return {
        "projectCount": projects,
        "specimenCount": specimens,
        "speciesCount": samples["genusSpecies"].values,
        "donorCount": donors,
        "labCount": of_projects["laboratory"].values,
        "fileCount": files,
        "totalFileSize": float(sum(each.sums[0] for each in by_format)),
        "organTypes": [term for term, _ in samples["effectiveOrgan"].terms],
        "fileTypeSummaries": [_of_format(each) for each in by_format if each.term is not None],
        "cellCountSummaries": [_of_organ(each) for each in by_organ],
        "projects": _cells_of_projects(ask.sums("projects")),
    }


def _of_format(summed: Summed) -> dict[str, Json]:
    size, cells = map(float, summed.sums)
    return {"format": summed.term, "count": summed.n, "totalSize": size, "matrixCellCount": cells}


def _of_organ(summed: Summed) -> dict[str, Json]:
    return {
        "organType": [summed.term],
        "countOfDocsWithOrganType": summed.n,
        "totalCellCountByOrgan": float(summed.sums[0]),
    }


def _cells_of_projects(summed: Sequence[Summed]) -> list[dict[str, Json]]:
    """Return the cells of projects that have an estimate alone, a count alone, or both."""
    if not summed:
        return []
    estimated, estimates, counted, counts, both, both_estimates, both_counts = summed[0].sums
    rows = (
        (estimated, float(estimates), None),
        (counted, None, float(counts)),
        (both, float(both_estimates), float(both_counts)),
    )
    return [
        {"projects": {"estimatedCellCount": estimate}, "cellSuspensions": {"totalCells": count}}
        for projects, estimate, count in rows
        if projects
    ]
