"""What users ask a catalogue, as its service asks the store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.explore.filters import parse_filters
from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.query import PageOrder, Query
from tests.benchmarks.explore_filled import LABELS

_SIZE = 10
# Three facets that people filter by, of three lists of inner entities.
_THREE = ("genusSpecies", "effectiveOrgan", "fileFormat")


@dataclass(frozen=True)
class Question:
    """A question, and in how many milliseconds 95 of 100 should be answered; None promises nothing."""

    name: str
    target: int | None
    ask: Callable[[], Any] = field(repr=False)


def questions(store: PostgreSqlCatalogues) -> Iterator[Question]:
    """Yield questions to the only catalogue of a store, which has some documents."""
    return _Questions(store).all()


class _Questions:
    def __init__(self, store: PostgreSqlCatalogues) -> None:
        self._store = store
        (self._catalogue,) = store.catalogues().values()

    def all(self) -> Iterator[Question]:
        for kind in ("files", "samples", "projects", "bundles"):
            yield self._page(f"{kind}: first page", 300, kind)
        three = self._frequent()
        for kind in ("files", "samples", "projects", "bundles"):
            yield self._page(f"{kind}: first page, three facets filtered", 500, kind, three)
        everything, filtered = Query(entity_type="files"), self._query("files", three)
        yield Question("summary", 300, lambda: self._summary(everything))
        yield Question("summary, three facets filtered", None, lambda: self._summary(filtered))
        one = self._first("files")
        yield Question("files: one by its id", 20, lambda: self._one(everything, one.entity_id))
        name = one.document["contents"]["files"][0]["name"]
        bundle = one.document["bundles"][0]["uuid"]
        yield self._page("files: first page, by name", 500, "files", {"fileName": {"is": [name]}})
        yield self._page("files: first page, by bundle", 500, "files", {"bundleUuid": {"is": [bundle]}})
        size = {"fileSize": {"within": [[1_000, 2_000_000]]}}
        yield self._page(
            "files: first page, by size and two facets", 500, "files", _without_last(three) | size
        )
        yield self._page("files: first page, by size", None, "files", size)
        yield self._page("files: first page, by words", None, "files", words="Laboratory 7")
        for sort in ("entryId", "effectiveOrgan", "fileSize"):
            yield self._page(f"files: first page, sorted by {sort}", None, "files", sort=sort)

    def _frequent(self) -> dict[str, Any]:
        _, facets = self._store.counts(self._catalogue, LABELS, Query(entity_type="files"))
        most = {name: next(term for term, _ in facets[name].terms if term is not None) for name in _THREE}
        return {name: {"is": [term]} for name, term in most.items()}

    def _query(self, kind: str, filters: Any = None, words: str = "") -> Query:
        parsed = parse_filters(filters or {}, self._catalogue.fields)
        return Query(entity_type=kind, filters=parsed, words=words)

    def _first(self, kind: str) -> Any:
        order = PageOrder(sort=self._catalogue.fields["fileName"], descending=False, size=1)
        return self._store.page(self._catalogue, LABELS, Query(entity_type=kind), order).found[0]

    def _page(
        self,
        name: str,
        target: int | None,
        kind: str,
        filters: Any = None,
        *,
        words: str = "",
        sort: str = "",
    ) -> Question:
        query, listed = self._query(kind, filters, words), self._catalogue.plugin.entity_types[kind]
        field_name = sort or listed.default_sort
        order = PageOrder(
            sort=self._catalogue.fields[field_name],
            descending=not sort and listed.default_order == "desc",
            size=_SIZE,
        )

        def ask() -> list[Any]:
            found = self._store.page(self._catalogue, LABELS, query, order)
            self._store.counts(self._catalogue, LABELS, query)
            return [self._catalogue.plugin.hit(kind, each.document) for each in found.found]

        return Question(name, target, ask)

    def _summary(self, query: Query) -> Any:
        return self._store.summary(self._catalogue, LABELS, query)

    def _one(self, query: Query, entity_id: str) -> Any:
        return self._store.one(self._catalogue, LABELS, query, entity_id)


def _without_last(filters: dict[str, Any]) -> dict[str, Any]:
    return dict(list(filters.items())[:-1])
