"""What bundles say of entities: read for each change of an entity that is in few bundles, and counted for
others."""

from collections.abc import Iterable, Mapping, Sequence

from psycopg import Connection

from shared.explore.audiences import audiences
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, Said, key_columns
from shared.explore.entities import Known, Share, tally
from shared.explore.postgresql.audience_numbers import AudienceNumbers, encode_labels
from shared.explore.postgresql.documents import Counted
from shared.explore.postgresql.large import LargeEntities
from shared.explore.postgresql.term_numbers import text_array

# An entity that is in more bundles is large: reading what 32 bundles say takes some milliseconds.
MOST_READ = 32

_FORGET = "DELETE FROM dss_explore_shares WHERE catalog = %s AND uuid = ANY(%s)"
_RECORD = """
    INSERT INTO dss_explore_shares (catalog, uuid, labels, entity_type, entity_id)
    SELECT %s, uuid, labels, kind, id
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS new (uuid, labels, kind, id)
"""
# Bundles are read once, for any number of their entities.
_SHARES = """
    SELECT wanted.place, share.uuid
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS wanted (kind, id, place)
    CROSS JOIN LATERAL (
        SELECT uuid FROM dss_explore_shares
        WHERE catalog = %s AND entity_type = wanted.kind AND entity_id = wanted.id
        ORDER BY labels, uuid LIMIT %s
    ) AS share
"""
_SAID = """
    SELECT uuid, version, labels, said FROM dss_explore_bundles
    WHERE catalog = %s AND uuid = ANY(%s) AND is_current
"""


# What bundles say of entities.
SharesOf = Mapping[EntityKey, Sequence[Share]]


class Shares:
    """The shares of entities in one transaction, which holds the locks of those that change."""

    def __init__(self, connection: Connection, catalogue: Catalogue, numbers: AudienceNumbers) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._large = LargeEntities(connection, catalogue, numbers)

    def replace(self, old: SharesOf, new: SharesOf) -> None:
        """Replace what some bundles said of entities by what they say now."""
        number = self._catalogue.number
        forgotten = sorted({share.uuid for listed in old.values() for share in listed})
        if forgotten:
            self._connection.execute(_FORGET, (number, forgotten))
        recorded = [
            (share.uuid, encode_labels(share.labels), *key) for key, listed in new.items() for share in listed
        ]
        if recorded:
            columns = map(text_array, zip(*recorded, strict=True))
            self._connection.execute(_RECORD, (number, *columns))
        keys = {**old, **new}
        self._large.find(keys)
        for key in keys:
            if key in self._large:
                self._large.change(key, old.get(key, ()), new.get(key, ()))

    def counted(self, keys: Sequence[EntityKey], own: SharesOf) -> dict[EntityKey, Counted]:
        """Return the counts of each entity that was replaced; `own` are shares that needn't be read."""
        known = Known()
        small = [key for key in keys if key not in self._large]
        shares = self._read(small, own, MOST_READ + 1)
        grown = [key for key in small if len(shares[key]) > MOST_READ]
        if grown:
            for key, listed in self._read(grown, own, None).items():
                self._large.begin(key, listed)
        return {
            key: Counted(self._large.tallies(key))
            if key in self._large
            else self._counted(key, shares[key], known)
            for key in keys
        }

    def _counted(self, key: EntityKey, shares: Sequence[Share], known: Known) -> Counted:
        merges = self._catalogue.plugin.merges[key[0]]
        tallies = {
            audience: tally(merges, [share for share in shares if share.labels in audience.shown], known)
            for audience in audiences(share.labels for share in shares)
        }
        bundles: dict[frozenset[str], list[dict[str, str]]] = {}
        for share in shares:
            bundles.setdefault(share.labels, []).append({"uuid": share.uuid, "version": share.version})
        return Counted(tallies, bundles)

    def _read(
        self, keys: Sequence[EntityKey], own: SharesOf, most: int | None
    ) -> dict[EntityKey, list[Share]]:
        """Return the shares of entities, at most so many of each beside its own."""
        shares = {key: list(own.get(key, ())) for key in keys}
        own_uuids = {share.uuid for listed in shares.values() for share in listed}
        columns = map(text_array, key_columns(keys))
        rows = self._connection.execute(_SHARES, (*columns, self._catalogue.number, most)).fetchall()
        others = [(keys[place - 1], uuid) for place, uuid in rows if uuid not in own_uuids]
        said = self._said({uuid for _, uuid in others})
        for key, uuid in others:
            version, labels, says = said[uuid]
            shares[key].append(Share(uuid, version, labels, says.contents(key)))
        return shares

    def _said(self, uuids: Iterable[str]) -> dict[str, tuple[str, frozenset[str], Said]]:
        listed = sorted(uuids)
        if not listed:
            return {}
        rows = self._connection.execute(_SAID, (self._catalogue.number, listed)).fetchall()
        return {uuid: (version, frozenset(labels), Said.parse(said)) for uuid, version, labels, said in rows}
