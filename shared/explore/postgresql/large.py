"""Entities that are in many bundles: their counts are kept, and changed by differences.

Each inner entity is recorded with the bundles that describe it, of which the greatest version counts. A
bundle that comes or goes changes the counts by those inner entities alone whose greatest version is another
one now. What it costs depends on the bundle, not on how many others there are.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection

from shared.explore.audiences import Audience, Labels, audiences
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, key_columns
from shared.explore.entities import InnerKey, Share, inner_entities
from shared.explore.postgresql.audience_numbers import AudienceNumbers, decode_labels, encode_labels
from shared.explore.postgresql.term_numbers import digest
from shared.explore.tallies import Counts, Inner, Slot, encode

_AMONG = """
    SELECT large.entity_type, large.entity_id, large.labels
    FROM unnest(%s::text[], %s::text[]) AS wanted (kind, id)
    JOIN dss_explore_large AS large
        ON large.catalog = %s AND large.entity_type = wanted.kind AND large.entity_id = wanted.id
"""
_SET_LABELS = """
    INSERT INTO dss_explore_large VALUES (%s, %s, %s, %s::jsonb)
    ON CONFLICT (catalog, entity_type, entity_id) DO UPDATE SET labels = excluded.labels
"""
_FORGET = "DELETE FROM dss_explore_large WHERE catalog = %s AND entity_type = %s AND entity_id = %s"
_KEEP_INNER = """
    INSERT INTO dss_explore_inner
    SELECT %s, %s, %s, digest, entity FROM unnest(%s::uuid[], %s::text[]) AS new (digest, entity)
    ON CONFLICT DO NOTHING
"""
_ADD = """
    INSERT INTO dss_explore_members
    SELECT %s, %s, %s, listed, inner_id, %s, %s, %s, digest
    FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) AS new (listed, inner_id, digest)
"""
_REMOVE = """
    DELETE FROM dss_explore_members AS member
    USING unnest(%s::text[], %s::uuid[]) AS old (listed, inner_id)
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s
        AND member.listed = old.listed AND member.inner_id = old.inner_id AND version = %s AND uuid = %s
    RETURNING digest
"""
# What nobody refers to any more must not stay: it may have been purged.
_DROP_INNER = """
    DELETE FROM dss_explore_inner AS found
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s AND digest = ANY(%s::uuid[])
        AND NOT EXISTS (
            SELECT 1 FROM dss_explore_members AS member
            WHERE member.catalog = found.catalog AND member.entity_type = found.entity_type
                AND member.entity_id = found.entity_id AND member.digest = found.digest
        )
"""
_WINNERS = """
    SELECT wanted.listed, wanted.inner_id, greatest.digest, greatest.entity
    FROM unnest(%s::text[], %s::uuid[]) AS wanted (listed, inner_id)
    CROSS JOIN LATERAL (
        SELECT digest, found.entity FROM dss_explore_members AS member
        JOIN dss_explore_inner AS found USING (catalog, entity_type, entity_id, digest)
        WHERE catalog = %s AND entity_type = %s AND entity_id = %s
            AND member.listed = wanted.listed AND member.inner_id = wanted.inner_id AND labels = ANY(%s)
        ORDER BY version DESC, uuid DESC LIMIT 1
    ) AS greatest
"""
_ALL_WINNERS = """
    SELECT DISTINCT ON (listed, inner_id) listed, inner_id, digest, entity
    FROM dss_explore_members JOIN dss_explore_inner USING (catalog, entity_type, entity_id, digest)
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s AND labels = ANY(%s)
    ORDER BY listed, inner_id, version DESC, uuid DESC
"""
_COUNT = """
    INSERT INTO dss_explore_tallies AS tally
    SELECT %s, %s, %s, %s, slot, digest, listed, grp, field, value, n
    FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
        AS new (slot, digest, listed, grp, field, value, n)
    ON CONFLICT (catalog, entity_type, entity_id, audience, slot, digest)
        DO UPDATE SET n = tally.n + excluded.n
"""
_DROP_ZEROS = """
    DELETE FROM dss_explore_tallies
    USING unnest(%s::uuid[], %s::uuid[]) AS changed (slot, digest)
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s AND audience = %s
        AND dss_explore_tallies.slot = changed.slot AND dss_explore_tallies.digest = changed.digest AND n = 0
"""
_CLEAR = "DELETE FROM dss_explore_tallies WHERE catalog = %s AND entity_type = %s AND entity_id = %s"
_TALLIES = """
    SELECT audience, listed, grp, field, value, n FROM dss_explore_tallies
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s
"""

Winners = dict[InnerKey, tuple[UUID, str]]


class LargeEntities:
    """Large entities of a catalogue in one transaction, which holds the locks of those that change."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._audiences = AudienceNumbers(connection)

    def among(self, keys: Iterable[EntityKey]) -> dict[EntityKey, Counter[Labels]]:
        """Return which of some entities are large, with the number of their shares by labels."""
        rows = self._connection.execute(_AMONG, (*key_columns(keys), self._catalogue.number))
        return {
            (kind, entity_id): Counter({decode_labels(text): n for text, n in labels.items()})
            for kind, entity_id, labels in rows
        }

    def begin(self, key: EntityKey, shares: Sequence[Share]) -> None:
        """Record an entity that has become large, with all of its shares."""
        for share in shares:
            self._add(key, share)
        self._keep_labels(key, Counter(share.labels for share in shares))
        self._count_again(key)

    def change(self, key: EntityKey, counts: Counter[Labels], old: Share | None, new: Share | None) -> None:
        """Replace what one bundle said of an entity, and change its counts by the difference.

        `counts` are those of `among`, before the change.
        """
        changed = counts.copy()
        if old:
            changed[old.labels] -= 1
        if new:
            changed[new.labels] += 1
        changed = +changed
        self._keep_labels(key, changed)
        if set(changed) != set(counts):
            # Other combinations of readers see the entity now. It is rare, and all is counted again.
            self._replace(key, old, new)
            self._count_again(key)
            return
        keys = self._inner_keys(old, new)
        ours = list(audiences(changed))
        earlier = [self._winners(key, audience, keys) for audience in ours]
        self._replace(key, old, new)
        for audience, lost in zip(ours, earlier, strict=True):
            won = self._winners(key, audience, keys)
            self._count(key, audience, _difference(self._merges(key), lost, won))

    def tallies(self, key: EntityKey) -> dict[Audience, Mapping[Slot, Counts]]:
        """Return the counts of a large entity, for each audience."""
        found: dict[int, dict[Slot, dict[str, int]]] = {}
        for number, listed, group, name, value, n in self._connection.execute(_TALLIES, self._key(key)):
            found.setdefault(number, {}).setdefault((listed, group, name), {})[value] = n
        counts = self.among([key]).get(key, Counter())
        return {audience: found.get(self._audiences.number(audience), {}) for audience in audiences(counts)}

    def _key(self, key: EntityKey) -> tuple[int, str, str]:
        return self._catalogue.number, *key

    def _merges(self, key: EntityKey) -> Any:
        return self._catalogue.plugin.merges[key[0]]

    def _keep_labels(self, key: EntityKey, counts: Mapping[Labels, int]) -> None:
        if not counts:
            self._connection.execute(_FORGET, self._key(key))
            return
        encoded = json.dumps({encode_labels(labels): n for labels, n in counts.items()})
        self._connection.execute(_SET_LABELS, (*self._key(key), encoded))

    def _replace(self, key: EntityKey, old: Share | None, new: Share | None) -> None:
        removed = self._remove(key, old) if old else []
        if new:
            self._add(key, new)
        self._connection.execute(_DROP_INNER, (*self._key(key), removed))

    def _add(self, key: EntityKey, share: Share) -> None:
        rows = [(listed, digest(inner_id), encode(inner)) for (listed, inner_id), inner in _inner(share)]
        digests = [digest(entity) for _, _, entity in rows]
        self._connection.execute(_KEEP_INNER, (*self._key(key), digests, [entity for _, _, entity in rows]))
        place = (*self._key(key), share.version, share.uuid, encode_labels(share.labels))
        lists, ids = [row[0] for row in rows], [row[1] for row in rows]
        self._connection.execute(_ADD, (*place, lists, ids, digests))

    def _remove(self, key: EntityKey, share: Share) -> list[UUID]:
        lists, ids = _columns(inner_key for inner_key, _ in _inner(share))
        place = (*self._key(key), share.version, share.uuid)
        return [removed for (removed,) in self._connection.execute(_REMOVE, (lists, ids, *place))]

    def _inner_keys(self, *shares: Share | None) -> list[InnerKey]:
        return list(dict.fromkeys(key for share in shares if share for key, _ in _inner(share)))

    def _winners(self, key: EntityKey, audience: Audience, keys: Sequence[InnerKey]) -> Winners:
        lists, ids = _columns(keys)
        shown = [encode_labels(labels) for labels in audience.shown]
        rows = self._connection.execute(_WINNERS, (lists, ids, *self._key(key), shown))
        return {(listed, str(inner_id)): (digest, entity) for listed, inner_id, digest, entity in rows}

    def _count_again(self, key: EntityKey) -> None:
        self._connection.execute(_CLEAR, self._key(key))
        for audience in audiences(self.among([key]).get(key, ())):
            shown = [encode_labels(labels) for labels in audience.shown]
            rows = self._connection.execute(_ALL_WINNERS, (*self._key(key), shown)).fetchall()
            won = {(listed, str(inner_id)): (digest, entity) for listed, inner_id, digest, entity in rows}
            self._count(key, audience, _difference(self._merges(key), {}, won))

    def _count(self, key: EntityKey, audience: Audience, changes: Mapping[tuple[Slot, str], int]) -> None:
        rows = sorted(
            ((slot, value, n) for (slot, value), n in changes.items() if n), key=lambda row: row[:2]
        )
        if not rows:
            return
        slots, digests = (
            [digest(encode(slot)) for slot, _, _ in rows],
            [digest(value) for _, value, _ in rows],
        )
        place = (*self._key(key), self._audiences.number(audience))
        texts = [[slot[part] for slot, _, _ in rows] for part in range(3)]
        values, numbers = [value for _, value, _ in rows], [n for _, _, n in rows]
        self._connection.execute(_COUNT, (*place, slots, digests, *texts, values, numbers))
        self._connection.execute(_DROP_ZEROS, (slots, digests, *place))


def _difference(merges: Any, lost: Winners, won: Winners) -> dict[tuple[Slot, str], int]:
    """Return by how much each count changes if other inner entities have the greatest versions now."""
    changes: Counter[tuple[Slot, str]] = Counter()
    for winners, sign in ((lost, -1), (won, 1)):
        other = won if sign < 0 else lost
        for inner_key, (number, entity) in winners.items():
            if inner_key in other and other[inner_key][0] == number:
                continue
            for slot, value, n in merges.slots(inner_key[0], json.loads(entity)):
                changes[slot, value] += sign * n
    return changes


def _inner(share: Share) -> list[tuple[InnerKey, Inner]]:
    # The last of two with one key counts, as in entities in few bundles.
    return list(dict(inner_entities(share.contents)).items())


def _columns(keys: Iterable[InnerKey]) -> tuple[list[str], list[UUID]]:
    lists, ids = key_columns(keys)
    return lists, [digest(inner_id) for inner_id in ids]
