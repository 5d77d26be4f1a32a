"""What a client can find: bundle versions by a query, and entities of a catalogue by what they are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from dss.api import explore, search
from dss.api.explore import Catalogue
from dss.api.session import Session
from dss.errors import InvalidInput
from dss.explore.entities import Entities
from dss.explore.filters import condition


class FindingMethods(Session):
    """Searches, and questions to catalogues."""

    def search(self, query: Mapping[str, Any], *, raw: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the bundle versions that an Elasticsearch query finds, last UUID first::

            for hit in client.search({"query": {"match": {"files.project_json.name": "cortex"}}}):
                print(hit["bundle_fqid"], hit["bundle_url"])

        Asks for the next page when it is needed. With `raw` each result has its `metadata` document. A query
        that is not supported raises CallFailed, whose title names the clause.
        """
        return search.search(self, query, raw=raw)

    def explore(
        self,
        entity_type: str = "files",
        filters: Mapping[str, Any] | None = None,
        *,
        words: str | None = None,
        catalog: str | None = None,
        sort: str | None = None,
        order: Literal["asc", "desc"] | None = None,
        fields: Sequence[str] = (),
        limit: int | None = None,
    ) -> Entities:
        """Return the entities of a type (files, samples, projects, bundles) that match all filters::

            found = client.explore("files", {"fileFormat": "fastq.gz", "organ": ["brain", None]}, limit=1000)
            print(found.total, "files")
            for hit in found:
                print(hit["files"][0]["name"], hit["files"][0]["size"])
            table = found.to_dataframe()
            print(found.facets("organ", "genusSpecies"), found.summary())
            sizes = {"fileSize": {"within": [[1_000, 2_000]]}}
            print([hit["entryId"] for hit in client.explore("files", sizes, sort="fileSize", order="desc")])

        A filter has a field, and a value, a list of values of which one must match, or a relation: `is`,
        `within`, `contains` or `intersects` with its values. None is "no value". `words` must all occur in
        titles, descriptions or names. `fields` are the parts of hits to get, as `files`; all by default.
        Pages are fetched as they are needed. The result raises NoCatalogue if the DSS has no such catalogue,
        or the catalogue no such type of entities, and CallFailed for an unknown field.
        """
        if limit is not None and limit < 1:
            raise InvalidInput(f"limit: must be at least 1, is {limit}")
        return Entities(
            self,
            entity_type,
            {name: condition(value) for name, value in (filters or {}).items()},
            catalog=catalog,
            words=words,
            sort=sort,
            order=order,
            fields=fields,
            limit=limit,
        )

    def catalogues(self) -> list[Catalogue]:
        """Return the catalogues of the DSS, the default one first::

            for catalogue in client.catalogues():
                print(catalogue.name, catalogue.plugin, catalogue.entity_types)

        Raises NoCatalogue if there are none.
        """
        return explore.catalogues(self)
