"""Reads the metadata files of an HCA bundle into entities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import BundleMetadata, Json, UnusableMetadata

LINKS = "links.json"

BIOMATERIALS = frozenset(
    (
        "donor_organism",
        "specimen_from_organism",
        "cell_suspension",
        "cell_line",
        "organoid",
        "imaged_specimen",
    )
)
FILES = frozenset(("analysis_file", "reference_file", "sequence_file", "supplementary_file", "image_file"))
PROTOCOLS = frozenset(
    (
        "protocol",
        "analysis_protocol",
        "aggregate_generation_protocol",
        "collection_protocol",
        "differentiation_protocol",
        "dissociation_protocol",
        "enrichment_protocol",
        "imaging_protocol",
        "imaging_preparation_protocol",
        "ipsc_induction_protocol",
        "library_preparation_protocol",
        "sequencing_protocol",
        "treatment_protocol",
    )
)
PROCESSES = frozenset(
    (
        "process",
        "analysis_process",
        "dissociation_process",
        "enrichment_process",
        "library_preparation_process",
        "sequencing_process",
    )
)
_TYPES = BIOMATERIALS | FILES | PROTOCOLS | PROCESSES | {"project"}

# In names of files: the predecessor's files have no slashes.
_SLASH = "!"
# What joins several values in manifests; a value that holds it could not be told from several.
_SEPARATOR = "||"


@dataclass(frozen=True)
class Entity:
    """One metadata document: its type, its id, the name of its file, its content and provenance.

    A file entity has the bundle's entry of the data file that it describes.
    """

    type: str
    id: str
    source: str
    content: Mapping[str, Json] = field(repr=False)
    provenance: Mapping[str, Json] = field(repr=False)
    data_file: Mapping[str, Json] | None = field(default=None, repr=False)

    @property
    def file_name(self) -> str:
        """The name of the data file in the bundle, with slashes."""
        return str(self.data_file["name"]).replace(_SLASH, "/") if self.data_file else ""


@dataclass(frozen=True)
class HcaDocuments:
    """The entities of a bundle by id, its project, and the content of its links file."""

    project: Entity
    entities: Mapping[str, Entity] = field(repr=False)
    links: Mapping[str, Json] = field(repr=False)

    def of_types(self, types: frozenset[str]) -> list[Entity]:
        """Return the entities of some types, in order of the bundle's files."""
        return [entity for entity in self.entities.values() if entity.type in types]


def is_hca(bundle: BundleMetadata) -> bool:
    """Return whether a bundle has the HCA's project file."""
    return not {"project.json", "project_0.json"}.isdisjoint(bundle.indexed)


def read_documents(bundle: BundleMetadata) -> HcaDocuments:
    """Read a bundle's metadata files. Raises UnusableMetadata, which names the file and the field."""
    documents = bundle.indexed
    if not isinstance(documents.get(LINKS), dict):
        raise UnusableMetadata(LINKS, "", "the bundle has no such metadata file; add it, with indexed: true")
    data_files = {str(entry["name"]).replace(_SLASH, "/"): entry for entry in bundle.files}
    entities: dict[str, Entity] = {}
    for name, document in documents.items():
        if name == LINKS:
            continue
        entity = _read_entity(name, document, data_files)
        if entity.id in entities:
            raise UnusableMetadata(
                name, "provenance.document_id", f"{entity.id} is that of another file, too"
            )
        entities[entity.id] = entity
    projects = [entity for entity in entities.values() if entity.type == "project"]
    if len(projects) != 1:
        raise UnusableMetadata("project_0.json", "", f"the bundle has {len(projects)} projects; it needs one")
    return HcaDocuments(project=projects[0], entities=entities, links=documents[LINKS])


def _read_entity(name: str, document: Any, data_files: Mapping[str, Mapping[str, Json]]) -> Entity:
    if not isinstance(document, dict):
        raise UnusableMetadata(name, "", "must be a JSON object")
    content = _object(name, "content", document.get("content", document))
    refuse_separators(name, "", content)
    key = "hca_ingest" if "hca_ingest" in document else "provenance"
    provenance = _object(name, key, document.get(key))
    entity_id = provenance.get("document_id")
    if not isinstance(entity_id, str) or not entity_id:
        raise UnusableMetadata(name, f"{key}.document_id", f"must be a UUID, is {entity_id!r}")
    entity_type = _type_of(name, content)
    data_file = _data_file(name, content, data_files) if entity_type in FILES else None
    return Entity(entity_type, entity_id, name, content, provenance, data_file)


def _type_of(name: str, content: Mapping[str, Json]) -> str:
    described_by = content.get("describedBy")
    entity_type = str(described_by).rpartition("/")[2]
    if not isinstance(described_by, str) or entity_type not in _TYPES:
        raise UnusableMetadata(
            name, "describedBy", f"must end with a type of the HCA's metadata, is {str(described_by)[:200]!r}"
        )
    return entity_type


def _data_file(
    name: str, content: Mapping[str, Json], data_files: Mapping[str, Mapping[str, Json]]
) -> Mapping[str, Json]:
    core = _object(name, "file_core", content.get("file_core"))
    file_name = core.get("file_name")
    entry = data_files.get(str(file_name).replace(_SLASH, "/"))
    if entry is None:
        raise UnusableMetadata(
            name, "file_core.file_name", f"the bundle has no file {str(file_name)[:200]!r}"
        )
    return entry


def _object(name: str, field_name: str, value: Any) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise UnusableMetadata(
            name, field_name, "must be a JSON object" if value is not None else "is missing"
        )
    return value


def refuse_separators(name: str, path: str, value: Any) -> None:
    """Raise UnusableMetadata if a text somewhere in a value holds what separates values in manifests, or
    NUL."""
    # A list in place of recursion: documents may be nested deeper than Python's stack.
    pending = [(path, value)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str):
            if _SEPARATOR in value:
                raise UnusableMetadata(name, path, f"must not contain {_SEPARATOR!r}, which separates values")
            if "\0" in value:
                raise UnusableMetadata(name, path, "must not contain a null character")
        elif isinstance(value, dict):
            pending += [(f"{path}.{key}" if path else str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            pending += [(path, inner) for inner in value]
