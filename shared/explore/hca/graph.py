"""The graph of an HCA bundle: which biomaterial or file came out of which process, made by which
protocols."""

import graphlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from shared.explore.bundle_metadata import UnusableMetadata
from shared.explore.hca.documents import LINKS, PROTOCOLS, Entity, HcaDocuments
from shared.explore.hca.values import Document

# The largest bundles of the HCA have some 10,000 files; a graph that is larger by far is an error.
MAX_EDGES = 200_000
# Steps through the graph for one bundle: some seconds of work. A bundle of 10,000 files needs some 300,000.
MAX_STEPS = 2_000_000

_PROCESS_LINK, _FILE_LINK = "process_link", "supplementary_file_link"

Edge = tuple[str, str]


@dataclass(frozen=True)
class Graph:
    """Edges between entities by id: to what came next, to what was before, and to a process's protocols."""

    entities: Mapping[str, Entity] = field(repr=False)
    children: dict[str, list[str]] = field(repr=False)
    parents: dict[str, list[str]] = field(repr=False)
    protocols: dict[str, list[str]] = field(repr=False)
    _steps: Iterator[int] = field(default_factory=count, repr=False)

    def descendants(self, start: str) -> Iterator[str]:
        """Yield an id and all that came of it, each once. Raises UnusableMetadata, as all walks do, if there
        were more than MAX_STEPS steps in all walks together."""
        return self._reachable(self.children, start)

    def ancestors(self, start: str) -> Iterator[str]:
        """Yield an id and all that it came of, each once."""
        return self._reachable(self.parents, start)

    def nearest_ancestors(self, start: str, types: frozenset[str]) -> dict[str, Entity]:
        """Return, by id, the first entity of some types on each path up from an id, which may be itself."""
        found: dict[str, Entity] = {}
        seen = {start}
        pending = [start]
        while pending:
            here = pending.pop()
            self._count()
            if self.entities[here].type in types:
                found[here] = self.entities[here]
                continue
            new = [parent for parent in self.parents.get(here, ()) if parent not in seen]
            seen.update(new)
            pending += new
        return found

    def _reachable(self, edges: Mapping[str, list[str]], start: str) -> Iterator[str]:
        seen = {start}
        pending = [start]
        while pending:
            here = pending.pop()
            self._count()
            yield here
            new = [other for other in edges.get(here, ()) if other not in seen]
            seen.update(new)
            pending += new

    def _count(self) -> None:
        if next(self._steps) >= MAX_STEPS:
            raise UnusableMetadata(
                LINKS, "links", "is too large: from each file too many others can be reached"
            )


def read_graph(documents: HcaDocuments) -> Graph:
    """Read the links of a bundle, in each of the forms that the HCA had.

    Raises UnusableMetadata if a link is malformed or names an entity that the bundle lacks, if there are too
    many, or if something came of itself.
    """
    # Edges are often given twice; a dictionary keeps their order and drops the second.
    edges: dict[Edge, None] = {}
    for edge in _edges(documents):
        edges[edge] = None
        if len(edges) > MAX_EDGES:
            raise UnusableMetadata(LINKS, "links", f"has more than {MAX_EDGES} edges")
    graph = Graph(documents.entities, {}, {}, {})
    for source, destination in edges:
        if graph.entities[destination].type in PROTOCOLS:
            graph.protocols.setdefault(source, []).append(destination)
        else:
            graph.children.setdefault(source, []).append(destination)
            graph.parents.setdefault(destination, []).append(source)
    _refuse_cycles(graph)
    return graph


def _edges(documents: HcaDocuments) -> Iterator[Edge]:
    known = documents.entities
    for link in documents.links.objects("links"):
        if "source_id" in link.content:
            yield _end(known, link, "source_id"), _end(known, link, "destination_id")
        elif _is_of_process(link):
            process = _end(known, link, "process_id" if "process_id" in link.content else "process")
            for source in _ends(known, link, "inputs", "input_id"):
                yield source, process
            for output in _ends(known, link, "outputs", "output_id"):
                yield process, output
            for protocol in link.objects("protocols"):
                yield process, _end(known, protocol, "protocol_id")


def _is_of_process(link: Document) -> bool:
    """Return whether a link is one of a process; others are of files that came out of none."""
    kind = link.text("link_type")
    if kind not in (None, _PROCESS_LINK, _FILE_LINK):
        raise UnusableMetadata(
            link.file, link.at("link_type"), f"must be {_PROCESS_LINK} or {_FILE_LINK}, is {kind[:100]!r}"
        )
    return kind != _FILE_LINK


def _ends(known: Mapping[str, Entity], link: Document, listed: str, key: str) -> Iterator[str]:
    """Yield the ids in a list: of texts in old links, of objects in others."""
    for name, value in link.items(listed):
        yield (
            _known(known, link, name, value)
            if isinstance(value, str)
            else _end(known, link.element(name, value), key)
        )


def _end(known: Mapping[str, Entity], link: Document, name: str) -> str:
    return _known(known, link, name, link.text(name))


def _known(known: Mapping[str, Entity], link: Document, name: str, value: str | None) -> str:
    if value is None:
        raise UnusableMetadata(link.file, link.at(name), "is missing")
    entity_id = value.lower()
    if entity_id not in known:
        why = f"names {value[:100]!r}, of which the bundle has no metadata file"
        raise UnusableMetadata(link.file, link.at(name), why)
    return entity_id


def _refuse_cycles(graph: Graph) -> None:
    try:
        graphlib.TopologicalSorter(graph.parents).prepare()
    except graphlib.CycleError as error:
        names = " to ".join(error.args[1][:5])
        raise UnusableMetadata(LINKS, "links", f"has a cycle: {names}") from None
