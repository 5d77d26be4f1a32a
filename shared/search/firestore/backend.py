"""The index in Firestore: a row for each bundle version and replica, found by its postings.

Firestore looks up any of up to thirty postings, in the order of the rows; `shared.search.firestore.planning`
chooses which. The back end matches the document of each row against the query, unless the postings decide.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from shared.catalog import Catalog
from shared.catalog.database import Database, NameTaken, set_document
from shared.clock import Deadline
from shared.config import Settings
from shared.errors import IndexQueryRefused, Unavailable
from shared.identifiers import Fqid
from shared.parallel import map_in_threads
from shared.search.base import Hit, IndexBackend, Indexed, IndexEntry, Page
from shared.search.firestore.planning import Selection, plan
from shared.search.firestore.rows import Row, piece_name, row_name, row_of, unpacked
from shared.search.matching import Subject
from shared.search.postings import FORM, Postings
from shared.search.query import Query

# Firestore: a query compares with at most 30 values. Each such query takes at least one round trip.
_MOST_VALUES = 30
_MOST_QUERIES = 40
# Rows that one request returns: with documents, each of half a MiB at most, and without.
_PAGE = 100
_NAMES_PAGE = 500
_ENTRIES_PAGE = 2000
# Firestore bills a count as one read for each thousand. What has more rows is not rare.
_RARE = 1000
_MOST_COUNTS = 16
_COUNTS_AT_ONCE = 8
# Seconds for a page, and as many for its total; clients give up after 40. Every row that is read costs money.
_SECONDS = 12.0
_MOST_COUNTED = 2000
_ATTEMPTS = 5

_NAMES = ["fqid", "partial"]
_DOCUMENTS = [*_NAMES, "digest", "data", "pieces"]


def open_index(_: Settings, catalog: Catalog) -> IndexBackend:
    """Return the index back end in the catalog's database."""
    return FirestoreIndex(catalog.database)


class FirestoreIndex:
    """An index back end in the catalog's database.

    A search ends its page after `seconds`, takes as long again for its total, and reads at most `counted`
    rows for it.
    """

    def __init__(
        self, database: Database, *, seconds: float = _SECONDS, counted: int = _MOST_COUNTED
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._counted = counted
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
        after: Fqid | None,
        count: int,
        documents: bool = False,
        total: bool = False,
    ) -> Page:
        """Return up to `count` hits after the FQID `after`, by UUID and then version, both descending.

        A page has fewer hits if clauses that all must match are each frequent, and rare together. The total
        is None if more rows than `counted` have to be read for it.
        """
        selection = self._plan(replica, query)
        page = self._page(query, selection, after=after, count=count, documents=documents)
        if not total:
            return page
        is_whole = after is None and page.after is None
        return Page(
            hits=page.hits,
            after=page.after,
            total=len(page.hits) if is_whole else self._total(query, selection),
        )

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries after the FQID `after`, by UUID and then version, both ascending; a read each."""
        first = row_name(replica, after) if after else f"{replica}."
        query = (
            # In a row's name a UUID follows the dot, and UUIDs are hex.
            self._rows.where(filter=FieldFilter("__name__", ">", self._rows.document(first)))
            .where(filter=FieldFilter("__name__", "<", self._rows.document(f"{replica}.g")))
            .order_by("__name__")
            .select(["fqid", "digest", "form", "dead"])
        )
        for row in self._database.every(query, _ENTRIES_PAGE):
            digest = row.get("digest") if row.get("form") == FORM else ""
            yield Indexed(fqid=_fqid(row), digest=digest, dead=row.get("dead"))

    def _put_living(self, row: Row) -> bool:
        """Write an entry that is not dead; return False if another process was faster."""
        reference = self._rows.document(row.name)
        try:
            self._database.commit(lambda batch: batch.create(reference, dict(row.fields)))
            return True
        except NameTaken:
            existing = self._read(row.name, ["dead", "digest", "form", "pieces"])
        if existing is None:
            return False
        same = (existing.get("digest"), existing.get("form")) == (row.digest, FORM)
        if existing.get("dead"):
            self._drop_pieces(row.name, keep=existing.get("digest"))
        elif not same:
            unchanged = self._database.client.write_option(last_update_time=existing.update_time)
            try:
                self._database.commit(
                    lambda batch: batch.update(reference, dict(row.fields), option=unchanged)
                )
            except (NameTaken, exceptions.NotFound):
                return False
            self._drop(self._pieces_of(row.name, existing.get("digest")) if existing.get("pieces") else [])
        return True

    def _plan(self, replica: str, query: Query) -> Selection:
        known: dict[Selection, int] = {}

        def count(selection: Selection) -> int:
            postings = selection.postings | selection.markers
            return self._count(postings, _RARE) if selection.postings else 0

        def costs(selections: Sequence[Selection]) -> list[int]:
            """Return how many rows each selection has; _RARE for those that are not counted."""
            unknown = [one for one in dict.fromkeys(selections) if one not in known and _is_countable(one)]
            to_count = unknown[: max(0, _MOST_COUNTS - len(known))]
            if len(set(selections)) > 1:
                counts = map_in_threads(count, to_count, threads=_COUNTS_AT_ONCE)
                known.update(zip(to_count, counts, strict=True))
            return [known.get(one, _RARE) for one in selections]

        return plan(query, Postings(replica), costs)

    def _page(
        self, query: Query, selection: Selection, *, after: Fqid | None, count: int, documents: bool
    ) -> Page:
        deadline = Deadline(self._database.clock, self._seconds)
        fields = _DOCUMENTS if documents or not selection.exact else _NAMES
        hits: list[Hit] = []
        seen = after
        for row in self._selected(selection, after, fields, at_most=count + 1):
            if deadline.passed and seen != after:
                return Page(hits=hits, after=seen)
            document = self._matching_document(row, query, selection, documents)
            if document is not None:
                if len(hits) == count:
                    return Page(hits=hits, after=seen)
                hits.append(Hit(fqid=_fqid(row), document=document if documents else None))
            seen = _fqid(row)
        return Page(hits=hits, after=None)

    def _total(self, query: Query, selection: Selection) -> int | None:
        """Return the number of all hits; None if it takes too long.

        That is one read for each thousand if postings decide, and otherwise one for each row.
        """
        deadline = Deadline(self._database.clock, self._seconds)
        is_countable = selection.exact and len(selection.postings) <= _MOST_VALUES
        if is_countable and not self._count(selection.markers, 1):
            return self._count(selection.postings)
        total = 0
        fields = _NAMES if selection.exact else _DOCUMENTS
        rows = self._selected(selection, None, fields, at_most=min(self._counted + 1, _NAMES_PAGE))
        for number, row in enumerate(rows):
            if number == self._counted or deadline.passed:
                return None
            total += self._matching_document(row, query, selection, documents=False) is not None
        return total

    def _selected(
        self, selection: Selection, after: Fqid | None, fields: Sequence[str], *, at_most: int
    ) -> Iterator[Any]:
        """Yield the rows of a selection in descending order, each once."""
        if not selection.postings:
            return
        values = sorted(selection.postings | selection.markers)
        page = min(at_most, _NAMES_PAGE if fields is _NAMES else _PAGE)
        queries = [self._query(values[at : at + _MOST_VALUES]) for at in range(0, len(values), _MOST_VALUES)]
        if len(queries) > _MOST_QUERIES:
            most = _MOST_VALUES * _MOST_QUERIES
            raise IndexQueryRefused(
                f"es_query: has {len(values)} values to look up; at most {most} are served"
            )
        if after:
            queries = [query.start_after({"fqid": str(after)}) for query in queries]
        streams = [self._database.every(query.select(fields), page) for query in queries]
        merged = heapq.merge(*streams, key=lambda row: row.get("fqid"), reverse=True)
        for _, same in groupby(merged, key=lambda row: row.get("fqid")):
            yield next(same)

    def _matching_document(
        self, row: Any, query: Query, selection: Selection, documents: bool
    ) -> dict[str, Any] | None:
        """Return the document of a row if the query finds it, or {} if nobody needs it; None if not."""
        certain = selection.exact and not row.get("partial")
        if certain and not documents:
            return {}
        document = self._document(row)
        if document is None or not (certain or Subject(_fqid(row), document).is_found_by(query)):
            return None
        return document

    def _document(self, row: Any) -> dict[str, Any] | None:
        """Return the document of a row; None if the row has been removed meanwhile."""
        for _ in range(_ATTEMPTS):
            fields = row.to_dict()
            if "data" in fields and not fields["pieces"]:
                return unpacked(fields["data"])
            if "data" in fields:
                names = [piece_name(row.id, fields["digest"], number) for number in range(fields["pieces"])]
                snapshots = self._database.get_many([self._pieces.document(name) for name in names])
                pieces = {piece.id: piece.get("data") for piece in snapshots}
                if len(pieces) == len(names):
                    return unpacked(b"".join(pieces[name] for name in names))
            # The query did not select the document, or another process has just replaced it.
            row = self._read(row.id, _DOCUMENTS)
            if row is None:
                return None
        raise Unavailable(f"index entry {row.id}: its document is incomplete")

    def _read(self, name: str, fields: Sequence[str]) -> Any:
        return next(self._database.get_many([self._rows.document(name)], fields), None)

    def _query(self, postings: Sequence[Any]) -> Any:
        values = [posting.bytes for posting in postings]
        return self._rows.where(filter=FieldFilter("postings", "array_contains_any", values)).order_by(
            "fqid", direction=firestore.Query.DESCENDING
        )

    def _count(self, postings: frozenset[Any], at_most: int | None = None) -> int:
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


def _fqid(row: Any) -> Fqid:
    return Fqid(*row.get("fqid").split(".", 1))


def _is_countable(selection: Selection) -> bool:
    return not selection.is_everything and len(selection.postings | selection.markers) <= _MOST_VALUES


def _deleting(reference: Any) -> Any:
    return lambda batch: batch.delete(reference)
