"""Entities that are in many bundles: their counts are kept, and changed by differences.

Each inner entity is recorded with the bundles that describe it, of which the greatest version counts. A
bundle that comes or goes changes the counts by those inner entities alone whose greatest version is another
one now. What it costs depends on the bundle, not on how many others there are.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection

from shared.explore.audiences import Audience, Labels, audiences
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, key_columns
from shared.explore.entities import InnerKey, Share, inner_entities
from shared.explore.postgresql.audience_numbers import AudienceNumbers, decode_labels, encode_labels
from shared.explore.postgresql.term_numbers import array, digest, text_array
from shared.explore.tallies import Inner, ListCounts, Merges, Slot, Tallies, encode

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
    SELECT %s, %s, %s, listed, inner_id, version, uuid, labels, digest
    FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[])
        AS new (listed, inner_id, version, uuid, labels, digest)
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
    SELECT wanted.place, greatest.version, greatest.uuid, greatest.entity
    FROM unnest(%s::text[], %s::uuid[]) WITH ORDINALITY AS wanted (listed, inner_id, place)
    CROSS JOIN LATERAL (
        SELECT version, uuid, found.entity FROM dss_explore_members AS member
        JOIN dss_explore_inner AS found USING (catalog, entity_type, entity_id, digest)
        WHERE catalog = %s AND entity_type = %s AND entity_id = %s
            AND member.listed = wanted.listed AND member.inner_id = wanted.inner_id AND labels = ANY(%s)
        ORDER BY version DESC, uuid DESC LIMIT 1
    ) AS greatest
"""
# Returns whether a count is zero now.
_COUNT = """
    WITH changed AS (
        INSERT INTO dss_explore_tallies AS tally
        SELECT %s, %s, %s, %s, slot, digest, listed, grp, field, value, n
        FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
            AS new (slot, digest, listed, grp, field, value, n)
        ON CONFLICT (catalog, entity_type, entity_id, audience, slot, digest)
            DO UPDATE SET n = tally.n + excluded.n
        RETURNING n
    ) SELECT coalesce(bool_or(n = 0), false) FROM changed
"""
_DROP_ZEROS = """
    DELETE FROM dss_explore_tallies
    USING unnest(%s::uuid[], %s::uuid[]) AS changed (slot, digest)
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s AND audience = %s
        AND dss_explore_tallies.slot = changed.slot AND dss_explore_tallies.digest = changed.digest AND n = 0
"""
_COPY = """
    INSERT INTO dss_explore_tallies
    SELECT catalog, entity_type, entity_id, new.number, slot, digest, listed, grp, field, value, n
    FROM unnest(%s::integer[], %s::integer[]) AS new (source, number)
    JOIN dss_explore_tallies AS tally ON tally.audience = new.source
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s
"""
_CLEAR = """
    DELETE FROM dss_explore_tallies
    WHERE catalog = %s AND entity_type = %s AND entity_id = %s AND audience = ANY(%s)
"""
_TALLIES = """
    SELECT audience, json_agg(json_build_array(listed, grp, field, counts)) FROM (
        SELECT audience, listed, grp, field, json_object_agg(value, n) AS counts FROM dss_explore_tallies
        WHERE catalog = %s AND entity_type = %s AND entity_id = %s
        GROUP BY audience, listed, grp, field
    ) AS of_slots GROUP BY audience
"""

# The version and the UUID of the bundle that counts, and the inner entity as it has it.
_Winner = tuple[str, str, str]
_Winners = dict[InnerKey, _Winner]


class LargeEntities:
    """Large entities of a catalogue in one transaction, which holds the locks of those that change."""

    def __init__(self, connection: Connection, catalogue: Catalogue, numbers: AudienceNumbers) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._audiences = numbers
        # The number of shares of each, by labels.
        self._counts: dict[EntityKey, Counter[Labels]] = {}

    def find(self, keys: Iterable[EntityKey]) -> None:
        """Find out which of some entities are large."""
        columns = map(text_array, key_columns(keys))
        for kind, entity_id, labels in self._connection.execute(_AMONG, (*columns, self._catalogue.number)):
            counts = Counter({decode_labels(text): n for text, n in labels.items()})
            self._counts[kind, entity_id] = counts

    def __contains__(self, key: EntityKey) -> bool:
        """Return whether an entity is large, of those that were looked for."""
        return key in self._counts

    def begin(self, key: EntityKey, shares: Sequence[Share]) -> None:
        """Record an entity that has become large, with all of its shares."""
        self._counts[key] = Counter()
        self.change(key, (), shares)

    def change(self, key: EntityKey, old: Sequence[Share], new: Sequence[Share]) -> None:
        """Replace what some bundles said of an entity, and change its counts by the difference."""
        counts = self._counts[key]
        changed = counts.copy()
        changed.subtract(share.labels for share in old)
        changed.update(share.labels for share in new)
        changed = +changed
        self._keep_labels(key, changed)
        if set(changed) != set(counts):
            self._renumber(key, counts, changed)
        keys = list(dict.fromkeys(inner_key for share in (*old, *new) for inner_key, _ in _inner(share)))
        ours = list(audiences(changed))
        earlier = [self._winners(key, audience, keys) for audience in ours]
        self._replace(key, old, new)
        for audience, lost in zip(ours, earlier, strict=True):
            # What is added is compared with the others'; what is taken away leaves room for any of them.
            won = self._winners(key, audience, keys) if old else _won(lost, new, audience)
            self._count(key, audience, _difference(self._merges(key), lost, won))

    def tallies(self, key: EntityKey) -> dict[Audience, Tallies]:
        """Return the counts of an entity that is or was large, for each audience."""
        found: dict[int, dict[str, ListCounts]] = {}
        for number, slots in self._connection.execute(_TALLIES, self._key(key)):
            lists = found.setdefault(number, {})
            for listed, group, name, counts in slots:
                lists.setdefault(listed, ListCounts()).add(group, name, counts)
        return {
            audience: Tallies(found.get(self._audiences.number(audience), {}))
            for audience in audiences(self._counts[key])
        }

    def _key(self, key: EntityKey) -> tuple[int, str, str]:
        return self._catalogue.number, *key

    def _merges(self, key: EntityKey) -> Any:
        return self._catalogue.plugin.merges[key[0]]

    def _keep_labels(self, key: EntityKey, counts: Counter[Labels]) -> None:
        self._counts[key] = counts
        if not counts:
            self._connection.execute(_FORGET, self._key(key))
            return
        encoded = json.dumps({encode_labels(labels): n for labels, n in counts.items()})
        self._connection.execute(_SET_LABELS, (*self._key(key), encoded))

    def _replace(self, key: EntityKey, old: Sequence[Share], new: Sequence[Share]) -> None:
        removed = [each for share in old for each in self._remove(key, share)]
        if new:
            self._add(key, new)
        if removed:
            self._connection.execute(_DROP_INNER, (*self._key(key), removed))

    def _add(self, key: EntityKey, shares: Sequence[Share]) -> None:
        rows = [
            (inner_key, share.version, share.uuid, encode_labels(share.labels), encode(inner))
            for share in shares
            for inner_key, inner in _inner(share)
        ]
        if not rows:
            return
        inner_keys, *places, entities = zip(*rows, strict=True)
        digests = array(map(digest, entities))
        self._connection.execute(_KEEP_INNER, (*self._key(key), digests, text_array(entities)))
        columns = *_columns(inner_keys), *map(text_array, places), digests
        self._connection.execute(_ADD, (*self._key(key), *columns))

    def _remove(self, key: EntityKey, share: Share) -> list[UUID]:
        lists, ids = _columns(inner_key for inner_key, _ in _inner(share))
        place = (*self._key(key), share.version, share.uuid)
        return [removed for (removed,) in self._connection.execute(_REMOVE, (lists, ids, *place))]

    def _winners(self, key: EntityKey, audience: Audience, keys: Sequence[InnerKey]) -> _Winners:
        rows = self._connection.execute(_WINNERS, (*_columns(keys), *self._key(key), _shown(audience)))
        return {keys[place - 1]: (version, uuid, entity) for place, version, uuid, entity in rows}

    def _renumber(self, key: EntityKey, before: Collection[Labels], after: Collection[Labels]) -> None:
        """Keep the counts for the audiences that there are once other sets of readers see an entity.

        What an audience counts depends on what it is shown. All of this is in the database: there may be
        100,000 bundles.
        """
        known = {each.shown: self._audiences.number(each) for each in audiences(before)}
        copies = [
            (known[shared], self._audiences.number(each))
            for each in audiences(after)
            if (shared := each.shown & frozenset(before))
        ]
        if copies:
            sources, numbers = map(array, zip(*copies, strict=True))
            self._connection.execute(_COPY, (sources, numbers, *self._key(key)))
        # None of these is one of the new ones: each names all sets of readers.
        self._connection.execute(_CLEAR, (*self._key(key), list(known.values())))

    def _count(self, key: EntityKey, audience: Audience, changes: Mapping[tuple[Slot, str], int]) -> None:
        rows = sorted(
            ((slot, value, n) for (slot, value), n in changes.items() if n), key=lambda row: row[:2]
        )
        if not rows:
            return
        slots = array(digest(encode(slot)) for slot, _, _ in rows)
        digests = array(digest(value) for _, value, _ in rows)
        place = (*self._key(key), self._audiences.number(audience))
        texts = (text_array(slot[part] for slot, _, _ in rows) for part in range(3))
        values, numbers = text_array(value for _, value, _ in rows), array(n for _, _, n in rows)
        columns = slots, digests, *texts, values, numbers
        [(is_zero,)] = self._connection.execute(_COUNT, (*place, *columns)).fetchall()
        if is_zero:
            self._connection.execute(_DROP_ZEROS, (slots, digests, *place))


def _won(lost: _Winners, new: Iterable[Share], audience: Audience) -> _Winners:
    """Return which inner entities count once some bundles are added."""
    won = dict(lost)
    for share in new:
        if share.labels in audience.shown:
            place = share.version, share.uuid
            for key, inner in _inner(share):
                if key not in won or place > won[key][:2]:
                    won[key] = (*place, encode(inner))
    return won


def _difference(merges: Merges, lost: _Winners, won: _Winners) -> dict[tuple[Slot, str], int]:
    """Return by how much each count changes if other inner entities have the greatest versions now."""
    changes: Counter[tuple[Slot, str]] = Counter()
    for winners, sign in ((lost, -1), (won, 1)):
        other = won if sign < 0 else lost
        for inner_key, (_, _, entity) in winners.items():
            if inner_key in other and other[inner_key][2] == entity:
                continue
            for slot, value, n in merges.slots(inner_key[0], json.loads(entity)):
                changes[slot, value] += sign * n
    return changes


def _inner(share: Share) -> list[tuple[InnerKey, Inner]]:
    # The last of two with one key counts, as in entities in few bundles.
    return list(dict(inner_entities(share.contents)).items())


def _columns(keys: Iterable[InnerKey]) -> tuple[str, str]:
    lists, ids = key_columns(keys)
    return text_array(lists), array(map(digest, ids))


def _shown(audience: Audience) -> list[str]:
    return [encode_labels(labels) for labels in audience.shown]
