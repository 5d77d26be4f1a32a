"""Entities of a catalogue beside files and bundles: what the page of a project or a sample shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from run.api.call import Call
from run.browse.cells import present, value_text
from run.browse.operations import HOME
from run.browse.state import State, is_choosable, text_of
from run.explore.access import sought
from run.explore.pages import hit_form
from shared.errors import NotFound
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field, FieldType
from shared.explore.query import Found, Query
from shared.identifiers import check_uuid

# Values of a field that a page shows, and files of a tree.
_MOST_VALUES = 50
_MOST_FILES = 200
# Fields by which the lists of an entity are found; the first that it has counts.
_KEYS = {"projects": "projectId", "samples": "sampleId"}
# Of the entity itself, or texts that the page has elsewhere.
_NOT_FACTS = frozenset(("entryId", "sourceId", "sourceSpec", "projectTitle", "projectDescription"))


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A field of an entity: its values in words, each with the list of what has it; how many are left out."""

    field: Field
    values: Sequence[tuple[str, str]]
    others: int


@dataclass(frozen=True, kw_only=True)
class Entity:
    """What a page shows of an entity: its title, facts, lists of what belongs to it, and the API's hit."""

    title: str
    facts: Sequence[Fact]
    lists: Sequence[tuple[str, str]]
    hit: Mapping[str, Any]
    project: Mapping[str, Any]
    trees: Mapping[str, Sequence[Mapping[str, Any]]]
    cut: bool


def entity(call: Call, catalogue: Catalogue, entity_type: str, entity_id: str) -> Entity:
    """Return what the page of an entity shows. Raises IllegalArguments, and NotFound."""
    entity_id = check_uuid(entity_id, "entity_id")
    query = Query(entity_type=entity_type, facets=())
    found = call.dss.catalogues.one(catalogue, sought(call), query, entity_id)
    if found is None:
        raise NotFound(f"catalogue {catalogue.name} has nothing in {entity_type} with the id {entity_id}")
    hit = hit_form(catalogue, entity_type, found, call.base_url)
    projects = hit.get("projects")
    project = projects[0] if entity_type == "projects" and isinstance(projects, list) and projects else {}
    trees, cut = _trees(project)
    return Entity(
        title=_title(catalogue, entity_type, found),
        facts=list(_facts(catalogue, entity_type, found)),
        lists=list(_lists(catalogue, entity_type, found)),
        hit=hit,
        project=project,
        trees=trees,
        cut=cut,
    )


def _title(catalogue: Catalogue, entity_type: str, found: Found) -> str:
    known = catalogue.fields[catalogue.listed[entity_type].default_sort]
    return next((value_text(known, value) for value in present(known, found.document)), found.entity_id)


def _facts(catalogue: Catalogue, entity_type: str, found: Found) -> Iterator[Fact]:
    state = State(once={"catalog": catalogue.name})
    path = f"{HOME}/{entity_type}"
    for known in catalogue.fields.values():
        is_shown = known.is_facet or known.type in (FieldType.NUMBER, FieldType.DATE)
        if not is_shown or known.name in _NOT_FACTS:
            continue
        values = {value_text(known, value): value for value in present(known, found.document)}
        if values:
            listed = [
                (text, _list_of(path, state, known, value))
                for text, value in list(values.items())[:_MOST_VALUES]
            ]
            yield Fact(field=known, values=listed, others=len(values) - len(listed))


def _list_of(path: str, state: State, known: Field, value: Json) -> str:
    """Return the list of what has a value; empty for what nobody would look for."""
    if not known.is_facet or known.counted_by or isinstance(value, list):
        return ""
    text = text_of(known, value)
    return state.with_value(known.name, text).url(path) if is_choosable(text) else ""


def _lists(catalogue: Catalogue, entity_type: str, found: Found) -> Iterator[tuple[str, str]]:
    known = catalogue.fields.get(_KEYS.get(entity_type, ""))
    value = next(present(known, found.document), None) if known else None
    if known and value is not None:
        for name in catalogue.listed:
            if name != entity_type:
                query = {"catalog": catalogue.name, f"is.{known.name}": str(value)}
                yield name, f"{HOME}/{name}?{urlencode(query)}"


def _trees(project: Mapping[str, Any]) -> tuple[dict[str, list[dict[str, Any]]], bool]:
    """Return the files of a project's trees, each with where it stands; and whether some are left out."""
    trees = {
        name: [{"where": where, **file} for where, file in _leaves(project.get(name) or {}, ())]
        for name in ("matrices", "contributedAnalyses")
    }
    cut = any(len(files) > _MOST_FILES for files in trees.values())
    return {name: files[:_MOST_FILES] for name, files in trees.items() if files}, cut


def _leaves(tree: Any, where: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(tree, list):
        for file in tree:
            yield ", ".join(where), file
        return
    for dimension, values in tree.items():
        for value, below in values.items():
            yield from _leaves(below, (*where, f"{dimension}: {value}"))
