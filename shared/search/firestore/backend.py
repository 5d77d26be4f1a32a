"""The index in Firestore: a row for each bundle version and replica, found by its postings.

Firestore looks up any of up to thirty postings, in the order of the rows; `shared.search.firestore.planning`
chooses which. The back end matches the document of each row against the query, unless the postings decide.
"""

import heapq
import json
import threading
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from shared.access import labels_of, labels_sought
from shared.catalog import Catalog
from shared.catalog.database import Database, NameTaken, set_document
from shared.clock import Deadline
from shared.config import Settings
from shared.errors import IndexQueryRefused, Unavailable
from shared.identifiers import Fqid
from shared.parallel import map_in_threads
from shared.search.base import MOST_PAGE_BYTES, Hit, IndexBackend, Indexed, IndexEntry, Page, Total
from shared.search.budget import Budget, BudgetSpent, too_costly
from shared.search.firestore.planning import Selection, plan
from shared.search.firestore.rows import Row, fields_of_readers, piece_name, row_name, row_of
from shared.search.matching import Matcher, Subject
from shared.search.postings import FORM, Postings
from shared.search.query import Query

# Firestore: a query compares with at most 30 values. Each such query takes at least one round trip.
_MOST_VALUES = 30
# Queries of one search: 1,200 values for callers with up to four labels, fewer for those with more.
_MOST_QUERIES = 160
_MOST_LOOKED_UP = 1200
# Rows that are in memory at once: with documents, each of half a MiB at most, and without.
_PAGE = 25
_NAMES_PAGE = 500
_ENTRIES_PAGE = 2000
# Firestore bills a count as one read for each thousand. What has more rows is not rare.
_RARE = 1000
_MOST_COUNTS = 16
# Queries that count one clause, for callers with many labels.
_MOST_PARTS = 4
_COUNTS_AT_ONCE = 8
# Seconds for a page, and as many for its total; clients give up after 40. Every row that is read costs money.
_SECONDS = 12.0
_MOST_COUNTED = 2000
# Seconds of processor time, for both together: some hundred documents of usual size.
_CPU_SECONDS = 3.0
# Bytes. Of documents larger than this, so many are parsed at once: one may take 100 MiB.
_LARGE, _MOST_LARGE = 1024 * 1024, 2
_ATTEMPTS = 5

_NAMES = ["fqid", "partial"]
_HELD = ["fqid", "digest", "form", "dead", "labels"]
_DOCUMENTS = [*_NAMES, "digest", "size", "data", "pieces"]


def open_index(_: Settings, catalog: Catalog) -> IndexBackend:
    """Return the index back end in the catalog's database."""
    return FirestoreIndex(catalog.database)


class FirestoreIndex:
    """An index back end in the catalog's database.

    A search ends its page after `seconds`, takes as long again for its total, and reads at most `counted`
    rows for it. Both together take at most `cpu_seconds` of processor time, and one more document.
    """

    def __init__(
        self,
        database: Database,
        *,
        seconds: float = _SECONDS,
        cpu_seconds: float = _CPU_SECONDS,
        counted: int = _MOST_COUNTED,
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._cpu_seconds = cpu_seconds
        self._counted = counted
        self._large = threading.BoundedSemaphore(_MOST_LARGE)
        self._rows = database.client.collection("index_rows")
        self._pieces = database.client.collection("index_pieces")

    def put(self, entry: IndexEntry) -> None:
        """Write or replace an entry, unless the existing one is dead and the new one is not."""
        row = row_of(entry)
        for number, piece in enumerate(row.pieces):
            reference = self._pieces.document(piece_name(row.name, row.digest, number))
            self._database.commit(set_document(reference, {"data": piece}))
        if entry.dead:
            self._database.commit(set_document(self._rows.document(row.name), row.fields))
            self._drop_pieces(row.name, keep=row.digest)
            return
        for _ in range(_ATTEMPTS):
            if self._put_living(row):
                return
        raise Unavailable(f"index entry {row.name}: other processes keep writing it")

    def set_readers(self, replica: str, fqid: Fqid, readers: frozenset[str]) -> None:
        """Change who may read an entry, living or dead, if it exists; one read and one write."""
        name = row_name(replica, fqid)
        for _ in range(_ATTEMPTS):
            row = self._read(name, [*_DOCUMENTS, "dead", "labels"])
            if row is None or self._relabelled(row, replica, readers):
                return
        raise Unavailable(f"index entry {name}: other processes keep writing it")

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry, if it exists."""
        name = row_name(replica, fqid)
        self._database.commit(lambda batch: batch.delete(self._rows.document(name)))
        self._drop_pieces(name, keep="")

    def search(
        self,
        replica: str,
        query: Query,
        *,
        readers: frozenset[str] | None,
        after: Fqid | None,
        count: int,
        documents: bool = False,
        total: bool = False,
    ) -> Page:
        """Return up to `count` hits after the FQID `after`, by UUID and then version, both descending.

        A page has fewer hits if clauses that all must match are each frequent, and rare together.
        """
        search = _Search(
            budget=Budget(self._cpu_seconds),
            deadline=Deadline(self._database.clock, self._seconds),
            index=self,
            matcher=Matcher(query),
            selection=self._plan(replica, query, labels_sought(readers)),
            documents=documents,
        )
        page, rows = search.page(after, count)
        if not total:
            return page
        if after is None and page.after is None:
            return replace(page, total=Total(hits=len(page.hits)))
        known = self._counted_total(search.selection)
        search.deadline = Deadline(self._database.clock, self._seconds)
        following = rows if after is None else None
        return replace(page, total=known or search.total(page, following, self._counted))

    def held(self, replica: str, fqid: Fqid) -> Indexed | None:
        """Return what the index holds of a bundle version, in one read; None if it has no entry."""
        row = self._read(row_name(replica, fqid), _HELD)
        return None if row is None else _held(row)

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries after the FQID `after`, by UUID and then version, both ascending; a read each."""
        first = row_name(replica, after) if after else f"{replica}."
        query = (
            # In a row's name a UUID follows the dot, and UUIDs are hex.
            self._rows.where(filter=FieldFilter("__name__", ">", self._rows.document(first)))
            .where(filter=FieldFilter("__name__", "<", self._rows.document(f"{replica}.g")))
            .order_by("__name__")
            .select(_HELD)
        )
        return map(_held, self._database.every(query, _ENTRIES_PAGE))

    def _put_living(self, row: Row) -> bool:
        """Write an entry that is not dead; return False if another process was faster."""
        reference = self._rows.document(row.name)
        try:
            self._database.commit(lambda batch: batch.create(reference, dict(row.fields)))
            return True
        except NameTaken:
            existing = self._read(row.name, ["dead", "digest", "form", "pieces", "labels"])
        if existing is None:
            return False
        same = all(existing.get(name) == row.fields[name] for name in ("digest", "form", "labels"))
        if existing.get("dead"):
            self._drop_pieces(row.name, keep=existing.get("digest"))
        elif not same:
            if not self._update(existing, row.fields):
                return False
            is_other = existing.get("pieces") and existing.get("digest") != row.digest
            self._drop(self._pieces_of(row.name, existing.get("digest")) if is_other else [])
        return True

    def _relabelled(self, row: Any, replica: str, readers: frozenset[str]) -> bool:
        """Write the readers of a row; return False if another process was faster."""
        if row.get("labels") == sorted(labels_of(readers)):
            return True
        encoded = self._document(row)
        if encoded is None:
            return True
        entry = IndexEntry(
            replica=replica,
            fqid=fqid_of(row),
            document=json.loads(encoded),
            dead=row.get("dead"),
            readers=readers,
        )
        # If the document has been replaced meanwhile, so has the row.
        return self._update(row, fields_of_readers(entry))

    def _update(self, row: Any, fields: Mapping[str, Any]) -> bool:
        """Write fields of a row; return False if it has changed since it was read."""
        unchanged = self._database.client.write_option(last_update_time=row.update_time)
        try:
            self._database.commit(lambda batch: batch.update(row.reference, dict(fields), option=unchanged))
        except (NameTaken, exceptions.NotFound):
            return False
        return True

    def _plan(self, replica: str, query: Query, labels: frozenset[str]) -> Selection:
        known: dict[Selection, int] = {}

        def count(selection: Selection) -> int:
            selected = selection.under(labels)
            values = sorted(selected.postings | selected.markers) if selected.postings else []
            # Rows of several count several times, which may cost a better plan, but no hit.
            return sum(self._count(part, _RARE) for part in _parts(values))

        def costs(selections: Sequence[Selection]) -> list[int]:
            """Return how many rows each selection has; _RARE for those that are not counted."""
            unknown = [
                one for one in dict.fromkeys(selections) if one not in known and _is_countable(one, labels)
            ]
            to_count = unknown[: max(0, _MOST_COUNTS - len(known))]
            if len(set(selections)) > 1:
                counts = map_in_threads(count, to_count, threads=_COUNTS_AT_ONCE)
                known.update(zip(to_count, counts, strict=True))
            return [known.get(one, _RARE) for one in selections]

        chosen = plan(query, Postings(replica), costs)
        values = len(chosen.postings | chosen.markers)
        most = min(_MOST_LOOKED_UP, _MOST_QUERIES * _MOST_VALUES // max(len(labels), 1))
        if values > most:
            raise IndexQueryRefused(f"es_query: has {values} values to look up; at most {most} are served")
        return chosen.under(labels)

    def _counted_total(self, selection: Selection) -> Total | None:
        """Return the number of all hits if postings alone decide; one read for each thousand."""
        is_countable = selection.exact and len(selection.postings) <= _MOST_VALUES
        if is_countable and not self._count(selection.markers, 1):
            return Total(hits=self._count(selection.postings))
        return None

    def selected(
        self, selection: Selection, after: Fqid | None, fields: Sequence[str], *, at_most: int
    ) -> Iterator[Any]:
        """Yield the rows of a selection in descending order, each once."""
        if not selection.postings:
            return
        values = sorted(selection.postings | selection.markers)
        queries = list(map(self._query, _parts(values)))
        page = min(at_most, max(4, (_NAMES_PAGE if fields is _NAMES else _PAGE) // len(queries)))
        if after:
            queries = [query.start_after({"fqid": str(after)}) for query in queries]
        streams = [self._database.every(query.select(fields), page) for query in queries]
        merged = heapq.merge(*streams, key=lambda row: row.get("fqid"), reverse=True)
        for _, same in groupby(merged, key=lambda row: row.get("fqid")):
            yield next(same)

    def match(self, row: Any, search: "_Search") -> bytes | None:
        """Return the document of a row if the query finds it, or b"" if nobody needs it; None if not.

        Raises BudgetSpent.
        """
        certain = search.selection.exact and not row.get("partial")
        if certain and not search.documents:
            return b""
        is_large = not certain and (row.to_dict().get("size") or 0) > _LARGE
        with self._one_of_few(search.deadline) if is_large else nullcontext():
            encoded = self._document(row)
            if encoded is None or certain:
                return encoded
            search.budget.check()
            subject = Subject(fqid_of(row), json.loads(encoded), search.budget)
            is_hit = search.matcher.finds(subject)
        return (encoded if search.documents else b"") if is_hit else None

    @contextmanager
    def _one_of_few(self, deadline: Deadline) -> Iterator[None]:
        """Let few threads in at once, since a parsed document takes many times its size.

        Raises Unavailable if the others take until the deadline.
        """
        if not self._large.acquire(timeout=deadline.remaining()):
            raise Unavailable("too many searches read large documents; try again later")
        try:
            yield
        finally:
            self._large.release()

    def _document(self, row: Any) -> bytes | None:
        """Return the document of a row; None if the row has been removed meanwhile."""
        for _ in range(_ATTEMPTS):
            fields = row.to_dict()
            if "data" in fields and not fields["pieces"]:
                return zlib.decompress(fields["data"])
            if "data" in fields:
                names = [piece_name(row.id, fields["digest"], number) for number in range(fields["pieces"])]
                snapshots = self._database.get_many([self._pieces.document(name) for name in names])
                pieces = {piece.id: piece.get("data") for piece in snapshots}
                if len(pieces) == len(names):
                    return zlib.decompress(b"".join(pieces[name] for name in names))
            # The query did not select the document, or another process has just replaced it.
            row = self._read(row.id, _DOCUMENTS)
            if row is None:
                return None
        raise Unavailable(f"index entry {row.id}: its document is incomplete")

    def _read(self, name: str, fields: Sequence[str]) -> Any:
        return next(self._database.get_many([self._rows.document(name)], fields), None)

    def _query(self, postings: Sequence[Any]) -> Any:
        return self._rows.where(filter=FieldFilter("postings", "array_contains_any", [*postings])).order_by(
            "fqid", direction=firestore.Query.DESCENDING
        )

    def _count(self, postings: Collection[Any], at_most: int | None = None) -> int:
        if not postings:
            return 0
        query = self._query(sorted(postings))
        return self._database.count(query.limit(at_most) if at_most else query)

    def _pieces_of(self, row: str, digest: str) -> list[Any]:
        """Return references to the pieces of a row's document, or, without a digest, of all its documents."""
        begin = f"{row}.{digest}"
        query = (
            self._pieces.where(filter=FieldFilter("__name__", ">", self._pieces.document(begin)))
            # `~` sorts behind every character of a name.
            .where(filter=FieldFilter("__name__", "<", self._pieces.document(f"{begin}~")))
            .order_by("__name__")
            .select([])
        )
        return [piece.reference for piece in self._database.every(query, _NAMES_PAGE)]

    def _drop_pieces(self, row: str, *, keep: str) -> None:
        prefix = f"{row}.{keep}."
        pieces = self._pieces_of(row, "")
        self._drop([piece for piece in pieces if not keep or not piece.id.startswith(prefix)])

    def _drop(self, pieces: Sequence[Any]) -> None:
        if pieces:
            self._database.commit(*(_deleting(piece) for piece in pieces))


@dataclass(kw_only=True)
class _Search:
    """A search that is under way: its page, and then its total, within one budget."""

    index: FirestoreIndex
    matcher: Matcher
    selection: Selection
    documents: bool
    budget: Budget
    deadline: Deadline

    def page(self, after: Fqid | None, count: int) -> tuple[Page, Iterator[Any]]:
        """Return a page, and the rows behind it; the hit that tells that there is another page is gone."""
        rows = self._rows(after, at_most=count + 1)
        hits: list[Hit] = []
        size, seen = 0, after
        for row in rows:
            is_over = self.deadline.passed or not self.budget.remaining or size > MOST_PAGE_BYTES
            if is_over and seen != after:
                return Page(hits=hits, after=seen), chain([row], rows)
            try:
                encoded = self.index.match(row, self)
            except BudgetSpent:
                if seen == after:
                    raise too_costly(self.budget.seconds) from None
                return Page(hits=hits, after=seen), chain([row], rows)
            if encoded is not None:
                if len(hits) == count:
                    return Page(hits=hits, after=seen), chain([row], rows)
                size += len(encoded)
                hits.append(Hit(fqid=fqid_of(row), encoded=encoded if self.documents else None))
            seen = fqid_of(row)
        return Page(hits=hits, after=None), iter(())

    def total(self, page: Page, rows: Iterator[Any] | None, most: int) -> Total:
        """Return the total, of at most so many further rows; `rows` are those behind a first page."""
        hits = len(page.hits) if rows else 0
        self.documents = False
        for number, row in enumerate(rows or self._rows(None, at_most=most + 1)):
            if number == most or self.deadline.passed:
                return Total(hits=max(hits, len(page.hits)), exact=False)
            try:
                hits += self.index.match(row, self) is not None
            except BudgetSpent:
                return Total(hits=max(hits, len(page.hits)), exact=False)
        return Total(hits=hits)

    def _rows(self, after: Fqid | None, *, at_most: int) -> Iterator[Any]:
        fields = _DOCUMENTS if self.documents or not self.selection.exact else _NAMES
        return self.index.selected(self.selection, after, fields, at_most=at_most)


def fqid_of(row: Any) -> Fqid:
    """Return the FQID of a row."""
    return Fqid(*row.get("fqid").split(".", 1))


def _held(row: Any) -> Indexed:
    return Indexed(
        fqid=fqid_of(row),
        digest=row.get("digest") if row.get("form") == FORM else "",
        dead=row.get("dead"),
        labels=frozenset(row.get("labels")),
    )


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    """Return values in parts that one query takes."""
    return [values[at : at + _MOST_VALUES] for at in range(0, len(values), _MOST_VALUES)]


def _is_countable(selection: Selection, labels: Collection[str]) -> bool:
    values = len(selection.postings | selection.markers)
    is_short = values <= _MOST_VALUES and values * len(labels) <= _MOST_VALUES * _MOST_PARTS
    return is_short and not selection.is_everything


def _deleting(reference: Any) -> Any:
    return lambda batch: batch.delete(reference)
