"""What bundles say of entities: read for each change of an entity that is in few bundles, and counted for
others."""

from collections.abc import Iterable, Mapping, Sequence

from psycopg import Connection

from shared.explore.audiences import Audience, audiences
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, Said, key_columns
from shared.explore.entities import Known, Share, tally
from shared.explore.postgresql.audience_numbers import encode_labels
from shared.explore.postgresql.large import LargeEntities
from shared.explore.tallies import Counts, Slot

# An entity that is in more bundles is large: reading what 32 bundles say takes some milliseconds.
MOST_READ = 32

Tallies = Mapping[Slot, Counts]

_FORGET = "DELETE FROM dss_explore_shares WHERE catalog = %s AND uuid = %s"
_RECORD = """
    INSERT INTO dss_explore_shares (catalog, uuid, labels, entity_type, entity_id)
    SELECT %s, %s, %s, kind, id FROM unnest(%s::text[], %s::text[]) AS new (kind, id)
"""
_COUNT = """
    SELECT wanted.kind, wanted.id, (
        SELECT count(*) FROM (
            SELECT 1 FROM dss_explore_shares
            WHERE catalog = %s AND entity_type = wanted.kind AND entity_id = wanted.id LIMIT %s
        ) AS first_shares
    ) FROM unnest(%s::text[], %s::text[]) AS wanted (kind, id)
"""
# Bundles are read once, whatever number of the entities they are about.
_OTHERS = """
    SELECT share.entity_type, share.entity_id, share.uuid
    FROM unnest(%s::text[], %s::text[]) AS wanted (kind, id)
    JOIN dss_explore_shares AS share
        ON share.catalog = %s AND share.entity_type = wanted.kind AND share.entity_id = wanted.id
"""
_SAID = """
    SELECT uuid, version, labels, said FROM dss_explore_bundles
    WHERE catalog = %s AND uuid = ANY(%s) AND is_current
"""


class Shares:
    """The shares of entities in one transaction, which holds the locks of those that change."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._large = LargeEntities(connection, catalogue)
        self._known = Known()

    def replace(self, uuid: str, old: Mapping[EntityKey, Share], new: Mapping[EntityKey, Share]) -> None:
        """Replace what a bundle said of entities by what it says now."""
        number = self._catalogue.number
        self._connection.execute(_FORGET, (number, uuid))
        if new:
            # Those of the bundle, so of all.
            labels = encode_labels(next(iter(new.values())).labels)
            self._connection.execute(_RECORD, (number, uuid, labels, *key_columns(new)))
        for key, counts in self._large.among({**old, **new}).items():
            self._large.change(key, counts, old.get(key), new.get(key))

    def tallies(
        self, keys: Sequence[EntityKey], own: Mapping[EntityKey, Share]
    ) -> dict[EntityKey, dict[Audience, Tallies]]:
        """Return the counts of each entity, for each audience; `own` are shares that needn't be read."""
        large = self._large.among(keys)
        grown = self._grown([key for key in keys if key not in large])
        found = {key: self._large.tallies(key) for key in large}
        shares = self._read([key for key in keys if key not in large], own)
        for key in keys:
            if key in large:
                continue
            if key in grown:
                self._large.begin(key, shares[key])
                found[key] = self._large.tallies(key)
            else:
                found[key] = self._counted(key, shares.get(key, []))
        return found

    def _counted(self, key: EntityKey, shares: Sequence[Share]) -> dict[Audience, Tallies]:
        merges = self._catalogue.plugin.merges[key[0]]
        return {
            audience: tally(
                merges, [share for share in shares if share.labels in audience.shown], self._known
            )
            for audience in audiences(share.labels for share in shares)
        }

    def _grown(self, keys: Sequence[EntityKey]) -> set[EntityKey]:
        """Return the entities that are in more bundles than are read for each change."""
        kinds, ids = key_columns(keys)
        rows = self._connection.execute(
            _COUNT, (self._catalogue.number, MOST_READ + 1, kinds, ids)
        ).fetchall()
        return {(kind, entity_id) for kind, entity_id, count in rows if count > MOST_READ}

    def _read(
        self, keys: Sequence[EntityKey], own: Mapping[EntityKey, Share]
    ) -> dict[EntityKey, list[Share]]:
        shares = {key: [own[key]] for key in keys if key in own}
        own_uuids = {share.uuid for share in own.values()}
        kinds, ids = key_columns(keys)
        rows = self._connection.execute(_OTHERS, (kinds, ids, self._catalogue.number)).fetchall()
        others = [((kind, entity_id), uuid) for kind, entity_id, uuid in rows if uuid not in own_uuids]
        said = self._said({uuid for _, uuid in others})
        for key, uuid in others:
            version, labels, says = said[uuid]
            shares.setdefault(key, []).append(Share(uuid, version, labels, says.contents(key)))
        return shares

    def _said(self, uuids: Iterable[str]) -> dict[str, tuple[str, frozenset[str], Said]]:
        listed = sorted(uuids)
        if not listed:
            return {}
        rows = self._connection.execute(_SAID, (self._catalogue.number, listed)).fetchall()
        return {uuid: (version, frozenset(labels), Said.parse(said)) for uuid, version, labels, said in rows}
