"""Documents of entities in the tables, and the counts of facets that follow from them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection

from shared.explore.audiences import Audience, Labels
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, key_columns
from shared.explore.entities import FILES_ALONE, FILES_ON_A_PAGE, MOST_BUNDLES, shortened
from shared.explore.fields import facet_groups
from shared.explore.postgresql.audience_numbers import AudienceNumbers, decode_labels, encode_labels
from shared.explore.postgresql.part_numbers import PartNumbers
from shared.explore.postgresql.term_numbers import array, digest
from shared.explore.rows import Part, Row, row_of
from shared.explore.tallies import Counts, Slot, encode

# The first bundles of each set of readers: the first that an audience sees are among them.
_BUNDLES = """
    SELECT wanted.kind, wanted.id, wanted.labels, named.uuid, named.version
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted (kind, id, labels)
    CROSS JOIN LATERAL (
        SELECT bundle.uuid, bundle.version
        FROM dss_explore_shares AS share
        JOIN dss_explore_bundles AS bundle
            ON bundle.catalog = share.catalog AND bundle.uuid = share.uuid AND bundle.is_current
        WHERE share.catalog = %s AND share.entity_type = wanted.kind AND share.entity_id = wanted.id
            AND share.labels = wanted.labels
        ORDER BY share.uuid LIMIT %s
    ) AS named
"""
_REMOVE = """
    DELETE FROM dss_explore_documents AS document
    USING unnest(%s::text[], %s::text[]) AS old (kind, id)
    WHERE document.catalog = %s AND entity_type = old.kind AND entity_id = old.id
    RETURNING profile, sums
"""
_PUT = """
    INSERT INTO dss_explore_documents
        (catalog, entity_type, entity_id, audience, profile,
            default_key, keys, sums, ids, vals, page, words, document)
    VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s::jsonb, %s::jsonb, %s, to_tsvector('simple', %s), %s)
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
        parts = array(numbers[self.row.parts[group]] for group in groups)
        made_of = self.key[0], self.audience, parts
        return Profile(digest(f"{self.catalogue.number} {' '.join(map(str, made_of))}"), made_of)

    def columns(self, profile: "Profile") -> tuple[Any, ...]:
        """Return what is stored, in the order of `_PUT`."""
        plugin = self.catalogue.plugin
        alone, page = (shortened(self.key[0], self.document, n) for n in (FILES_ALONE, FILES_ON_A_PAGE))
        return (
            self.catalogue.number,
            *self.key,
            self.audience,
            profile.id,
            self.row.key(plugin.entity_types[self.key[0]].default_sort),
            json.dumps(self.row.keys, ensure_ascii=False),
            self.sums,
            *self._values(),
            None if page is self.document else encode(page),
            _beginning(plugin.words(self.document)),
            encode(alone),
        )

    def _values(self) -> tuple[str, str]:
        """Return the values whose different ones are counted, and those that documents are found by."""
        fields = self.catalogue.plugin.fields
        counted = {each.name for each in fields if self.key[0] in each.distinct_in}
        hidden = {each.name for each in fields if each.is_hidden}
        values = self.row.values
        ids = {name: values[name] for name in sorted(counted)}
        shown = {name: listed for name, listed in values.items() if name not in hidden}
        return json.dumps(ids, ensure_ascii=False), json.dumps(shown, ensure_ascii=False)


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
        kinds, ids = key_columns(keys)
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
        bundles = self._bundles(keys, tallies)
        for key in keys:
            for audience, counts in tallies[key].items():
                listed = (bundle for labels in audience.shown for bundle in bundles[key, labels])
                shown = sorted(listed, key=lambda each: each["uuid"])[:MOST_BUNDLES]
                number = self._audiences.number(audience)
                yield NewDocument.of(self._catalogue, key, number, counts, shown)

    def _bundles(
        self, keys: Sequence[EntityKey], tallies: Tallies
    ) -> dict[tuple[EntityKey, Labels], list[dict[str, str]]]:
        """Return the first bundles of each entity that each set of readers may read."""
        found: dict[tuple[EntityKey, Labels], list[dict[str, str]]] = {
            (key, labels): [] for key in keys for audience in tallies[key] for labels in audience.shown
        }
        kinds, ids = key_columns(key for key, _ in found)
        wanted = kinds, ids, [encode_labels(labels) for _, labels in found]
        rows = self._connection.execute(_BUNDLES, (*wanted, self._catalogue.number, MOST_BUNDLES))
        for kind, entity_id, labels, bundle_uuid, version in rows:
            bundle = {"uuid": bundle_uuid, "version": version}
            found[(kind, entity_id), decode_labels(labels)].append(bundle)
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
        sums = [array(each.sums) for _, each in changed]
        columns = ids, kinds, audiences, parts, counts, sums
        self._connection.execute(_COUNT, (self._catalogue.number, *columns))
        self._connection.execute(_DROP_ZEROS, (ids,))
