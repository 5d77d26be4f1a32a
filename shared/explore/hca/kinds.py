"""The types of the values in documents of HCA files: the predecessor's schema of PFB files."""

from collections.abc import Mapping

from shared.explore.manifests.kinds import (
    DOUBLE,
    FLAG,
    LONG,
    TEXT,
    Kind,
    Listed,
    Record,
    Uuid,
    or_null,
)


def _each(kind: Kind, names: str) -> dict[str, Kind]:
    return dict.fromkeys(names.split(), kind)


_TEXTS, _FLAGS = Listed(TEXT), Listed(FLAG)
_FILE: Mapping[str, Kind] = {
    **_each(TEXT, "document_id content-type"),
    "indexed": FLAG,
    **_each(TEXT, "name crc32c sha256"),
    "size": LONG,
    "uuid": Uuid(),
    **_each(TEXT, "drs_uri version file_type file_format"),
    "content_description": _TEXTS,
    "is_intermediate": FLAG,
    **_each(TEXT, "file_source _type read_index"),
    **_each(LONG, "lane_index matrix_cell_count"),
}
# Matrices are of projects alone; their fields are lists, as of all that is merged.
_MERGED_FILE = {
    name: kind if isinstance(kind, Listed | Uuid) else Listed(kind) for name, kind in _FILE.items()
}
_MATRIX = Record({"document_id": _TEXTS, "file": Listed(Record(_MERGED_FILE))})
_SPECIMEN = Record(
    _each(
        _TEXTS,
        "document_id biomaterial_id has_input_biomaterial _source disease organ organ_part storage_method"
        " preservation_method _type",
    )
)
_CELL_LINE = Record(_each(_TEXTS, "document_id biomaterial_id cell_line_type model_organ"))
_ORGANOID = Record(_each(_TEXTS, "document_id biomaterial_id model_organ model_organ_part"))

KINDS: Mapping[str, Kind] = {
    "samples": Record(
        _each(
            _TEXTS,
            "document_id biomaterial_id entity_type organ organ_part model_organ model_organ_part"
            " effective_organ",
        )
    ),
    "sample_cell_lines": _CELL_LINE,
    "sample_organoids": _ORGANOID,
    "sample_specimens": _SPECIMEN,
    "sequencing_inputs": Record(_each(_TEXTS, "document_id biomaterial_id sequencing_input_type")),
    "specimens": _SPECIMEN,
    "cell_suspensions": Record(
        {
            **_each(_TEXTS, "document_id biomaterial_id"),
            **_each(LONG, "total_estimated_cells total_estimated_cells_redundant"),
            **_each(_TEXTS, "selected_cell_type organ organ_part"),
        }
    ),
    "cell_lines": _CELL_LINE,
    "donors": Record(
        {
            **_each(
                _TEXTS, "document_id biomaterial_id biological_sex genus_species development_stage diseases"
            ),
            "organism_age": Listed(or_null(Record(_each(TEXT, "value unit")))),
            "organism_age_range": Listed(Listed(DOUBLE)),
            "donor_count": LONG,
        }
    ),
    "organoids": _ORGANOID,
    "files": Record(_FILE),
    "analysis_protocols": Record(_each(_TEXTS, "document_id workflow")),
    "imaging_protocols": Record(_each(_TEXTS, "document_id")),
    "library_preparation_protocols": Record(
        _each(_TEXTS, "document_id library_construction_approach nucleic_acid_source")
    ),
    "sequencing_protocols": Record(
        {**_each(_TEXTS, "document_id instrument_manufacturer_model"), "paired_end": _FLAGS}
    ),
    "sequencing_processes": Record(_each(_TEXTS, "document_id")),
    # A number of documents, and no entity; the predecessor's files name it among these.
    "total_estimated_cells": LONG,
    "matrices": _MATRIX,
    "contributed_analyses": _MATRIX,
    "projects": Record(
        {
            **_each(
                _TEXTS,
                "document_id project_title project_description project_short_name laboratory institutions"
                " contact_names",
            ),
            "contributors": Listed(
                Record(
                    {
                        "contact_name": _TEXTS,
                        "corresponding_contributor": _FLAGS,
                        **_each(_TEXTS, "email institution laboratory project_role"),
                    }
                )
            ),
            "publication_titles": _TEXTS,
            "publications": Listed(
                Record(
                    {
                        **_each(_TEXTS, "publication_title publication_url"),
                        "official_hca_publication": _FLAGS,
                        "doi": _TEXTS,
                    }
                )
            ),
            **_each(_TEXTS, "supplementary_links _type"),
            "accessions": Listed(Record(_each(TEXT, "namespace accession"))),
            "is_tissue_atlas_project": _FLAGS,
            "tissue_atlas": Listed(Record(_each(TEXT, "atlas version"))),
            "bionetwork_name": _TEXTS,
            "estimated_cell_count": LONG,
            "data_use_restriction": _TEXTS,
        }
    ),
    "dates": Record(
        _each(
            _TEXTS,
            "document_id aggregate_last_modified_date aggregate_submission_date aggregate_update_date"
            " submission_date update_date last_modified_date",
        )
    ),
}
