"""Catalogues filled fast: rows as the writer makes them, of real bundles' variants and clones, by COPY.

A variant goes through the plug-in and the writer's own functions; of its clones' rows nothing but UUIDs and
names of files differ from its own. So the tables are those that the writer would have made, but for projects
and samples, which are made of the variants alone, and for what clones say, which is left out.
"""

import contextlib
import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection, sql

from shared.access import labels_of
from shared.explore.audiences import Audience
from shared.explore.base import INDEXED
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, Said
from shared.explore.entities import Share, tally
from shared.explore.postgresql.audience_numbers import AudienceNumbers, encode_labels
from shared.explore.postgresql.documents import DocumentWriter, NewDocuments
from shared.explore.postgresql.part_numbers import PartNumbers
from shared.postgresql.connections import Connections
from tests.benchmarks.explore_bundles import Variant, variants

LABELS = labels_of(())
RELEASE = "1"
_AUDIENCE = Audience(frozenset((LABELS,)))
# What bundles of a project share, and what the clones of a variant do.
_PROJECTS, _SAMPLES = "projects", "samples"
# Tables, and the columns that are written.
_COLUMNS = {
    "dss_explore_bundles": "catalog, uuid, version, state, labels, is_current, reason, release, said",
    "dss_explore_shares": "catalog, entity_type, entity_id, labels, uuid",
    "dss_explore_documents": (
        "catalog, entity_type, entity_id, audience, profile, "
        "default_key, keys, numbers, sums, ids, vals, page, document, words"
    ),
}
_FAST = "SET synchronous_commit = off; SET maintenance_work_mem = '512MB'"
_INDEXES = """
    SELECT index.indexname, index.indexdef FROM pg_indexes AS index
    WHERE index.tablename = 'dss_explore_documents' AND index.indexname NOT LIKE '%%_pkey'
"""


@dataclass
class Filling:
    """How many bundles and documents of files there are, and how many different bundles those are."""

    files: int = 0
    bundles: int = 0
    variants: int = 0


@dataclass
class _Rows:
    """Rows of one variant or project, as lines of COPY by table; `words` become the last column."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def fill(dsn: str, catalogue: Catalogue, *, processes: int = 2, **wanted: int) -> Filling:
    """Fill the empty tables of a catalogue with `variants(**wanted)`, and return how many there are."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        for table in _COLUMNS:
            connection.execute(sql.SQL("ALTER TABLE {} SET UNLOGGED").format(sql.Identifier(table)))
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        workers = [
            context.Process(target=_fill_part, args=(results, dsn, catalogue, part, processes, wanted))
            for part in range(processes)
        ]
        for worker in workers:
            worker.start()
        filled = [results.get() for _ in workers]
        for worker in workers:
            worker.join()
        if not all(isinstance(each, Filling) for each in filled):
            raise RuntimeError(f"not filled: {filled}")
        connection.execute(_FAST)
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")
    return Filling(*(sum(numbers) for numbers in zip(*(vars(each).values() for each in filled), strict=True)))


def _fill_part(
    results: Any, dsn: str, catalogue: Catalogue, part: int, parts: int, wanted: Mapping[str, int]
) -> None:
    try:
        with (
            psycopg.connect(dsn) as connection,
            contextlib.closing(Connections(dsn, prepare=lambda _: None)) as numbering,
        ):
            connection.execute(_FAST)
            filler = _Filler(connection, catalogue, numbering)
            for number, variant in enumerate(variants(**wanted)):
                filler.variant(
                    variant, own=number % parts == part, with_project=variant.project % parts == part
                )
            filler.end()
        results.put(filler.filling)
    except BaseException as error:
        results.put(repr(error))
        raise


class _Filler:
    """Writes some variants, and some of the projects, on one connection."""

    def __init__(self, connection: Connection, catalogue: Catalogue, numbering: Connections) -> None:
        self.filling = Filling()
        self._connection = connection
        self._catalogue = catalogue
        audiences = AudienceNumbers(connection, numbering)
        self._audience = audiences.number(_AUDIENCE)
        self._parts = PartNumbers(connection, numbering)
        self._counting = DocumentWriter(connection, catalogue, audiences, self._parts)
        # What the variants of each project say of it.
        self._shares: dict[EntityKey, list[Share]] = {}

    def variant(self, variant: Variant, *, own: bool, with_project: bool) -> None:
        """Write a variant and its clones, if it is an own one, and note what it says of its project."""
        if not own and not with_project:
            return
        said = Said.of(self._catalogue.plugin.contributions(variant.metadata))
        fqid = variant.metadata.fqid
        shares = {key: Share(fqid.uuid, fqid.version, LABELS, said.contents(key)) for key in said.keys}
        if with_project:
            for key, share in shares.items():
                if key[0] == _PROJECTS:
                    self._shares.setdefault(key, []).append(share)
        if own:
            self._own(variant, said, shares)

    def end(self) -> None:
        """Write the projects and the profiles."""
        for key, shares in self._shares.items():
            rows = _Rows()
            self._document(rows, key, shares, 1)
            self._write(rows, "", ("",))
        self._counting.count()

    def _own(self, variant: Variant, said: Said, shares: Mapping[EntityKey, Share]) -> None:
        rows, once = _Rows(), _Rows()
        copies = len(variant.clones) + 1
        for key, share in shares.items():
            _add(rows, "dss_explore_shares", self._catalogue.number, *key, encode_labels(LABELS), share.uuid)
            if key[0] == _SAMPLES:
                self._document(once, key, [share], 1)
            elif key[0] != _PROJECTS:
                self._document(rows, key, [share], copies)
        self._write(rows, variant.token, (variant.token, *variant.clones))
        self._write(once, "", ("",))
        self._bundles(variant, said)
        self.filling.files += sum(key[0] == "files" for key in said.keys) * copies
        self.filling.bundles += copies
        self.filling.variants += 1

    def _bundles(self, variant: Variant, said: Said) -> None:
        fqid = variant.metadata.fqid
        place = self._catalogue.number, fqid.uuid, fqid.version, INDEXED, sorted(LABELS), "t", "", RELEASE
        own, others = _Rows(), _Rows()
        _add(own, "dss_explore_bundles", *place, said.encode())
        _add(others, "dss_explore_bundles", *place, None)
        self._write(own, "", ("",))
        self._write(others, variant.token, variant.clones)

    def _document(self, rows: _Rows, key: EntityKey, shares: Sequence[Share], copies: int) -> None:
        counts = tally(self._catalogue.plugin.merges[key[0]], shares)
        bundles = [{"uuid": share.uuid, "version": share.version} for share in shares][:100]
        making = NewDocuments(self._catalogue)
        new = making.document(key, self._audience, counts, sorted_bundles(bundles))
        profile = making.profile(new, self._parts.numbers(set(new.row.parts.values())))
        *columns, page, words, document = making.columns(new, profile)
        _add(rows, "dss_explore_documents", self._catalogue.number, *columns, page or None, document)
        rows.words.append(words)
        for _ in range(copies):
            self._counting.add(profile, new.sums)

    def _write(self, rows: _Rows, token: str, tokens: Sequence[str]) -> None:
        """Write rows once for each of some tokens, in place of the one that they have."""
        if rows.words:
            statement = "SELECT to_tsvector('simple', words)::text FROM unnest(%s::text[]) AS words"
            found = self._connection.execute(statement, (rows.words,)).fetchall()
            lines = rows.lines["dss_explore_documents"]
            rows.lines["dss_explore_documents"] = [
                f"{line[:-1]}\t{_text(words)}\n" for line, (words,) in zip(lines, found, strict=True)
            ]
        for table, lines in rows.lines.items():
            block = "".join(lines)
            statement = f"COPY {table} ({_COLUMNS[table]}) FROM STDIN"
            with self._connection.cursor().copy(statement.encode()) as copy:
                for each in tokens:
                    copy.write((block.replace(token, each) if token else block).encode())


def sorted_bundles(bundles: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return bundles in the order in which documents name them."""
    return sorted(bundles, key=lambda each: each["uuid"])


def _add(rows: _Rows, table: str, *values: Any) -> None:
    rows.lines.setdefault(table, []).append("\t".join(map(_text, values)) + "\n")


def _text(value: Any) -> str:
    """Return a value in the text form of COPY."""
    if value is None:
        return "\\N"
    if isinstance(value, list):
        return "{" + ",".join(map(str, value)) + "}"
    text = str(value)
    for character, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(character, escaped)
    return text
