"""The inner entity of a data file, and zarr stores, of which one member stands for all."""

import re
import uuid
from collections.abc import Collection, Iterable

from shared.explore.bundle_metadata import Json
from shared.explore.drs_uris import DrsUri
from shared.explore.hca.documents import Entity
from shared.explore.hca.entities import content_description
from shared.explore.hca.graph import Graph

# The predecessor derived the ids of submitters from their names in this namespace.
_SUBMITTERS = uuid.UUID("382415e5-67a6-49be-8f3c-aaaa707d82db")
_EXTERNAL = {
    "arrayexpress": "ArrayExpress",
    "contributor": "Contributor",
    "geo": "GEO",
    "hca release": "HCA Release",
    "scea": "SCEA",
    "scp": "SCP",
    "lungmap": "LungMAP",
    "zenodo": "Zenodo",
    "publication": "Publication",
}
_DCP2_ANALYSIS = "DCP/2 Analysis"
_INTERNAL = {
    "dcp2": _DCP2_ANALYSIS,
    "dcp2 ingest": "DCP/2 Ingest",
    "dcp1 matrix service": "DCP/1 Matrix Service",
}


def _titles(submitters: dict[str, str]) -> dict[str, str]:
    return {str(uuid.uuid5(_SUBMITTERS, name)): title for name, title in submitters.items()}


_TITLES = _titles(_EXTERNAL | _INTERNAL)
_EXTERNAL_TITLES = frozenset(_EXTERNAL.values())

_ZARR = re.compile(r"(?P<store>.+\.zarr)/(?P<member>.+)")
_ZARR_REPRESENTATIVE = ".zattrs"


def zarr_store(entity: Entity) -> str | None:
    """Return the name of the zarr store that a file is a member of, but does not stand for; else None."""
    match = _ZARR.fullmatch(entity.file_name)
    return match["store"] if match and match["member"] != _ZARR_REPRESENTATIVE else None


def _store_of(representative: Entity) -> str | None:
    """Return the name of the zarr store that a file stands for; else None."""
    match = _ZARR.fullmatch(representative.file_name)
    return match["store"] if match and match["member"] == _ZARR_REPRESENTATIVE else None


def represented(files: Iterable[Entity], ids: Collection[str]) -> list[str]:
    """Return the ids of those files that have some ids, or for which those stand."""
    listed = list(files)
    stores = {_store_of(file) for file in listed if file.id in ids} - {None}
    return [file.id for file in listed if file.id in ids or zarr_store(file) in stores]


def is_matrix(entity: Entity) -> bool:
    """Return whether a file is said to contain a matrix."""
    return any("matrix" in text.lower() for text in content_description(entity))


class FileFields:
    """Makes inner entities of the files of one bundle."""

    def __init__(self, graph: Graph, files: list[Entity], drs_uri: DrsUri) -> None:
        self._graph = graph
        self._drs_uri = drs_uri
        self._known: dict[str, dict[str, Json]] = {}
        self._members: dict[str, list[Entity]] = {}
        for file in files:
            if (store := zarr_store(file)) is not None:
                self._members.setdefault(store, []).append(file)

    def file(self, entity: Entity) -> dict[str, Json]:
        """Return a file, without those that it stands for; always the same object."""
        if entity.id not in self._known:
            self._known[entity.id] = self._fields(entity) | {"related_files": []}
        return self._known[entity.id]

    def with_related(self, entity: Entity) -> dict[str, Json]:
        """Return a file, with the files that it stands for."""
        related = [self._fields(other) for other in self._members.get(_store_of(entity) or "", ())]
        return self.file(entity) | {"related_files": related}

    def _fields(self, entity: Entity) -> dict[str, Json]:
        entry = entity.data_file or {}
        fields = {
            "_type": "file",
            "document_id": entity.id,
            "uuid": entry["uuid"],
            "version": entry["version"],
            "name": entity.file_name,
            "size": entry["size"],
            "content-type": entry["content-type"],
            "indexed": entry["indexed"],
            "sha256": entry["sha256"],
            "crc32c": entry["crc32c"],
            "drs_uri": self._drs_uri(entry["uuid"], entry["version"]),
            "file_type": entity.type,
            "file_format": entity.content.object("file_core").text("format", "file_format"),
            "content_description": content_description(entity),
            "file_source": self.file_source(entity),
            "is_intermediate": self.is_intermediate(entity),
        }
        if entity.type == "sequence_file":
            fields["read_index"] = entity.content.scalar("read_index")
            fields["lane_index"] = entity.content.scalar("lane_index")
        elif entity.type == "analysis_file":
            fields["matrix_cell_count"] = entity.content.count("matrix_cell_count")
        return fields

    def file_source(self, entity: Entity) -> Json:
        """Return who provided a file, null if that isn't known."""
        source = entity.content.object("file_core").text("file_source")
        if source is not None:
            return source
        submitter = entity.provenance.text("submitter_id")
        if submitter is not None:
            return _TITLES.get(submitter)
        return _DCP2_ANALYSIS if self._made_by_analysis(entity) else None

    def is_intermediate(self, entity: Entity) -> bool | None:
        """Return whether a matrix is a step towards others; None for what is no matrix."""
        if not is_matrix(entity):
            return None
        if entity.type != "analysis_file":
            return False
        is_input = any(map(self._is_analysis, self._graph.children.get(entity.id, ())))
        has_submitter = entity.provenance.text("submitter_id") is not None
        return is_input or (not has_submitter and self._made_by_analysis(entity))

    def is_external(self, entity: Entity) -> bool:
        """Return whether a file came from others than the atlas's own pipelines."""
        return self.file_source(entity) in _EXTERNAL_TITLES

    def _made_by_analysis(self, entity: Entity) -> bool:
        if entity.type != "analysis_file":
            return False
        return any(map(self._is_analysis, self._graph.parents.get(entity.id, ())))

    def _is_analysis(self, process: str) -> bool:
        entity = self._graph.entities.get(process)
        if entity is None:
            return False
        protocols = self._graph.protocols.get(process, ())
        return entity.type == "analysis_process" or any(
            self._graph.entities[protocol].type == "analysis_protocol" for protocol in protocols
        )
