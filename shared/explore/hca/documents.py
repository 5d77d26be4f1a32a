"""Reads the metadata files of an HCA bundle into entities."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.errors import IllegalArguments
from shared.explore.bundle_metadata import BundleMetadata, Json, UnusableMetadata
from shared.explore.hca.values import Document
from shared.identifiers import SURROGATE, check_uuid

LINKS = "links.json"
_PROJECT_FILES = frozenset(("project.json", "project_0.json"))

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
# What joins several values in manifests; a value that holds it would look like several.
_SEPARATOR = "||"
# Characters of a key that are shown in the path of a field.
_MAX_KEY = 100


@dataclass(frozen=True)
class Entity:
    """One metadata document: its type, its id, its content and provenance.

    A file entity has the bundle's entry of the data file that it describes.
    """

    type: str
    id: str
    content: Document = field(repr=False)
    provenance: Document = field(repr=False)
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
    links: Document

    def of_types(self, types: frozenset[str]) -> list[Entity]:
        """Return the entities of some types, in order of the bundle's files."""
        return [entity for entity in self.entities.values() if entity.type in types]


def is_hca(bundle: BundleMetadata) -> bool:
    """Return whether a bundle has the HCA's project file, be it one that can't be read."""
    return not _PROJECT_FILES.isdisjoint((*bundle.indexed, *bundle.left_out))


def read_documents(bundle: BundleMetadata) -> HcaDocuments:
    """Read a bundle's metadata files. Raises UnusableMetadata, which names the file and the field."""
    for name, reason in bundle.left_out.items():
        raise UnusableMetadata(name, "", f"could not be read: {reason}")
    documents = bundle.indexed
    if LINKS not in documents:
        raise UnusableMetadata(LINKS, "", "the bundle has no such metadata file; add it, with indexed: true")
    links = Document(LINKS, _object(LINKS, "", documents[LINKS]))
    data_files = {str(entry["name"]).replace(_SLASH, "/"): entry for entry in bundle.files}
    entities: dict[str, Entity] = {}
    for name, document in documents.items():
        if name == LINKS:
            continue
        entity = _read_entity(name, document, data_files)
        if entity.id in entities:
            raise UnusableMetadata(
                name, entity.provenance.at("document_id"), f"{entity.id} is that of another file, too"
            )
        entities[entity.id] = entity
    projects = [entity for entity in entities.values() if entity.type == "project"]
    if len(projects) != 1:
        raise UnusableMetadata("project_0.json", "", f"the bundle has {len(projects)} projects; it needs one")
    return HcaDocuments(project=projects[0], entities=entities, links=links)


def canonical_id(value: Any) -> str | None:
    """Return the id of an entity, a UUID, in lower case; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        return check_uuid(value)
    except IllegalArguments:
        return None


def _read_entity(name: str, document: Any, data_files: Mapping[str, Mapping[str, Json]]) -> Entity:
    document = _object(name, "", document)
    refuse_texts(name, document)
    content = _object(name, "content", document.get("content", document))
    key = "hca_ingest" if "hca_ingest" in document else "provenance"
    provenance = _object(name, key, document.get(key))
    entity_id = canonical_id(provenance.get("document_id"))
    if entity_id is None:
        shown = repr(provenance.get("document_id"))[:100]
        raise UnusableMetadata(name, f"{key}.document_id", f"must be a UUID, is {shown}")
    entity_type = _type_of(name, content)
    # Fields are named without the `content` of old documents.
    entity = Entity(entity_type, entity_id, Document(name, content), Document(name, provenance, key))
    return replace(entity, data_file=_data_file(entity, data_files)) if entity_type in FILES else entity


def _type_of(name: str, content: Mapping[str, Json]) -> str:
    described_by = content.get("describedBy")
    entity_type = str(described_by).rpartition("/")[2]
    if not isinstance(described_by, str) or entity_type not in _TYPES:
        shown = repr(described_by)[:200]
        raise UnusableMetadata(name, "describedBy", f"must end with a type of the HCA's metadata, is {shown}")
    return entity_type


def _data_file(entity: Entity, data_files: Mapping[str, Mapping[str, Json]]) -> Mapping[str, Json]:
    core = entity.content.object("file_core")
    file_name = core.text("file_name")
    entry = data_files.get(str(file_name).replace(_SLASH, "/"))
    if entry is None:
        why = "is missing" if file_name is None else f"the bundle has no file {file_name[:200]!r}"
        raise UnusableMetadata(core.file, core.at("file_name"), why)
    return entry


def _object(name: str, field_name: str, value: Any) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise UnusableMetadata(
            name, field_name, "must be a JSON object" if value is not None else "is missing"
        )
    return value


def refuse_texts(name: str, document: Any) -> None:
    """Raise UnusableMetadata if a text in a document can't be stored, or looks like several in manifests."""
    # A list in place of recursion: documents may be nested deeper than Python's stack.
    pending = [("", document)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str):
            _refuse_text(name, path, value)
        elif isinstance(value, dict):
            for key, inner in value.items():
                _refuse_text(name, path, key)
                pending.append((f"{path}.{key[:_MAX_KEY]}" if path else key[:_MAX_KEY], inner))
        elif isinstance(value, list):
            pending += [(path, inner) for inner in value]


def _refuse_text(name: str, path: str, text: str) -> None:
    if _SEPARATOR in text:
        raise UnusableMetadata(name, path, f"must not contain {_SEPARATOR!r}, which separates values")
    if "\0" in text:
        raise UnusableMetadata(name, path, "must not contain a null character")
    if not text.isascii() and SURROGATE.search(text):
        raise UnusableMetadata(name, path, "must not contain a part of a character (a lone surrogate)")
