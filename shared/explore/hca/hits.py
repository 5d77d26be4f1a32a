"""Makes the answers of the API, in the predecessor's form, of the documents of the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.hca.strata import DIMENSIONS, parse_stratum

Document = Mapping[str, Any]
Inner = Mapping[str, Json]
# The name in the answer, and the key of the inner entity.
Renaming = Sequence[tuple[str, str]]

_PROTOCOLS: Sequence[tuple[str, Renaming]] = (
    ("analysis_protocols", (("workflow", "workflow"),)),
    ("imaging_protocols", (("assayType", "assay_type"),)),
    (
        "library_preparation_protocols",
        (
            ("libraryConstructionApproach", "library_construction_approach"),
            ("nucleicAcidSource", "nucleic_acid_source"),
        ),
    ),
    (
        "sequencing_protocols",
        (
            ("instrumentManufacturerModel", "instrument_manufacturer_model"),
            ("pairedEnd", "paired_end"),
        ),
    ),
)
_PROJECT: Renaming = (
    ("projectId", "document_id"),
    ("projectTitle", "project_title"),
    ("projectShortname", "project_short_name"),
    ("laboratory", "laboratory"),
    ("estimatedCellCount", "estimated_cell_count"),
    ("isTissueAtlasProject", "is_tissue_atlas_project"),
    ("tissueAtlas", "tissue_atlas"),
    ("bionetworkName", "bionetwork_name"),
    ("dataUseRestriction", "data_use_restriction"),
)
_CONTRIBUTOR: Renaming = (
    ("contactName", "contact_name"),
    ("correspondingContributor", "corresponding_contributor"),
    ("email", "email"),
    ("institution", "institution"),
    ("laboratory", "laboratory"),
    ("projectRole", "project_role"),
)
_PUBLICATION: Renaming = (
    ("publicationTitle", "publication_title"),
    ("publicationUrl", "publication_url"),
    ("officialHcaPublication", "official_hca_publication"),
    ("doi", "doi"),
)
_SPECIMEN: Renaming = (
    ("id", "biomaterial_id"),
    ("organ", "organ"),
    ("organPart", "organ_part"),
    ("disease", "disease"),
    ("preservationMethod", "preservation_method"),
    ("source", "_source"),
)
_CELL_LINE: Renaming = (
    ("id", "biomaterial_id"),
    ("cellLineType", "cell_line_type"),
    ("modelOrgan", "model_organ"),
)
_ORGANOID: Renaming = (
    ("id", "biomaterial_id"),
    ("modelOrgan", "model_organ"),
    ("modelOrganPart", "model_organ_part"),
)
_DONOR: Renaming = (
    ("id", "biomaterial_id"),
    ("donorCount", "donor_count"),
    ("developmentStage", "development_stage"),
    ("genusSpecies", "genus_species"),
    ("organismAge", "organism_age"),
    ("organismAgeRange", "organism_age_range"),
    ("biologicalSex", "biological_sex"),
    ("disease", "diseases"),
)
_SUSPENSION: Renaming = (
    ("organ", "organ"),
    ("organPart", "organ_part"),
    ("selectedCellType", "selected_cell_type"),
    ("totalCells", "total_estimated_cells"),
    ("totalCellsRedundant", "total_estimated_cells_redundant"),
)
_DATES: Renaming = (
    ("submissionDate", "submission_date"),
    ("updateDate", "update_date"),
    ("lastModifiedDate", "last_modified_date"),
    ("aggregateSubmissionDate", "aggregate_submission_date"),
    ("aggregateUpdateDate", "aggregate_update_date"),
    ("aggregateLastModifiedDate", "aggregate_last_modified_date"),
)
_FILE: Renaming = (
    ("contentDescription", "content_description"),
    ("format", "file_format"),
    ("isIntermediate", "is_intermediate"),
    ("name", "name"),
    ("sha256", "sha256"),
    ("size", "size"),
    ("fileSource", "file_source"),
    ("uuid", "uuid"),
    ("version", "version"),
    ("matrixCellCount", "matrix_cell_count"),
    ("drs_uri", "drs_uri"),
)
_SUMMARY: Renaming = (
    ("format", "file_format"),
    ("count", "count"),
    ("fileSource", "file_source"),
    ("totalSize", "size"),
    ("matrixCellCount", "matrix_cell_count"),
    ("isIntermediate", "is_intermediate"),
    ("contentDescription", "content_description"),
)
_SAMPLES: Sequence[tuple[str, str, Renaming]] = (
    ("sample_specimens", "specimens", _SPECIMEN),
    ("sample_cell_lines", "cell_lines", _CELL_LINE),
    ("sample_organoids", "organoids", _ORGANOID),
)
_UNSPECIFIED = "Unspecified"


def _rename(names: Renaming) -> Callable[[Inner], dict[str, Json]]:
    return lambda inner: {name: inner.get(key) for name, key in names}


def _listed(contents: Mapping[str, Sequence[Inner]], name: str, names: Renaming) -> list[dict[str, Json]]:
    return list(map(_rename(names), contents.get(name, ())))


def hit(entity_type: str, document: Document) -> dict[str, Json]:
    """Return a document as the API shows it."""
    contents = document["contents"]
    answer = {
        "entryId": document["entity_id"],
        "protocols": [each for name, names in _PROTOCOLS for each in _listed(contents, name, names)],
        "sources": [{"sourceId": each["id"], "sourceSpec": each["spec"]} for each in document["sources"]],
        "projects": [_project(entity_type, each, contents) for each in contents.get("projects", ())],
        "samples": [
            each
            for name, kind, names in _SAMPLES
            for each in _samples(entity_type, contents, name, kind, names)
        ],
        "specimens": _listed(contents, "specimens", _SPECIMEN),
        "cellLines": _listed(contents, "cell_lines", _CELL_LINE),
        "donorOrganisms": _listed(contents, "donors", _DONOR),
        "organoids": _listed(contents, "organoids", _ORGANOID),
        "cellSuspensions": _listed(contents, "cell_suspensions", _SUSPENSION),
        "dates": _listed(contents, "dates", _DATES),
    }
    if entity_type in ("files", "bundles"):
        answer["files"] = _listed(contents, "files", _FILE)
        bundles = document["bundles"]
        answer["bundles"] = [
            {"bundleUuid": each["uuid"], "bundleVersion": each["version"]} for each in bundles
        ]
    else:
        answer["fileTypeSummaries"] = _listed(contents, "files", _SUMMARY)
    return answer


def _samples(
    entity_type: str, contents: Mapping[str, Sequence[Inner]], name: str, kind: str, names: Renaming
) -> list[dict[str, Json]]:
    single = entity_type == "samples"
    organ = "organ" if kind == "specimens" else "model_organ"
    samples = []
    for inner in contents.get(name, ()):
        effective = inner.get(organ)
        samples.append(
            {
                "sampleEntityType": kind if single else [kind],
                "effectiveOrgan": effective,
                **_rename(names)(inner),
            }
        )
    return samples


def _project(entity_type: str, inner: Inner, contents: Mapping[str, Sequence[Inner]]) -> dict[str, Json]:
    fields = _rename(_PROJECT)(inner)
    fields["laboratory"] = sorted(inner.get("laboratory") or [])
    if entity_type == "projects":
        fields |= {
            "projectDescription": inner["project_description"],
            "contributors": list(map(_rename(_CONTRIBUTOR), inner["contributors"])),
            "publications": list(map(_rename(_PUBLICATION), inner["publications"])),
            "supplementaryLinks": inner["supplementary_links"],
            "accessions": inner["accessions"],
            "matrices": matrix_tree(contents.get("matrices", ())),
            "contributedAnalyses": matrix_tree(contents.get("contributed_analyses", ())),
        }
    return fields


def matrix_tree(matrices: Sequence[Inner]) -> dict[str, Json]:
    """Return matrix files in a tree of dimension, value, dimension, … with lists of files at its leaves.

    A dimension that no file has is left out; files without one that others have are `Unspecified` in it.
    """
    strata = [
        (parse_stratum(line), _rename(_FILE)(file))
        for matrix in matrices
        for file in matrix["file"]
        for line in file["strata"].split("\n")
    ]
    dimensions = [name for name in DIMENSIONS if any(name in stratum for stratum, _ in strata)]
    tree: dict[str, Any] = {}
    for stratum, file in strata:
        _add(tree, dimensions, stratum, file)
    return tree


def _add(
    tree: dict[str, Any], dimensions: Sequence[str], stratum: Mapping[str, list[str]], file: Inner
) -> None:
    if not dimensions:
        return
    dimension, *rest = dimensions
    values = tree.setdefault(dimension, {})
    for value in stratum.get(dimension, [_UNSPECIFIED]):
        if rest:
            _add(values.setdefault(value, {}), rest, stratum, file)
        else:
            values.setdefault(value, []).append(file)
