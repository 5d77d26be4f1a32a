"""The columns of manifests of HCA files, in the predecessor's order and by its names."""

from collections.abc import Mapping, Sequence

from shared.explore.manifests.columns import Column, file_columns

# By the list of a document: the column, and the key in the list's inner entities.
_OF_LISTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "cell_suspensions": (
        ("cell_suspension.provenance.document_id", "document_id"),
        ("cell_suspension.biomaterial_core.biomaterial_id", "biomaterial_id"),
        ("cell_suspension.estimated_cell_count", "total_estimated_cells"),
        ("cell_suspension.selected_cell_type", "selected_cell_type"),
    ),
    "sequencing_processes": (("sequencing_process.provenance.document_id", "document_id"),),
    "sequencing_protocols": (
        ("sequencing_protocol.instrument_manufacturer_model", "instrument_manufacturer_model"),
        ("sequencing_protocol.paired_end", "paired_end"),
    ),
    "library_preparation_protocols": (
        ("library_preparation_protocol.library_construction_approach", "library_construction_approach"),
        ("library_preparation_protocol.nucleic_acid_source", "nucleic_acid_source"),
    ),
    "projects": (
        ("project.provenance.document_id", "document_id"),
        ("project.contributors.institution", "institutions"),
        ("project.contributors.laboratory", "laboratory"),
        ("project.project_core.project_short_name", "project_short_name"),
        ("project.project_core.project_title", "project_title"),
        ("project.estimated_cell_count", "estimated_cell_count"),
    ),
    "specimens": (
        ("specimen_from_organism.provenance.document_id", "document_id"),
        ("specimen_from_organism.diseases", "disease"),
        ("specimen_from_organism.organ", "organ"),
        ("specimen_from_organism.organ_part", "organ_part"),
        ("specimen_from_organism.preservation_storage.preservation_method", "preservation_method"),
    ),
    "donors": (
        ("donor_organism.sex", "biological_sex"),
        ("donor_organism.biomaterial_core.biomaterial_id", "biomaterial_id"),
        ("donor_organism.provenance.document_id", "document_id"),
        ("donor_organism.genus_species", "genus_species"),
        ("donor_organism.development_stage", "development_stage"),
        ("donor_organism.diseases", "diseases"),
        ("donor_organism.organism_age", "organism_age"),
    ),
    "cell_lines": (
        ("cell_line.provenance.document_id", "document_id"),
        ("cell_line.biomaterial_core.biomaterial_id", "biomaterial_id"),
    ),
    "organoids": (
        ("organoid.provenance.document_id", "document_id"),
        ("organoid.biomaterial_core.biomaterial_id", "biomaterial_id"),
        ("organoid.model_organ", "model_organ"),
        ("organoid.model_organ_part", "model_organ_part"),
    ),
    "samples": (
        ("_entity_type", "entity_type"),
        ("sample.provenance.document_id", "document_id"),
        ("sample.biomaterial_core.biomaterial_id", "biomaterial_id"),
    ),
    "sequencing_inputs": (
        ("sequencing_input.provenance.document_id", "document_id"),
        ("sequencing_input.biomaterial_core.biomaterial_id", "biomaterial_id"),
        ("sequencing_input_type", "sequencing_input_type"),
    ),
}

COLUMNS: tuple[Column, ...] = (
    *file_columns(
        file_document_id="document_id",
        file_type="file_type",
        file_name="name",
        file_format="file_format",
        read_index="read_index",
        file_size="size",
        file_uuid="uuid",
        file_version="version",
        file_crc32c="crc32c",
        file_sha256="sha256",
        file_content_type="content-type",
    ),
    *(Column(name, listed, key) for listed, rows in _OF_LISTS.items() for name, key in rows),
)

# In tables with types, there are times besides.
TYPED_COLUMNS: tuple[Column, ...] = tuple(
    Column(f"file_{name}", "dates", name) for name in ("submission_date", "update_date", "last_modified_date")
)
