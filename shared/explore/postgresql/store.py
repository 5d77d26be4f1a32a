"""Catalogues in a PostgreSQL database, whose tables it creates."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg import Connection

from shared.explore.base import BundleState
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.manifests.selection import FilesOfBundles, SelectedFiles
from shared.explore.plugins import open_plugin, rules_of
from shared.explore.postgresql.audience_numbers import all_labels
from shared.explore.postgresql.reader import Reader
from shared.explore.postgresql.schema import CATALOGUE_TABLES
from shared.explore.postgresql.upkeep import Upkeep
from shared.explore.postgresql.writer import Writer
from shared.explore.query import FacetCounts, Found, FoundPage, PageOrder, Query, Sought, Summed
from shared.explore.settings import CatalogueSetting
from shared.identifiers import Fqid
from shared.postgresql.connections import Connections

_ADD = """
    INSERT INTO dss_explore_catalogs (name, settings) VALUES (%s, %s::jsonb)
    ON CONFLICT (name) DO NOTHING
"""
_ALL = "SELECT name, number, is_default, settings FROM dss_explore_catalogs"
# What a catalogue keeps counts by. Another prefix is followed by a reindexing.
_FIXED = ("plugin", "options", "replica", "rules")
_STATE = """
    SELECT uuid, version, state, labels, release, reason FROM dss_explore_bundles
    WHERE catalog = %s AND uuid = %s AND version = %s
"""
_REVISION = "SELECT coalesce(sum(n), 0)::bigint FROM dss_explore_revisions WHERE catalog = %s"


class PostgreSqlCatalogues:
    """The catalogues of a configuration; see `CatalogueStore`.

    `endpoint` is the DSS's URL, which the predecessor's users know sources by, `host` that of DRS ids.
    """

    def __init__(
        self, dsn: str, catalogues: Sequence[CatalogueSetting], *, endpoint: str = "", host: str = ""
    ) -> None:
        self._settings = catalogues
        self._endpoint = endpoint
        self._host = host
        self._connections = Connections(dsn, prepare=CATALOGUE_TABLES.migrate)
        self._writing = Connections(dsn, prepare=CATALOGUE_TABLES.migrate, repeats=True)
        self._writer = Writer(self._writing, numbering=self._connections)
        self._reader = Reader(self._connections)
        self.upkeep = Upkeep(self._connections)
        # One plug-in for each catalogue; the table says which of them is the default at the moment.
        self._plugins = {
            each.name: open_plugin(each.plugin, host=self._host, **each.options) for each in catalogues
        }

    def catalogues(self) -> Mapping[str, Catalogue]:
        """Return the catalogues of the configuration by name, the default one first."""
        with self._connections.connection() as connection:
            rows = _rows(connection)
            if not all(each.name in rows for each in self._settings):
                for each in self._settings:
                    connection.execute(_ADD, (each.name, json.dumps(self._made_with(each))))
                rows = _rows(connection)
        ordered = sorted(self._settings, key=lambda each: not rows[each.name][1])
        return {each.name: self._catalogue(each, *rows[each.name]) for each in ordered}

    def _catalogue(
        self, setting: CatalogueSetting, number: int, _: bool, stored: Mapping[str, Any]
    ) -> Catalogue:
        now = self._made_with(setting)
        differs = tuple(name for name in _FIXED if now[name] != stored.get(name))
        return Catalogue(number, setting, self._plugins[setting.name], self._endpoint, differs)

    def _made_with(self, setting: CatalogueSetting) -> dict[str, Any]:
        settings = {**asdict(setting), "rules": rules_of(self._plugins[setting.name])}
        # As it is once it was stored.
        return dict(json.loads(json.dumps(settings)))

    def put(self, catalogue: Catalogue, state: BundleState) -> bool:
        """Record a bundle version, and change all that follows from it at once; return whether anything
        changed."""
        catalogue.require_as_made()
        return self._writer.put(catalogue, state)

    def forget(self, catalogue: Catalogue, fqids: Sequence[Fqid]) -> None:
        """Remove all that is recorded of bundle versions, so that they may be indexed again."""
        catalogue.require_as_made()
        for fqid in fqids:
            self._writer.forget(catalogue, fqid)

    def state(self, catalogue: Catalogue, fqid: Fqid) -> BundleState | None:
        """Return what is recorded of a bundle version, without what it says."""
        with self._connections.connection() as connection:
            row = connection.execute(_STATE, (catalogue.number, fqid.uuid, fqid.version)).fetchone()
        return _state(*row) if row else None

    def page(self, catalogue: Catalogue, sought: Sought, query: Query, order: PageOrder) -> FoundPage:
        """Return a page of documents."""
        return self._reader.page(catalogue, sought, query, order)

    def one(self, catalogue: Catalogue, sought: Sought, query: Query, entity_id: str) -> Found | None:
        """Return an entity's document, if it matches a query."""
        return self._reader.one(catalogue, sought, query, entity_id)

    def counts(
        self, catalogue: Catalogue, sought: Sought, query: Query
    ) -> tuple[int, Mapping[str, FacetCounts]]:
        """Return how many documents match, and the counts of facets."""
        return self._reader.counts(catalogue, sought, query)

    def summary(self, catalogue: Catalogue, sought: Sought, query: Query) -> dict[str, Json]:
        """Return the summary of what matches a query, of all types of entities."""
        return self._reader.summary(catalogue, sought, query)

    def sums(self, catalogue: Catalogue, sought: Sought, query: Query, by: str = "") -> Sequence[Summed]:
        """Return the sums of the numbers of documents that match, for each term of a field, or of all."""
        return self._reader.sums(catalogue, sought, query, by)

    def growth(self, catalogue: Catalogue, sought: Sought, query: Query, name: str) -> Sequence[Summed]:
        """Return for each day of a field that has versions how many documents have it, in order of time."""
        return self._reader.growth(catalogue, sought, query, name)

    def revision(self, catalogue: Catalogue) -> int:
        """Return a number that changes with all that readers find in a catalogue."""
        with self._connections.connection() as connection:
            row = connection.execute(_REVISION, (catalogue.number,)).fetchone()
        return int(row[0]) if row else 0

    def labels(self, sought: Sought) -> Sought:
        """Return those of the labels that a reader looks up which make a difference in any catalogue."""
        if sought is None:
            return None
        with self._connections.connection() as connection:
            return sought & all_labels(connection)

    def files(self, catalogue: Catalogue, sought: Sought, query: Query, after: str = "") -> SelectedFiles:
        """Yield all documents of a type behind an entity's id, in order of these ids."""
        return self._reader.files(catalogue, sought, query, after)

    def files_by_bundle(
        self,
        catalogue: Catalogue,
        sought: Sought,
        query: Query,
        after: tuple[str, str] = ("", ""),
        *,
        documents: bool = True,
    ) -> FilesOfBundles:
        """Yield them once for each bundle that they are in, in order of bundle UUID and entity id."""
        return self._reader.files_by_bundle(catalogue, sought, query, after, documents=documents)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()
        self._writing.close()


def _rows(connection: Connection) -> dict[str, tuple[int, bool, Mapping[str, Any]]]:
    rows = connection.execute(_ALL)
    return {name: (number, is_default, settings) for name, number, is_default, settings in rows}


def _state(uuid: str, version: str, state: str, labels: list[str], release: str, reason: str) -> BundleState:
    return BundleState(
        fqid=Fqid(uuid, version), state=state, labels=frozenset(labels), release=release, reason=reason
    )
