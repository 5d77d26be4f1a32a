"""Counts of facets as the service answers them: with `accessible`, and with what is listed beside terms."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from run.explore.arguments import ACCESSIBLE, NOTHING
from shared.explore.base import CatalogueStore
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field
from shared.explore.query import FacetCounts, Query, Sought


def count(
    store: CatalogueStore, catalogue: Catalogue, sought: Sought, query: Query, facets: Sequence[Field]
) -> tuple[int, dict[str, Any]]:
    """Return how many documents match, and the counts of facets in the predecessor's form.

    `facets` are those of the query, and ACCESSIBLE if it is wanted.
    """
    beside = _beside(catalogue, facets)
    filtered = {each.field.name for each in query.filters}
    # A facet's own filter does not hold for it, nor for what is listed beside its terms.
    together = [field for name, field in beside.items() if name not in filtered]
    total, counts = store.counts(catalogue, sought, replace(query, facets=[*(query.facets or ()), *together]))
    listed = {field.name: counts[field.name] for field in together}
    for name, field in beside.items():
        if field not in together:
            others = [each for each in query.filters if each.field.name != name]
            _, alone = store.counts(catalogue, sought, replace(query, filters=others, facets=[field]))
            listed |= alone
    form = {each.name: _form(counts[each.name]) for each in facets if each is not ACCESSIBLE}
    for name, field in beside.items():
        _list_beside(form[name], field, listed[field.name])
    if ACCESSIBLE in facets:
        form = {
            ACCESSIBLE.name: _accessible(_total_but_for_it(store, catalogue, sought, query, total)),
            **form,
        }
    return total, form


def _beside(catalogue: Catalogue, facets: Sequence[Field]) -> dict[str, Field]:
    """Return the fields whose values are listed beside the terms of facets, by the names of these."""
    names = {each.name for each in facets}
    return {
        each.beside[0]: each for each in catalogue.plugin.fields if each.beside and each.beside[0] in names
    }


def _list_beside(form: dict[str, Any], field: Field, counts: FacetCounts) -> None:
    assert field.beside
    found: dict[Json, list[Json]] = {}
    for value, _ in counts.terms:
        # What lacks the field is counted as null.
        if value is not None:
            found.setdefault(value[0], []).append(value[1])
    for term in form["terms"]:
        # The most frequent first, as terms are.
        term[field.beside[1]] = found.get(term["term"], [])


def _total_but_for_it(
    store: CatalogueStore, catalogue: Catalogue, sought: Sought, query: Query, total: int
) -> int:
    if NOTHING not in query.filters:
        return total
    others = [each for each in query.filters if each is not NOTHING]
    return store.counts(catalogue, sought, replace(query, filters=others, facets=()))[0]


def _accessible(total: int) -> dict[str, Json]:
    return _form(FacetCounts([(True, total)] if total else [], total, 1))


def _form(counts: FacetCounts) -> dict[str, Any]:
    terms = [{"term": _term(value), "count": number} for value, number in counts.terms]
    return {"terms": terms, "total": counts.total, "type": "terms"}


def _term(value: Json) -> Json:
    # The predecessor's numbers and booleans are texts in facets.
    return str(value).lower() if isinstance(value, bool | int | float) else value
