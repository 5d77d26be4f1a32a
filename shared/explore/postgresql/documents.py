"""Documents of entities in the tables, and the counts of facets that follow from them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection

from shared.explore.audiences import Audience
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey
from shared.explore.entities import MOST_BUNDLES
from shared.explore.fields import facet_groups
from shared.explore.postgresql.audience_numbers import AudienceNumbers
from shared.explore.postgresql.part_numbers import PartNumbers
from shared.explore.postgresql.term_numbers import digest
from shared.explore.rows import Part, Row, row_of
from shared.explore.tallies import Counts, Slot

_BUNDLES = """
    SELECT wanted.kind, wanted.id, newest.uuid, newest.version, newest.labels
    FROM unnest(%s::text[], %s::text[]) AS wanted (kind, id)
    CROSS JOIN LATERAL (
        SELECT bundle.uuid, bundle.version, bundle.labels
        FROM dss_explore_shares AS share
        JOIN dss_explore_bundles AS bundle
            ON bundle.catalog = share.catalog AND bundle.uuid = share.uuid AND bundle.is_current
        WHERE share.catalog = %s AND share.entity_type = wanted.kind AND share.entity_id = wanted.id
        ORDER BY share.uuid LIMIT %s
    ) AS newest
"""
_REMOVE = """
    DELETE FROM dss_explore_documents AS document
    USING unnest(%s::text[], %s::text[]) AS old (kind, id)
    WHERE document.catalog = %s AND entity_type = old.kind AND entity_id = old.id
    RETURNING profile, sums
"""
_PUT = """
    INSERT INTO dss_explore_documents
        (catalog, entity_type, entity_id, audience, profile, default_key, keys, sums, vals, words, document)
    VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s::jsonb, to_tsvector('simple', %s), %s)
"""
# In order of the ids, in which all writers lock them. Counts that fall are of rows that exist.
_COUNT = """
    INSERT INTO dss_explore_profiles AS profile (id, catalog, entity_type, audience, parts, n, sums)
    SELECT id, %s, kind, audience, parts::integer[], n, sums::bigint[]
    FROM unnest(%s::uuid[], %s::text[], %s::integer[], %s::text[], %s::integer[], %s::text[])
        AS new (id, kind, audience, parts, n, sums)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET n = profile.n + excluded.n, sums = ARRAY(
        SELECT coalesce(old, 0) + coalesce(change, 0)
        FROM unnest(profile.sums, excluded.sums) WITH ORDINALITY AS both_sums (old, change, position)
        ORDER BY position
    )
"""
_DROP_ZEROS = "DELETE FROM dss_explore_profiles WHERE id = ANY(%s::uuid[]) AND n = 0"

# Bytes whose words a document is found by. PostgreSQL: a tsvector is at most 1 MiB, and may have words twice.
MOST_WORDS = 200_000

Tallies = Mapping[EntityKey, Mapping[Audience, Mapping[Slot, Counts]]]


@dataclass(frozen=True)
class NewDocument:
    """A document to write: its entity, its audience's number, and what is stored of it."""

    catalogue: Catalogue = field(repr=False)
    key: EntityKey
    audience: int
    document: Mapping[str, Any] = field(repr=False)
    row: Row = field(repr=False)
    sums: list[int]

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        key: EntityKey,
        audience: int,
        counts: Mapping[Slot, Counts],
        bundles: Sequence[Mapping[str, str]],
    ) -> "NewDocument":
        """Return the document of an entity, of its counts and of the bundles that it names."""
        plugin = catalogue.plugin
        document = {
            **plugin.document(key[0], counts),
            "entity_id": key[1],
            "bundles": bundles,
            "sources": [catalogue.source],
        }
        row = row_of(document, plugin.fields)
        return cls(catalogue, key, audience, document, row, plugin.sums(key[0], document))

    def profile(self, numbers: Mapping[Part, int]) -> "Profile":
        """Return its profile; `numbers` are those of the parts."""
        groups = facet_groups(self.catalogue.plugin.fields)
        parts = _array(numbers[self.row.parts[group]] for group in groups)
        made_of = self.key[0], self.audience, parts
        return Profile(digest(f"{self.catalogue.number} {' '.join(map(str, made_of))}"), made_of)

    def columns(self, profile: "Profile") -> tuple[Any, ...]:
        """Return what is stored, in the order of `_PUT`."""
        plugin = self.catalogue.plugin
        return (
            self.catalogue.number,
            *self.key,
            self.audience,
            profile.id,
            self.row.key(plugin.entity_types[self.key[0]].default_sort),
            json.dumps(self.row.keys, ensure_ascii=False),
            self.sums,
            json.dumps(self.row.values, ensure_ascii=False),
            _beginning(plugin.words(self.document)),
            json.dumps(self.document, ensure_ascii=False, sort_keys=True),
        )


def _beginning(words: str) -> str:
    return words.encode("utf-8", "ignore")[:MOST_WORDS].decode("utf-8", "ignore")


@dataclass(frozen=True)
class Profile:
    """A profile: its id, and its entity type, audience and parts."""

    id: UUID
    made_of: tuple[str, int, str]


@dataclass
class Change:
    """By how much the number of a profile's documents changes, and the sums of their numbers.

    A profile of removed documents alone exists: what it is made of is not looked at.
    """

    n: int = 0
    sums: list[int] = field(default_factory=list)
    made_of: tuple[str, int, str] = ("", 0, "{}")

    def add(self, sign: int, sums: Sequence[int]) -> None:
        """Count a document, or one less."""
        self.n += sign
        old = self.sums or [0] * len(sums)
        self.sums = [known + sign * number for known, number in zip(old, sums, strict=True)]


class DocumentWriter:
    """Writes documents in one transaction, which holds the locks of their entities."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._audiences = AudienceNumbers(connection)
        self._parts = PartNumbers(connection)

    def write(self, keys: Sequence[EntityKey], tallies: Tallies) -> None:
        """Replace the documents of entities; an entity without bundles has none any more."""
        kinds, ids = _columns(keys)
        removed = self._connection.execute(_REMOVE, (kinds, ids, self._catalogue.number)).fetchall()
        changes: dict[UUID, Change] = {}
        for profile, sums in removed:
            changes.setdefault(profile, Change()).add(-1, sums)
        documents = list(self._documents(keys, tallies))
        numbers = self._parts.numbers({part for each in documents for part in each.row.parts.values()})
        rows = []
        for each in documents:
            profile = each.profile(numbers)
            change = changes.setdefault(profile.id, Change())
            change.made_of = profile.made_of
            change.add(1, each.sums)
            rows.append(each.columns(profile))
        with self._connection.cursor() as cursor:
            cursor.executemany(_PUT, rows)
        self.count(changes)

    def _documents(self, keys: Sequence[EntityKey], tallies: Tallies) -> Iterable[NewDocument]:
        bundles = self._bundles(keys)
        for key in keys:
            for audience, counts in tallies[key].items():
                shown = [each for each, labels in bundles.get(key, ()) if labels in audience.shown]
                number = self._audiences.number(audience)
                yield NewDocument.of(self._catalogue, key, number, counts, shown)

    def _bundles(
        self, keys: Sequence[EntityKey]
    ) -> dict[EntityKey, list[tuple[dict[str, str], frozenset[str]]]]:
        kinds, ids = _columns(keys)
        found: dict[EntityKey, list[tuple[dict[str, str], frozenset[str]]]] = {}
        rows = self._connection.execute(_BUNDLES, (kinds, ids, self._catalogue.number, MOST_BUNDLES))
        for kind, entity_id, bundle_uuid, version, labels in rows:
            entry = {"uuid": bundle_uuid, "version": version}, frozenset(labels)
            found.setdefault((kind, entity_id), []).append(entry)
        return found

    def count(self, changes: Mapping[UUID, Change]) -> None:
        """Change the numbers of profiles, each of which is there from its first document to its last."""
        changed = sorted(
            ((profile, each) for profile, each in changes.items() if each.n or any(each.sums)),
            key=lambda pair: pair[0],
        )
        if not changed:
            return
        made_of = [each.made_of for _, each in changed]
        kinds, audiences, parts = (list(column) for column in zip(*made_of, strict=True))
        ids = [profile for profile, _ in changed]
        counts = [each.n for _, each in changed]
        sums = [_array(each.sums) for _, each in changed]
        columns = ids, kinds, audiences, parts, counts, sums
        self._connection.execute(_COUNT, (self._catalogue.number, *columns))
        self._connection.execute(_DROP_ZEROS, (ids,))


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _columns(keys: Iterable[EntityKey]) -> tuple[list[str], list[str]]:
    pairs = list(keys)
    return [kind for kind, _ in pairs], [entity_id for _, entity_id in pairs]
