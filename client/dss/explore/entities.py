"""What a question to a catalogue finds, page by page, as rows, counts and sums."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from dss.api import explore
from dss.api.session import Session
from dss.errors import MissingExtra
from dss.explore.columns import Row, cell, flat

if TYPE_CHECKING:
    import pandas


class Entities:
    """Entities of one type that match a question to a catalogue, in order::

        found = client.explore("files", {"fileFormat": ["fastq.gz", "bam"]}, limit=1000)
        print(found.total)
        for hit in found:
            print(hit["entryId"], hit["files"][0]["name"])
        table = found.to_dataframe()

    Nothing is asked before it is needed, and then a page at a time. Iterating again asks again, but for the
    first page. It can be pickled.
    """

    def __init__(
        self,
        session: Session,
        entity_type: str,
        filters: Mapping[str, Any],
        *,
        catalog: str | None = None,
        words: str | None = None,
        sort: str | None = None,
        order: str | None = None,
        fields: Sequence[str] = (),
        limit: int | None = None,
    ) -> None:
        self.entity_type = entity_type
        self.filters = filters
        self.words = words
        self.limit = limit
        self._session = session
        self._catalog = catalog
        self._order = {"sort": sort, "order": order, "fields": ",".join(fields) or None}

    @cached_property
    def catalogue(self) -> explore.Catalogue:
        """The catalogue that is asked. Raises NoCatalogue."""
        return explore.catalogue(self._session, self._catalog)

    @property
    def total(self) -> int:
        """How many entities match, with any limit."""
        total: int = self._first["pagination"]["total"]
        return total

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield hits as the API shows them: lists of what an entity is about, by name."""
        return islice(self._hits(), self.limit)

    def rows(self) -> Iterator[Row]:
        """Yield a flat dictionary for each hit: `files.name` is the name, or the names, of its files."""
        return map(flat, self)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with a row for each hit, and a column for each field of each list, as `files.name`.

        A cell is a value, a list of several, or None. Raises MissingExtra without pandas.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("a table of entities", "pandas") from error
        return pandas.DataFrame(list(self.rows()))

    def facets(self, *names: str) -> dict[str, dict[str | None, int]]:
        """Return how many entities have each value of some facets, by default of all, the most frequent
        first::

            for organ, count in client.explore("samples").facets("organ")["organ"].items():
                print(organ, count)

        None stands for entities without a value. A facet is counted as if its own field had no filter.
        """
        return {
            name: {_text(each["term"]): each["count"] for each in facet["terms"]}
            for name, facet in self.term_facets(*names).items()
        }

    def term_facets(self, *names: str) -> dict[str, Any]:
        """Return the counts of facets as the API shows them."""
        params = self._params(facets=",".join(names) if names else None, size="1")
        found: dict[str, Any] = explore.page(self._session, self._type, params)["termFacets"]
        return found

    def summary(self) -> dict[str, Any]:
        """Return the numbers of all that matches: files, their size, and so on, of all types of entities::

        print(client.explore(filters={"organ": "brain"}).summary()["fileCount"])
        """
        found: dict[str, Any] = explore.summary(self._session, self._params())
        return found

    @property
    def _type(self) -> str:
        return self.catalogue.check_type(self.entity_type)

    def _params(self, **others: str | None) -> dict[str, str]:
        return explore.params_of(self.catalogue.name, self.filters, self.words, **others)

    @cached_property
    def _first(self) -> Any:
        return explore.page(self._session, self._type, self._page_params)

    @property
    def _page_params(self) -> dict[str, str]:
        size = self.catalogue.page_size(self.entity_type)
        if self.limit is not None:
            size = min(size, self.limit)
        # Counts of facets take the DSS longer than hits do.
        return self._params(**self._order, size=str(size), facets="")

    def _hits(self) -> Iterator[dict[str, Any]]:
        params: explore.Params | None = self._page_params
        page = self._first
        while True:
            yield from page["hits"]
            params = explore.following(self._session, self.entity_type, params or {}, page)
            if params is None:
                return
            page = explore.page(self._session, self.entity_type, params)


def _text(term: Any) -> str | None:
    return None if term is None else cell(term)
