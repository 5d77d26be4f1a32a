"""Documents of entities in the tables, and the counts of facets that follow from them."""

import hashlib
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
from shared.explore.postgresql.audience_numbers import AudienceNumbers
from shared.explore.rows import Row, row_of
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
        (catalog, entity_type, entity_id, audience, profile, vals, keys, default_key, words, sums, document)
    VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s, to_tsvector('simple', %s), %s, %s)
"""
_FIND_TERMS = """
    SELECT term.field, term.digest, term.number FROM unnest(%s::text[], %s::uuid[]) AS wanted (field, digest)
    JOIN dss_explore_terms AS term ON term.field = wanted.field AND term.digest = wanted.digest
"""
_ADD_TERMS = """
    INSERT INTO dss_explore_terms (field, digest, key)
    SELECT field, digest, key FROM unnest(%s::text[], %s::uuid[], %s::text[]) AS new (field, digest, key)
    ON CONFLICT DO NOTHING
"""
# In order of the ids, in which all writers lock them. Counts that fall are of rows that exist.
_COUNT = """
    INSERT INTO dss_explore_profiles AS profile (id, catalog, entity_type, audience, terms, n, sums)
    SELECT id, %s, kind, audience, terms::integer[], n, sums::bigint[]
    FROM unnest(%s::uuid[], %s::text[], %s::integer[], %s::text[], %s::integer[], %s::text[])
        AS new (id, kind, audience, terms, n, sums)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET n = profile.n + excluded.n, sums = ARRAY(
        SELECT coalesce(old, 0) + coalesce(change, 0)
        FROM unnest(profile.sums, excluded.sums) WITH ORDINALITY AS both_sums (old, change, position)
        ORDER BY position
    )
"""
_DROP_ZEROS = "DELETE FROM dss_explore_profiles WHERE id = ANY(%s::uuid[]) AND n = 0"

# Characters whose words a document is found by. PostgreSQL: a tsvector is at most 1 MiB.
MOST_WORDS = 200_000

Term = tuple[str, str]
Tallies = Mapping[EntityKey, Mapping[Audience, Mapping[Slot, Counts]]]


@dataclass(frozen=True)
class _New:
    """A document to write: its entity, its audience's number, and what is stored of it."""

    key: EntityKey
    audience: int
    document: Mapping[str, Any] = field(repr=False)
    row: Row = field(repr=False)
    sums: list[int]


@dataclass
class _Change:
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

    def write(self, keys: Sequence[EntityKey], tallies: Tallies) -> None:
        """Replace the documents of entities; an entity without bundles has none any more."""
        kinds, ids = _columns(keys)
        removed = self._connection.execute(_REMOVE, (kinds, ids, self._catalogue.number)).fetchall()
        changes: dict[UUID, _Change] = {}
        for profile, sums in removed:
            changes.setdefault(profile, _Change()).add(-1, sums)
        documents = list(self._documents(keys, tallies))
        numbers = self._term_numbers({term for each in documents for term in each.row.terms})
        rows = []
        for each in documents:
            terms = _array(sorted(numbers[term] for term in each.row.terms))
            profile = _digest(f"{self._catalogue.number} {each.key[0]} {each.audience} {terms}")
            change = changes.setdefault(profile, _Change())
            change.made_of = each.key[0], each.audience, terms
            change.add(1, each.sums)
            rows.append(self._row(each, profile))
        with self._connection.cursor() as cursor:
            cursor.executemany(_PUT, rows)
        self._count(changes)

    def _documents(self, keys: Sequence[EntityKey], tallies: Tallies) -> Iterable[_New]:
        bundles = self._bundles(keys)
        plugin = self._catalogue.plugin
        for key in keys:
            for audience, counts in tallies[key].items():
                shown = [each for each, labels in bundles.get(key, ()) if labels in audience.shown]
                document = {
                    **plugin.document(key[0], counts),
                    "entity_id": key[1],
                    "bundles": shown,
                    "sources": [self._catalogue.source],
                }
                number = self._audiences.number(audience)
                row = row_of(document, plugin.fields)
                yield _New(key, number, document, row, plugin.sums(key[0], document))

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

    def _term_numbers(self, terms: set[Term]) -> dict[Term, int]:
        keyed = {(name, _digest(key)): (name, key) for name, key in terms}
        numbers = self._find_terms(keyed)
        if len(numbers) < len(terms):
            # In one order in all writers, so that two which add the same terms don't wait for each other.
            new = sorted((name, digest, key) for (name, digest), (_, key) in keyed.items())
            new = [each for each in new if (each[0], each[2]) not in numbers]
            columns = [list(column) for column in zip(*new, strict=True)]
            self._connection.execute(_ADD_TERMS, columns)
            numbers = self._find_terms(keyed)
        return numbers

    def _find_terms(self, keyed: Mapping[tuple[str, UUID], Term]) -> dict[Term, int]:
        names, digests = [name for name, _ in keyed], [digest for _, digest in keyed]
        rows = self._connection.execute(_FIND_TERMS, (names, digests))
        return {keyed[name, digest]: number for name, digest, number in rows}

    def _row(self, new: _New, profile: UUID) -> tuple[Any, ...]:
        return (
            self._catalogue.number,
            *new.key,
            new.audience,
            profile,
            json.dumps(new.row.values, ensure_ascii=False),
            json.dumps(new.row.keys, ensure_ascii=False),
            new.row.keys[self._catalogue.plugin.entity_types[new.key[0]].default_sort],
            self._catalogue.plugin.words(new.document)[:MOST_WORDS],
            new.sums,
            json.dumps(new.document, ensure_ascii=False, sort_keys=True),
        )

    def _count(self, changes: Mapping[UUID, _Change]) -> None:
        changed = sorted(
            ((profile, each) for profile, each in changes.items() if each.n or any(each.sums)),
            key=lambda pair: pair[0],
        )
        if not changed:
            return
        made_of = [each.made_of for _, each in changed]
        kinds, audiences, terms = (list(column) for column in zip(*made_of, strict=True))
        ids = [profile for profile, _ in changed]
        counts = [each.n for _, each in changed]
        sums = [_array(each.sums) for _, each in changed]
        self._connection.execute(_COUNT, (self._catalogue.number, ids, kinds, audiences, terms, counts, sums))
        self._connection.execute(_DROP_ZEROS, (ids,))


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _columns(keys: Iterable[EntityKey]) -> tuple[list[str], list[str]]:
    pairs = list(keys)
    return [kind for kind, _ in pairs], [entity_id for _, entity_id in pairs]


def _digest(text: str) -> UUID:
    return UUID(bytes=hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
