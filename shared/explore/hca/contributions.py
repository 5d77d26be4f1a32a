"""What one HCA bundle says of its files, samples, cell suspensions, project, and of itself."""

from collections.abc import Iterable, Iterator

from shared.explore.bundle_metadata import BundleMetadata, Contents, Contribution, Json
from shared.explore.drs_uris import DrsUri
from shared.explore.hca import entities
from shared.explore.hca.dates import bundle_dates, entity_dates
from shared.explore.hca.documents import (
    BIOMATERIALS,
    FILES,
    PROCESSES,
    Entity,
    HcaDocuments,
    read_documents,
)
from shared.explore.hca.files import FileFields, is_matrix, zarr_store
from shared.explore.hca.graph import Graph, read_graph
from shared.explore.hca.strata import pseudo_entities, strata

_GRAPH_LISTS = (*entities.LISTS.values(), "cell_suspensions", "sequencing_inputs", "sequencing_processes")


def contributions(bundle: BundleMetadata, drs_uri: DrsUri) -> list[Contribution]:
    """Return all contributions of a bundle. Raises UnusableMetadata, which names the file and the field."""
    return list(_Transformation(bundle, drs_uri).contributions())


class _Transformation:
    def __init__(self, bundle: BundleMetadata, drs_uri: DrsUri) -> None:
        self._bundle = bundle
        self._documents: HcaDocuments = read_documents(bundle)
        self._graph: Graph = read_graph(self._documents)
        # The members of a zarr store come with the one that stands for it.
        all_files = self._documents.of_types(FILES)
        self._files = {file.id: file for file in all_files if zarr_store(file) is None}
        self._file_fields = FileFields(self._graph, all_files, drs_uri)
        self._project = entities.project(self._documents.project)
        # What is shown of an entity is the same in all contributions, which share it.
        self._inner: dict[str, dict[str, Json]] = {}

    def contributions(self) -> Iterator[Contribution]:
        for file in self._files.values():
            yield Contribution("files", file.id, self._of_file(file))
        for suspension in self._documents.of_types(frozenset(("cell_suspension",))):
            contents = self._of_part(suspension, self._samples_of([suspension]))
            # Suspensions that it was made of are documents of their own.
            own = {"cell_suspensions": [self._shown(suspension)]}
            yield Contribution("cell_suspensions", suspension.id, contents | own)
        samples = self._samples_of(self._files.values())
        for sample in samples:
            yield Contribution("samples", sample.id, self._of_part(sample, [sample]))
        everything = self._documents.entities.values()
        whole = self._of_whole(samples)
        project = self._documents.project
        yield Contribution("projects", project.id, whole | {"dates": [entity_dates(project, everything)]})
        fqid = self._bundle.fqid
        yield Contribution("bundles", fqid.uuid, whole | {"dates": [bundle_dates(fqid, everything)]})

    def _of_file(self, file: Entity) -> Contents:
        contents = self._contents(self._reach([file]), self._samples_of([file])) | {
            "files": [self._file_fields.with_related(file)],
            "dates": [entity_dates(file)],
        }
        if file.type == "supplementary_file" and is_matrix(file) and not self._graph.parents.get(file.id):
            # A matrix of a whole project has no place in the graph; its description says what it is about.
            contents |= pseudo_entities(file)
        return contents

    def _of_part(self, part: Entity, samples: list[Entity]) -> Contents:
        reached = self._reach([part])
        files = [self._files[each] for each in reached if each in self._files]
        return self._contents(reached, samples) | {
            "files": [self._file_fields.file(file) for file in files],
            "dates": [entity_dates(part)],
        }

    def _of_whole(self, samples: list[Entity]) -> Contents:
        specimens = self._documents.of_types(frozenset(("specimen_from_organism",)))
        matrices: list[dict[str, Json]] = []
        contributed: list[dict[str, Json]] = []
        for file in self._files.values():
            if self._file_fields.is_intermediate(file) is False:
                listed = contributed if self._file_fields.is_external(file) else matrices
            elif file.type == "analysis_file" and self._file_fields.is_external(file):
                listed = contributed
            else:
                continue
            listed.append({"document_id": file.id, "file": self._with_strata(file)})
        return self._contents(self._reach([*specimens, *self._files.values()]), samples) | {
            "files": [self._file_fields.file(file) for file in self._files.values()],
            "matrices": matrices,
            "contributed_analyses": contributed,
        }

    def _with_strata(self, file: Entity) -> dict[str, Json]:
        return self._file_fields.file(file) | {
            "strata": strata(file, self._contents(self._reach([file]), []))
        }

    def _samples_of(self, starts: Iterable[Entity]) -> list[Entity]:
        found: dict[str, Entity] = {}
        for start in starts:
            found.update(self._graph.nearest_ancestors(start.id, entities.SAMPLES))
        return list(found.values())

    def _reach(self, starts: Iterable[Entity]) -> dict[str, None]:
        """Return the ids of some entities, of all that they came of, and of all that came of them."""
        reached: dict[str, None] = {}
        for start in starts:
            for walk in (self._graph.descendants(start.id), self._graph.ancestors(start.id)):
                reached.update(dict.fromkeys(walk))
        return reached

    def _contents(self, reached: Iterable[str], samples: list[Entity]) -> Contents:
        """Return the lists of what is reached, but for files and dates."""
        contents: Contents = {name: [] for name in _GRAPH_LISTS}
        protocols: dict[str, None] = {}
        for entity_id in reached:
            entity = self._graph.entities[entity_id]
            protocols.update(dict.fromkeys(self._graph.protocols.get(entity_id, ())))
            if entity.type in entities.LISTS:
                contents[entities.LISTS[entity.type]].append(self._shown(entity))
            elif entity.type == "cell_suspension":
                contents["cell_suspensions"].append(self._shown(entity))
            if entity.type in BIOMATERIALS and any(map(self._sequences, self._children(entity))):
                contents["sequencing_inputs"].append(entities.sequencing_input(entity))
            if entity.type in PROCESSES and (
                entity.type == "sequencing_process" or self._sequences(entity_id)
            ):
                contents["sequencing_processes"].append({"document_id": entity_id})
        for protocol in map(self._graph.entities.__getitem__, protocols):
            if protocol.type in entities.LISTS:
                contents[entities.LISTS[protocol.type]].append(self._shown(protocol))
        for sample in samples:
            contents.setdefault("samples", []).append(entities.sample(sample))
            contents.setdefault(entities.sample_list(sample), []).append(self._shown(sample))
        return contents | {"projects": [self._project]}

    def _shown(self, entity: Entity) -> dict[str, Json]:
        if entity.id not in self._inner:
            is_suspension = entity.type == "cell_suspension"
            self._inner[entity.id] = (
                self._cell_suspension(entity) if is_suspension else entities.inner_entity(entity)
            )
        return self._inner[entity.id]

    def _cell_suspension(self, entity: Entity) -> dict[str, Json]:
        below = (
            self._graph.entities[each] for each in self._graph.descendants(entity.id) if each != entity.id
        )
        is_leaf = not any(other.type == "cell_suspension" for other in below)
        return entities.cell_suspension(entity, self._samples_of([entity]), is_leaf=is_leaf)

    def _children(self, entity: Entity) -> list[str]:
        return self._graph.children.get(entity.id, [])

    def _sequences(self, process: str) -> bool:
        protocols = self._graph.protocols.get(process, ())
        return any(self._graph.entities[each].type == "sequencing_protocol" for each in protocols)
