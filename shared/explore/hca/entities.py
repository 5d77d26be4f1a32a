"""The fields of inner entities: one row for each field of a type, with what reads it from a document.

The names of fields are those of the predecessor's index, which its users filter by.
"""

from collections.abc import Callable, Mapping
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.hca.documents import Entity
from shared.explore.hca.values import Document, age_range, distinct

Reader = Callable[[Document], Any]
_ACCESSIONS = "_accessions"


def _text(*names: str) -> Reader:
    return lambda document: document.text(*names)


def _label(*names: str) -> Reader:
    return lambda document: document.label(*names)


def _labels(*names: str) -> Reader:
    return lambda document: document.labels(*names)


def _text_in(part: str, name: str) -> Reader:
    return lambda document: document.object(part).text(name)


def _constant(value: str) -> Reader:
    return lambda _: value


def _age(document: Document) -> dict[str, str | None] | None:
    value = document.scalar("organism_age")
    return None if value is None else {"value": str(value), "unit": document.label("organism_age_unit")}


def _age_range(document: Document) -> list[float] | None:
    age = _age(document)
    found = age_range(age["value"], age["unit"]) if age else None
    return None if found is None else list(found)


def _assay_types(document: Document) -> dict[str, int]:
    counts: dict[str, int] = {}
    for probe in document.objects("probe", "target"):
        assay_type = probe.label("assay_type")
        if assay_type:
            counts[assay_type] = counts.get(assay_type, 0) + 1
    return counts


_BIOMATERIAL_ID = _text_in("biomaterial_core", "biomaterial_id")
_SPECIMEN: Mapping[str, Reader] = {
    "_source": _constant("specimen_from_organism"),
    "_type": _constant("specimen"),
    "biomaterial_id": _BIOMATERIAL_ID,
    "has_input_biomaterial": _text_in("biomaterial_core", "has_input_biomaterial"),
    "disease": _labels("diseases", "disease"),
    "organ": _label("organ"),
    "organ_part": _labels("organ_parts", "organ_part"),
    "preservation_method": _text_in("preservation_storage", "preservation_method"),
    "storage_method": _text_in("preservation_storage", "storage_method"),
}

# By type of document; files, cell suspensions, samples and projects need more than their own document.
_FIELDS: Mapping[str, Mapping[str, Reader]] = {
    "specimen_from_organism": _SPECIMEN,
    "donor_organism": {
        "biomaterial_id": _BIOMATERIAL_ID,
        "biological_sex": _text("sex", "biological_sex"),
        "development_stage": _label("development_stage"),
        "diseases": _labels("diseases", "disease"),
        "genus_species": _labels("genus_species"),
        "organism_age": _age,
        "organism_age_range": _age_range,
    },
    "cell_line": {
        "biomaterial_id": _BIOMATERIAL_ID,
        "cell_line_type": _text("type", "cell_line_type"),
        "model_organ": _label("model_organ"),
    },
    "organoid": {
        "biomaterial_id": _BIOMATERIAL_ID,
        "model_organ": _label("model_organ"),
        "model_organ_part": _label("model_organ_part"),
    },
    "analysis_protocol": {"workflow": _text_in("protocol_core", "protocol_id")},
    "imaging_protocol": {"assay_type": _assay_types},
    "library_preparation_protocol": {
        "library_construction_approach": _label(
            "library_construction_method", "library_construction_approach"
        ),
        "nucleic_acid_source": _text("nucleic_acid_source"),
    },
    "sequencing_protocol": {
        "instrument_manufacturer_model": _label("instrument_manufacturer_model"),
        "paired_end": lambda document: document.flag("paired_end", "paired_ends"),
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
    cells = entity.content.count("estimated_cell_count", "total_estimated_cells")
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
        "selected_cell_type": entity.content.labels("selected_cell_types", "selected_cell_type"),
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
    core = document.object("project_core")
    contributors = list(map(_contributor, document.objects("contributors")))
    publications = list(map(_publication, document.objects("publications")))
    networks = document.objects("hca_bionetworks")
    return {
        "_type": "project",
        "document_id": entity.id,
        "project_title": core.text("project_title"),
        "project_description": core.text("project_description"),
        "project_short_name": core.text("project_short_name", "project_shortname"),
        "laboratory": distinct(each["laboratory"] for each in contributors),
        "institutions": distinct(each["institution"] for each in contributors),
        "contact_names": distinct(each["contact_name"] for each in contributors),
        "contributors": contributors,
        "publications": publications,
        "publication_titles": distinct(each["publication_title"] for each in publications),
        "supplementary_links": document.texts("supplementary_links"),
        "accessions": _accessions(document),
        "estimated_cell_count": document.count("estimated_cell_count"),
        "is_tissue_atlas_project": any([each.flag("atlas_project") for each in networks]),
        "tissue_atlas": [
            {"atlas": each.text("hca_tissue_atlas"), "version": each.text("hca_tissue_atlas_version")}
            for each in networks
        ],
        "bionetwork_name": distinct(each.text("name") for each in networks),
        "data_use_restriction": document.text("data_use_restriction"),
    }


def _contributor(contributor: Document) -> dict[str, Json]:
    return {
        "contact_name": contributor.text("name", "contact_name"),
        "corresponding_contributor": contributor.flag("corresponding_contributor"),
        "email": contributor.text("email"),
        "institution": contributor.text("institution"),
        "laboratory": contributor.text("laboratory"),
        "project_role": contributor.label("project_role"),
    }


def _publication(publication: Document) -> dict[str, Json]:
    return {
        "publication_title": publication.text("title", "publication_title"),
        "publication_url": publication.text("url", "publication_url"),
        "official_hca_publication": publication.flag("official_hca_publication"),
        "doi": publication.text("doi"),
    }


def _accessions(document: Document) -> list[dict[str, Json]]:
    return [
        {"namespace": name.removesuffix(_ACCESSIONS), "accession": accession}
        for name in document.content
        if name.endswith(_ACCESSIONS)
        for accession in document.texts(name)
    ]


def content_description(entity: Entity) -> list[str]:
    """Return what a file is said to contain."""
    return entity.content.object("file_core").labels("content_description")
