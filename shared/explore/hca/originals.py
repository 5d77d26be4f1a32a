"""The metadata documents that say something of some files of a bundle."""

from collections.abc import Collection, Iterator

from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.hca.documents import FILES, LINKS, HcaDocuments, read_documents
from shared.explore.hca.files import represented
from shared.explore.hca.graph import read_graph
from shared.explore.manifests.originals import Original


def originals(bundle: BundleMetadata, files: Collection[str] | None) -> Iterator[Original]:
    """Yield the documents of files, of all that they came of and that came of them, and of its protocols.

    Also the project's and the links. `files` are the ids of the files' entities; None is all documents.
    Raises UnusableMetadata.
    """
    documents = read_documents(bundle)
    wanted = documents.entities.keys() if files is None else _reached(documents, files)
    yield Original("links", bundle.fqid.uuid, bundle.documents[LINKS])
    for entity in documents.entities.values():
        if entity.id in wanted:
            yield Original(entity.type, entity.id, bundle.documents[entity.content.file])


def _reached(documents: HcaDocuments, files: Collection[str]) -> set[str]:
    graph = read_graph(documents)
    reached = {documents.project.id}
    for start in represented(documents.of_types(FILES), files):
        for walk in (graph.descendants(start), graph.ancestors(start)):
            for each in walk:
                reached.add(each)
                reached.update(graph.protocols.get(each, ()))
    return reached
