"""A catalogue of one test's own in a database: written by bundles, asked, and looked into."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from shared.access import labels_of
from shared.explore.base import DELETED, INDEXED, BundleState
from shared.explore.bundle_metadata import BundleMetadata, Json
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, Said
from shared.explore.entities import Share, tally
from shared.explore.filters import parse_filters
from shared.explore.plugins import Plugin
from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.query import FacetCounts, PageOrder, Query
from shared.explore.settings import CatalogueSetting
from shared.identifiers import Fqid
from tests.support.api import new_uuid

# The labels of what anybody may read, and of what a group may.
ANYBODY = labels_of(())
Labels = frozenset[str]

# Rows as they are in any catalogue: instead of numbers, which depend on what was first, what they stand for.
_TABLES = {
    "documents": """
        SELECT entity_type, entity_id, shown::text, hidden::text, vals::text, keys::text, default_key,
            words::text, sums::text, document
        FROM dss_explore_documents JOIN dss_explore_audiences ON number = audience
        WHERE catalog = %s ORDER BY 1, 2, 3, 4
    """,
    # The terms that these are of are in the counts of facets.
    "profiles": """
        SELECT entity_type, shown::text, hidden::text, n, sums::text
        FROM dss_explore_profiles JOIN dss_explore_audiences ON number = audience
        WHERE catalog = %s ORDER BY 1, 2, 3, 4, 5
    """,
    "shares": """
        SELECT entity_type, entity_id, uuid, labels FROM dss_explore_shares
        WHERE catalog = %s ORDER BY 1, 2, 3
    """,
    "bundles": """
        SELECT uuid, version, labels FROM dss_explore_bundles WHERE catalog = %s AND is_current ORDER BY 1
    """,
}
# What is kept of large entities, besides.
_LARGE_TABLES = {
    "large": """
        SELECT entity_type, entity_id, labels::text FROM dss_explore_large WHERE catalog = %s ORDER BY 1, 2
    """,
    "members": """
        SELECT entity_type, entity_id, listed, inner_id, version, uuid, labels, digest
        FROM dss_explore_members WHERE catalog = %s ORDER BY 1, 2, 3, 4, 5, 6
    """,
    "tallies": """
        SELECT entity_type, entity_id, shown::text, hidden::text, listed, grp, field, value, n
        FROM dss_explore_tallies JOIN dss_explore_audiences ON number = audience
        WHERE catalog = %s ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
    """,
}


class TestCatalogue:
    """A catalogue of a test: its store, its plug-in, and what is in its tables."""

    __test__ = False

    def __init__(
        self, store: PostgreSqlCatalogues, catalogue: Catalogue, connection: psycopg.Connection[Any]
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.fields = {each.name: each for each in catalogue.plugin.fields}
        self._connection = connection

    def state(self, bundle: BundleMetadata, labels: Labels = ANYBODY) -> BundleState:
        """Return what is recorded of a bundle that can be indexed."""
        said = Said.of(self.catalogue.plugin.contributions(bundle))
        return BundleState(fqid=bundle.fqid, state=INDEXED, labels=labels, release="1", said=said)

    def put(self, bundle: BundleMetadata, labels: Labels = ANYBODY) -> bool:
        """Index a bundle; return whether anything changed."""
        return self.store.put(self.catalogue, self.state(bundle, labels))

    def delete(self, fqid: Fqid) -> bool:
        """Delete a bundle version; return whether anything changed."""
        return self.store.put(self.catalogue, BundleState(fqid=fqid, state=DELETED))

    def query(self, entity_type: str, filters: Json = None) -> Query:
        """Return a query by filters in the form of the API."""
        return Query(entity_type=entity_type, filters=parse_filters(filters or {}, self.catalogue.fields))

    def document(self, entity_type: str, entity_id: str, sought: Labels | None = ANYBODY) -> Any:
        """Return the document of an entity, None if there is none."""
        found = self.store.one(self.catalogue, sought, self.query(entity_type), entity_id)
        return found and found.document

    def ids(self, entity_type: str, filters: Json = None, sought: Labels | None = ANYBODY) -> list[str]:
        """Return the ids of the entities that match filters, sorted."""
        order = PageOrder(sort=self.fields["entryId"], descending=False, size=1000)
        page = self.store.page(self.catalogue, sought, self.query(entity_type, filters), order)
        assert not page.has_next
        return [each.entity_id for each in page.found]

    def pages(self, entity_type: str, sort: str, *, descending: bool = False, size: int = 2) -> list[str]:
        """Return the ids of all entities in an order, from one page to the next."""
        found, after = [], None
        while True:
            order = PageOrder(sort=self.fields[sort], descending=descending, size=size, after=after)
            page = self.store.page(self.catalogue, ANYBODY, self.query(entity_type), order)
            found += [each.entity_id for each in page.found]
            if not page.has_next:
                return found
            after = page.found[-1].position

    def counts(
        self, entity_type: str, filters: Json = None, sought: Labels | None = ANYBODY
    ) -> tuple[int, dict[str, FacetCounts]]:
        """Return how many entities match filters, and the counts of all facets."""
        total, facets = self.store.counts(self.catalogue, sought, self.query(entity_type, filters))
        return total, dict(facets)

    def summary(self, filters: Json = None, sought: Labels | None = ANYBODY) -> dict[str, Json]:
        """Return the summary of what matches filters."""
        return self.store.summary(self.catalogue, sought, self.query("files", filters))

    def tables(self) -> dict[str, Sequence[Any]]:
        """Return all that a reader's answers are made of: equal for equal content in any order."""
        rows = self._rows(_TABLES)
        # An admin, and a reader for each set of readers, who all see other versions of entities.
        readers = [None, *(frozenset(each) for each in sorted({tuple(row[2]) for row in rows["bundles"]}))]
        counted = {
            (str(sorted(sought or ())), kind): self.counts(kind, sought=sought)
            for kind in self.catalogue.plugin.entity_types
            for sought in readers
        }
        facets = {
            (*asked, name): [(json.dumps(term), n) for term, n in each.terms]
            for asked, (_, found) in counted.items()
            for name, each in found.items()
            if each.terms
        }
        return rows | {"facets": sorted(facets.items())}

    def large_tables(self) -> dict[str, Sequence[Any]]:
        """Return what is kept of large entities."""
        return self._rows(_LARGE_TABLES)

    def is_empty(self) -> bool:
        """Return whether nothing is left of any bundle, but that it was deleted."""
        return not any((self.tables() | self.large_tables()).values())

    def _rows(self, statements: dict[str, str]) -> dict[str, Sequence[Any]]:
        return {
            name: self._connection.execute(statement.encode(), (self.catalogue.number,)).fetchall()
            for name, statement in statements.items()
        }


def documents_of(plugin: Plugin, *bundles: BundleMetadata) -> dict[EntityKey, Any]:
    """Return the documents that bundles make together, by entity, as all readers of all bundles see them."""
    shares: dict[EntityKey, list[Share]] = {}
    for bundle in bundles:
        said = Said.parse(Said.of(plugin.contributions(bundle)).encode())
        for key in said.keys:
            share = Share(bundle.fqid.uuid, bundle.fqid.version, ANYBODY, said.contents(key))
            shares.setdefault(key, []).append(share)
    return {
        key: {
            **plugin.document(key[0], tally(plugin.merges[key[0]], listed)),
            "entity_id": key[1],
            "bundles": [{"uuid": share.uuid, "version": share.version} for share in listed],
            "sources": [],
        }
        for key, listed in shares.items()
    }


@contextlib.contextmanager
def open_catalogue(
    dsn: str, *, plugin: str = "hca", host: str = "dss.example", **options: Any
) -> Iterator[TestCatalogue]:
    """Make an empty catalogue in a database; the plug-in gets the options."""
    setting = CatalogueSetting(name=f"test-{new_uuid()}", plugin=plugin, options=options)
    store = PostgreSqlCatalogues(dsn, [setting], endpoint=f"https://{host}/v1", host=host)
    with contextlib.closing(store), psycopg.connect(dsn, autocommit=True) as connection:
        yield TestCatalogue(store, store.catalogues()[setting.name], connection)
