"""Documents of entities in the tables, and the counts of facets that follow from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from shared.explore.audiences import Audience, Labels
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, key_columns
from shared.explore.entities import FILES_ALONE, FILES_ON_A_PAGE, MOST_BUNDLES, shortened
from shared.explore.fields import facet_groups
from shared.explore.postgresql.audience_numbers import AudienceNumbers, decode_labels, encode_labels
from shared.explore.postgresql.part_numbers import PartNumbers
from shared.explore.postgresql.term_numbers import array, digest, text_array
from shared.explore.rows import Part, Row, Rows, numbered
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
# Sorted as the key is, so that it is the index that they are looked up in.
_REMOVE = """
    DELETE FROM dss_explore_documents AS document
    USING unnest(%s::text[], %s::text[]) AS old (kind, id)
    CROSS JOIN LATERAL (
        SELECT each.ctid AS place FROM dss_explore_documents AS each
        WHERE each.catalog = %s AND each.entity_type = old.kind AND each.entity_id = old.id
        ORDER BY each.audience
    ) AS found
    WHERE document.ctid = found.place
    RETURNING document.profile, document.sums
"""
_PUT = """
    INSERT INTO dss_explore_documents
        (catalog, entity_type, entity_id, audience, profile,
            default_key, keys, numbers, sums, ids, vals, page, words, document)
    SELECT %s, entity_type, entity_id, audience, profile, default_key, keys::jsonb,
        numbers::double precision[], sums::bigint[], ids::jsonb, vals::jsonb,
        nullif(page, ''), to_tsvector('simple', words), document
    FROM unnest(
        %s::text[], %s::text[], %s::integer[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]
    ) AS new (
        entity_type, entity_id, audience, profile, default_key, keys, numbers, sums, ids,
        vals, page, words, document
    )
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


# What is stored of a document: see `_PUT`. Numbers are those of its audience and of nothing else.
Columns = tuple[str, str, int, str, str, str, str, str, str, str, str, str, str]


@dataclass(frozen=True)
class NewDocument:
    """A document to write: its entity, its audience's number, and what is stored of it."""

    key: EntityKey
    audience: int
    document: Mapping[str, Any] = field(repr=False)
    row: Row = field(repr=False)
    sums: list[int]


class NewDocuments:
    """Makes documents of a catalogue. What several of them share is made once, and kept."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        fields = catalogue.plugin.fields
        self._rows = Rows(fields)
        self._groups = facet_groups(fields)
        self._numbered = numbered(fields)
        self._counted = {
            kind: sorted(each.name for each in fields if kind in each.distinct_in)
            for kind in catalogue.plugin.entity_types
        }
        self._hidden = {each.name for each in fields if each.is_hidden}
        self._sources = [catalogue.source]
        # By identity; the list is kept with it, so that no other gets its id.
        self._texts: dict[int, tuple[Any, str]] = {}

    def document(
        self,
        key: EntityKey,
        audience: int,
        counts: Mapping[Slot, Counts],
        bundles: Sequence[Mapping[str, str]],
    ) -> NewDocument:
        """Return the document of an entity, of its counts and of the bundles that it names."""
        plugin = self._catalogue.plugin
        document = {
            **plugin.document(key[0], counts),
            "entity_id": key[1],
            "bundles": bundles,
            "sources": self._sources,
        }
        return NewDocument(key, audience, document, self._rows.of(document), plugin.sums(key[0], document))

    def profile(self, new: NewDocument, numbers: Mapping[Part, int]) -> "Profile":
        """Return a document's profile; `numbers` are those of the parts."""
        parts = array(numbers[new.row.parts[group]] for group in self._groups)
        made_of = new.key[0], new.audience, parts
        return Profile(digest(f"{self._catalogue.number} {' '.join(map(str, made_of))}"), made_of)

    def columns(self, new: NewDocument, profile: "Profile") -> Columns:
        """Return what is stored of a document, in the order of `_PUT`."""
        plugin, kind, values = self._catalogue.plugin, new.key[0], new.row.values
        alone, page = (shortened(kind, new.document, most) for most in (FILES_ALONE, FILES_ON_A_PAGE))
        ids = {name: values[name] for name in self._counted[kind]}
        shown = {name: listed for name, listed in values.items() if name not in self._hidden}
        return (
            *new.key,
            new.audience,
            profile.id,
            new.row.key(plugin.entity_types[kind].default_sort),
            encode(new.row.keys),
            array(map(repr, new.row.numbers_of(self._numbered))),
            array(new.sums),
            encode(ids),
            encode(shown),
            "" if page is new.document else self._encoded(page),
            _beginning(plugin.words(new.document)),
            self._encoded(alone),
        )

    def _encoded(self, document: Mapping[str, Any]) -> str:
        """Return what `encode` makes of a document."""
        lists = {name: self._encoded_list(listed) for name, listed in document["contents"].items()}
        others = {name: encode(value) for name, value in document.items() if name != "contents"}
        return _encoded_object(others | {"contents": _encoded_object(lists)})

    def _encoded_list(self, listed: Any) -> str:
        if id(listed) not in self._texts:
            self._texts[id(listed)] = listed, encode(listed)
        return self._texts[id(listed)][1]


def _encoded_object(texts: Mapping[str, str]) -> str:
    """Return an object of members that are encoded."""
    return "{" + ", ".join(f"{encode(name)}: {texts[name]}" for name in sorted(texts)) + "}"


def _beginning(words: str) -> str:
    return words.encode("utf-8", "ignore")[:MOST_WORDS].decode("utf-8", "ignore")


@dataclass(frozen=True)
class Profile:
    """A profile: its id, and its entity type, audience and parts."""

    id: str
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


@dataclass(frozen=True)
class Counted:
    """What all bundles together say of an entity: its counts for each audience.

    `bundles` are the first ones that each set of readers may read, if they are known.
    """

    tallies: Mapping[Audience, Mapping[Slot, Counts]] = field(repr=False)
    bundles: Mapping[Labels, Sequence[Mapping[str, str]]] | None = None


class DocumentWriter:
    """Writes documents in one transaction, which holds the locks of their entities."""

    def __init__(
        self, connection: Connection, catalogue: Catalogue, audiences: AudienceNumbers, parts: PartNumbers
    ) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._audiences = audiences
        self._parts = parts
        self._changes: dict[str, Change] = {}

    def write(self, counted: Mapping[EntityKey, Counted]) -> None:
        """Replace the documents of entities; an entity without bundles has none any more.

        All that is kept of them is by how much counts of facets change: `count` writes that in the end.
        """
        kinds, ids = map(text_array, key_columns(counted))
        removed = self._connection.execute(_REMOVE, (kinds, ids, self._catalogue.number)).fetchall()
        for profile, sums in removed:
            self._changes.setdefault(profile.hex, Change()).add(-1, sums)
        making = NewDocuments(self._catalogue)
        documents = list(self._documents(making, counted))
        numbers = self._parts.numbers({part for each in documents for part in each.row.parts.values()})
        rows = []
        for each in documents:
            profile = making.profile(each, numbers)
            self.add(profile, each.sums)
            rows.append(making.columns(each, profile))
        if rows:
            types, entities, audiences, profiles, *texts = zip(*rows, strict=True)
            columns = text_array(types), text_array(entities), array(audiences), array(profiles)
            self._connection.execute(_PUT, (self._catalogue.number, *columns, *map(text_array, texts)))

    def add(self, profile: Profile, sums: Sequence[int]) -> None:
        """Count one document more of a profile."""
        change = self._changes.setdefault(profile.id, Change())
        change.made_of = profile.made_of
        change.add(1, sums)

    def _documents(self, making: NewDocuments, counted: Mapping[EntityKey, Counted]) -> Iterator[NewDocument]:
        bundles = self._bundles(counted)
        for key, each in counted.items():
            of_entity = bundles[key] if each.bundles is None else each.bundles
            for audience, counts in each.tallies.items():
                listed = (bundle for labels in audience.shown for bundle in of_entity[labels])
                shown = sorted(listed, key=lambda bundle: bundle["uuid"])[:MOST_BUNDLES]
                yield making.document(key, self._audiences.number(audience), counts, shown)

    def _bundles(
        self, counted: Mapping[EntityKey, Counted]
    ) -> dict[EntityKey, dict[Labels, list[dict[str, str]]]]:
        """Return the first bundles of each entity that each set of readers may read, where they must be
        read."""
        found: dict[EntityKey, dict[Labels, list[dict[str, str]]]] = {
            key: {labels: [] for audience in each.tallies for labels in audience.shown}
            for key, each in counted.items()
            if each.bundles is None
        }
        wanted = [(*key, encode_labels(labels)) for key, of_entity in found.items() for labels in of_entity]
        if wanted:
            columns = map(text_array, zip(*wanted, strict=True))
            rows = self._connection.execute(_BUNDLES, (*columns, self._catalogue.number, MOST_BUNDLES))
            for kind, entity_id, labels, bundle_uuid, version in rows:
                bundle = {"uuid": bundle_uuid, "version": version}
                found[kind, entity_id][decode_labels(labels)].append(bundle)
        return found

    def count(self) -> None:
        """Change the numbers of profiles, each of which is there from its first document to its last."""
        changed = sorted(
            ((profile, each) for profile, each in self._changes.items() if each.n or any(each.sums)),
            key=lambda pair: pair[0],
        )
        if not changed:
            return
        made_of = [each.made_of for _, each in changed]
        kinds, audiences, parts = (list(column) for column in zip(*made_of, strict=True))
        ids = array(profile for profile, _ in changed)
        counts = [each.n for _, each in changed]
        sums = text_array(array(each.sums) for _, each in changed)
        columns = ids, text_array(kinds), array(audiences), text_array(parts), array(counts), sums
        self._connection.execute(_COUNT, (self._catalogue.number, *columns))
        self._connection.execute(_DROP_ZEROS, (ids,))
