"""The graph of an HCA bundle: which biomaterial or file came out of which process, made by which
protocols."""

import graphlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import UnusableMetadata
from shared.explore.hca.documents import LINKS, PROTOCOLS, Entity, HcaDocuments

# The largest bundles of the HCA have some 10,000 files; a graph that is larger by far is an error.
MAX_EDGES = 200_000

Edge = tuple[str, str]


@dataclass(frozen=True)
class Graph:
    """Edges between entities by id: to what came next, to what was before, and to a process's protocols."""

    entities: Mapping[str, Entity] = field(repr=False)
    children: dict[str, list[str]] = field(repr=False)
    parents: dict[str, list[str]] = field(repr=False)
    protocols: dict[str, list[str]] = field(repr=False)

    def descendants(self, start: str) -> Iterator[str]:
        """Yield an id and all that came of it, each once."""
        return _reachable(self.children, start)

    def ancestors(self, start: str) -> Iterator[str]:
        """Yield an id and all that it came of, each once."""
        return _reachable(self.parents, start)

    def nearest_ancestors(self, start: str, types: frozenset[str]) -> dict[str, Entity]:
        """Return, by id, the first entity of some types on each path up from an id, which may be itself."""
        found: dict[str, Entity] = {}
        seen = {start}
        pending = [start]
        while pending:
            here = pending.pop()
            entity = self.entities.get(here)
            if entity is not None and entity.type in types:
                found[here] = entity
                continue
            new = [parent for parent in self.parents.get(here, ()) if parent not in seen]
            seen.update(new)
            pending += new
        return found


def _reachable(edges: Mapping[str, list[str]], start: str) -> Iterator[str]:
    seen = {start}
    pending = [start]
    while pending:
        here = pending.pop()
        yield here
        new = [other for other in edges.get(here, ()) if other not in seen]
        seen.update(new)
        pending += new


def read_graph(documents: HcaDocuments) -> Graph:
    """Read the links of a bundle, in each of the forms that the HCA had.

    Raises UnusableMetadata if a link is malformed or names an entity that the bundle lacks, if there are too
    many, or if something came of itself.
    """
    links = documents.links.get("links")
    if not isinstance(links, list):
        raise UnusableMetadata(LINKS, "links", "must be a list")
    # Edges are often given twice; a dictionary keeps their order and drops the second.
    edges: dict[Edge, None] = {}
    for number, link in enumerate(links):
        try:
            edges.update(dict.fromkeys(_edges_of(link)))
        except (KeyError, TypeError, AttributeError) as error:
            raise UnusableMetadata(LINKS, f"links[{number}]", f"is malformed: {error!r}") from None
        if len(edges) > MAX_EDGES:
            raise UnusableMetadata(LINKS, "links", f"has more than {MAX_EDGES} edges")
    graph = Graph(documents.entities, {}, {}, {})
    for source, destination in edges:
        _add(graph, source, destination)
    _refuse_cycles(graph)
    return graph


def _edges_of(link: Any) -> Iterator[Edge]:
    if "source_id" in link:
        yield link["source_id"], link["destination_id"]
        return
    if link.get("link_type", "process_link") != "process_link":
        # Files that belong to an entity, but came out of no process.
        return
    process = link["process_id"] if "process_id" in link else link["process"]
    for source in link["inputs"]:
        yield _id_of(source, "input_id"), process
    for output in link["outputs"]:
        yield process, _id_of(output, "output_id")
    for protocol in link["protocols"]:
        yield process, protocol["protocol_id"]


def _id_of(end: Any, key: str) -> str:
    return end if isinstance(end, str) else end[key]


def _add(graph: Graph, source: str, destination: str) -> None:
    for end in (source, destination):
        if end not in graph.entities:
            raise UnusableMetadata(
                LINKS, "links", f"names {str(end)[:100]!r}, of which the bundle has no file"
            )
    if graph.entities[destination].type in PROTOCOLS:
        graph.protocols.setdefault(source, []).append(destination)
    else:
        graph.children.setdefault(source, []).append(destination)
        graph.parents.setdefault(destination, []).append(source)


def _refuse_cycles(graph: Graph) -> None:
    try:
        graphlib.TopologicalSorter(graph.parents).prepare()
    except graphlib.CycleError as error:
        names = " to ".join(error.args[1][:5])
        raise UnusableMetadata(LINKS, "links", f"has a cycle: {names}") from None
