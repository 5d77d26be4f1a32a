"""The fields of inner entities: one row for each field of a type, with what reads it from a document.

The names of fields are those of the predecessor's index, which its users filter by.
"""

from collections.abc import Callable, Mapping
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.hca.documents import Entity
from shared.explore.hca.values import (
    Document,
    age_range,
    distinct,
    field_label,
    field_labels,
    first,
    label,
    labels,
)

Reader = Callable[[Document], Any]
_ACCESSIONS = "_accessions"


def _at(*path: str) -> Reader:
    """Return a reader of a nested field, null if a part of its path is missing."""

    def read(document: Document) -> Json:
        value: Any = document
        for name in path:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return read


def _either(*names: str) -> Reader:
    return lambda document: first(document, *names)


def _constant(value: str) -> Reader:
    return lambda _: value


def _age(document: Document) -> Json:
    value, unit = document.get("organism_age"), label(document.get("organism_age_unit"))
    return None if value is None else {"value": value, "unit": unit}


def _age_range(document: Document) -> Json:
    found = age_range(document.get("organism_age"), label(document.get("organism_age_unit")))
    return None if found is None else list(found)


def _assay_types(document: Document) -> dict[str, int]:
    counts: dict[str, int] = {}
    for probe in first(document, "probe", "target") or []:
        assay_type = label(probe.get("assay_type"))
        if assay_type:
            counts[assay_type] = counts.get(assay_type, 0) + 1
    return counts


_BIOMATERIAL_ID = _at("biomaterial_core", "biomaterial_id")
_SPECIMEN: Mapping[str, Reader] = {
    "_source": _constant("specimen_from_organism"),
    "_type": _constant("specimen"),
    "biomaterial_id": _BIOMATERIAL_ID,
    "has_input_biomaterial": _at("biomaterial_core", "has_input_biomaterial"),
    "disease": field_labels("diseases", "disease"),
    "organ": field_label("organ"),
    "organ_part": field_labels("organ_parts", "organ_part"),
    "preservation_method": _at("preservation_storage", "preservation_method"),
    "storage_method": _at("preservation_storage", "storage_method"),
}

# By type of document; files, cell suspensions, samples and projects need more than their own document.
_FIELDS: Mapping[str, Mapping[str, Reader]] = {
    "specimen_from_organism": _SPECIMEN,
    "donor_organism": {
        "biomaterial_id": _BIOMATERIAL_ID,
        "biological_sex": _either("sex", "biological_sex"),
        "development_stage": field_label("development_stage"),
        "diseases": field_labels("diseases", "disease"),
        "genus_species": field_labels("genus_species"),
        "organism_age": _age,
        "organism_age_range": _age_range,
    },
    "cell_line": {
        "biomaterial_id": _BIOMATERIAL_ID,
        "cell_line_type": _either("type", "cell_line_type"),
        "model_organ": field_label("model_organ"),
    },
    "organoid": {
        "biomaterial_id": _BIOMATERIAL_ID,
        "model_organ": field_label("model_organ"),
        "model_organ_part": field_label("model_organ_part"),
    },
    "analysis_protocol": {"workflow": _at("protocol_core", "protocol_id")},
    "imaging_protocol": {"assay_type": _assay_types},
    "library_preparation_protocol": {
        "library_construction_approach": field_label(
            "library_construction_method", "library_construction_approach"
        ),
        "nucleic_acid_source": _either("nucleic_acid_source"),
    },
    "sequencing_protocol": {
        "instrument_manufacturer_model": field_label("instrument_manufacturer_model"),
        "paired_end": _either("paired_end", "paired_ends"),
    },
    "sequencing_process": {},
}

# The lists of a contribution, by the type of document that they are made of.
LISTS: Mapping[str, str] = {
    "specimen_from_organism": "specimens",
    "donor_organism": "donors",
    "cell_line": "cell_lines",
    "organoid": "organoids",
    "analysis_protocol": "analysis_protocols",
    "imaging_protocol": "imaging_protocols",
    "library_preparation_protocol": "library_preparation_protocols",
    "sequencing_protocol": "sequencing_protocols",
}


def inner_entity(entity: Entity) -> dict[str, Json]:
    """Return the fields of an entity, of a type in LISTS, that are searched and shown."""
    fields = {name: read(entity.content) for name, read in _FIELDS[entity.type].items()}
    if fields.get("organism_age_range", ()) is None:
        del fields["organism_age_range"]
    return {"document_id": entity.id} | fields


_SAMPLE_TYPES = {"specimen_from_organism": "specimens", "cell_line": "cell_lines", "organoid": "organoids"}
SAMPLES = frozenset(_SAMPLE_TYPES)


def sample_list(entity: Entity) -> str:
    """Return the name of the list for samples of an entity's type."""
    return f"sample_{_SAMPLE_TYPES[entity.type]}"


def sample(entity: Entity) -> dict[str, Json]:
    """Return an entity as a sample: the fields that specimens, cell lines and organoids share."""
    fields = inner_entity(entity)
    model_organ = fields.get("model_organ")
    organ = fields.get("organ")
    return {
        "document_id": entity.id,
        "biomaterial_id": fields["biomaterial_id"],
        "entity_type": _SAMPLE_TYPES[entity.type],
        "organ": organ,
        "organ_part": fields.get("organ_part", []),
        "model_organ": model_organ,
        "model_organ_part": fields.get("model_organ_part"),
        "effective_organ": organ if entity.type == "specimen_from_organism" else model_organ,
    }


def cell_suspension(entity: Entity, samples: list[Entity], *, is_leaf: bool) -> dict[str, Json]:
    """Return a cell suspension, with the organs of its samples.

    Its cells count only if no other suspension was made of it in the bundle, so that none is counted twice.
    """
    cells = first(entity.content, "estimated_cell_count", "total_estimated_cells")
    organs: dict[Json, None] = {}
    parts: dict[Json, None] = {}
    for source in samples:
        fields = sample(source)
        organs[fields["effective_organ"]] = None
        is_specimen = source.type == "specimen_from_organism"
        parts.update(dict.fromkeys(fields["organ_part"] if is_specimen else [fields["model_organ_part"]]))
    return {
        "document_id": entity.id,
        "biomaterial_id": _BIOMATERIAL_ID(entity.content),
        "organ": list(organs),
        "organ_part": list(parts),
        "selected_cell_type": field_labels("selected_cell_types", "selected_cell_type")(entity.content),
        "total_estimated_cells": cells if is_leaf else 0,
        "total_estimated_cells_redundant": 0 if is_leaf else cells,
    }


def sequencing_input(entity: Entity) -> dict[str, Json]:
    """Return a biomaterial that was sequenced."""
    return {
        "document_id": entity.id,
        "biomaterial_id": _BIOMATERIAL_ID(entity.content),
        "sequencing_input_type": entity.type,
    }


def project(entity: Entity) -> dict[str, Json]:
    """Return a project, with its contributors, publications and accessions."""
    document = entity.content
    core = _at("project_core")(document) or {}
    contributors = [_contributor(each) for each in document.get("contributors") or []]
    publications = [_publication(each) for each in document.get("publications") or []]
    networks = document.get("hca_bionetworks") or []
    return {
        "_type": "project",
        "document_id": entity.id,
        "project_title": core.get("project_title"),
        "project_description": core.get("project_description"),
        "project_short_name": first(core, "project_short_name", "project_shortname"),
        "laboratory": distinct(each["laboratory"] for each in contributors),
        "institutions": distinct(each["institution"] for each in contributors),
        "contact_names": distinct(each["contact_name"] for each in contributors),
        "contributors": contributors,
        "publications": publications,
        "publication_titles": distinct(each["publication_title"] for each in publications),
        "supplementary_links": document.get("supplementary_links") or [],
        "accessions": _accessions(document),
        "estimated_cell_count": document.get("estimated_cell_count"),
        "is_tissue_atlas_project": any(each.get("atlas_project") for each in networks),
        "tissue_atlas": [
            {"atlas": each.get("hca_tissue_atlas"), "version": each.get("hca_tissue_atlas_version")}
            for each in networks
        ],
        "bionetwork_name": distinct(each.get("name") for each in networks),
        "data_use_restriction": document.get("data_use_restriction"),
    }


def _contributor(contributor: Document) -> dict[str, Json]:
    return {
        "contact_name": first(contributor, "name", "contact_name"),
        "corresponding_contributor": contributor.get("corresponding_contributor"),
        "email": contributor.get("email"),
        "institution": contributor.get("institution"),
        "laboratory": contributor.get("laboratory"),
        "project_role": label(contributor.get("project_role")),
    }


def _publication(publication: Document) -> dict[str, Json]:
    return {
        "publication_title": first(publication, "title", "publication_title"),
        "publication_url": first(publication, "url", "publication_url"),
        "official_hca_publication": publication.get("official_hca_publication"),
        "doi": publication.get("doi"),
    }


def _accessions(document: Document) -> list[dict[str, Json]]:
    return [
        {"namespace": name.removesuffix(_ACCESSIONS), "accession": accession}
        for name, values in document.items()
        if name.endswith(_ACCESSIONS) and isinstance(values, list)
        for accession in values
    ]


def content_description(entity: Entity) -> list[Json]:
    """Return what a file is said to contain."""
    return labels(_at("file_core", "content_description")(entity.content))
