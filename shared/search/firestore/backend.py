"""The index in Firestore: a row a bundle version and replica, found by its postings.

Firestore looks up one posting, or any of thirty, in the order of the rows. Of clauses that must all match the
rarest is looked up, which a count tells; what it leads to is read and held against the whole query. Where the
postings alone decide, nothing else is read.
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

# Firestore: a query compares with 30 values at most. Each such query is a round trip at least.
_MOST_VALUES = 30
_MOST_QUERIES = 40
# Rows that one query returns; with documents, none of which is larger than half a MiB, and without.
_PAGE = 100
_NAMES_PAGE = 500
_ENTRIES_PAGE = 2000
# Firestore bills a count as a read for each thousand; what leads to more is not rare.
_RARE = 1000
_MOST_COUNTS = 16
_COUNTS_AT_ONCE = 8
# Clients give up after 40 seconds, and wait for a page and its count. Each row that is read is paid for.
_SECONDS = 12.0
_MOST_COUNTED = 2000
_ATTEMPTS = 5

_NAMES = ["fqid", "partial"]
_DOCUMENTS = [*_NAMES, "digest", "data", "pieces"]


def open_index(_: Settings, catalog: Catalog) -> IndexBackend:
    """Return the index back end in the catalog's database."""
    return FirestoreIndex(catalog.database)


class FirestoreIndex:
    """An index back end in the catalog's database."""

    def __init__(
        self, database: Database, *, seconds: float = _SECONDS, counted: int = _MOST_COUNTED
    ) -> None:
        """A search ends its page after so many seconds, and a count reads so many rows at most."""
        self._database = database
        self._seconds = seconds
        self._counted = counted
        self._rows = database.client.collection("index_rows")
        self._pieces = database.client.collection("index_pieces")

    def put(self, entry: IndexEntry) -> None:
        """Write an entry in the place of what is there, unless that is dead and this one is not."""
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
        raise Unavailable(f"index entry {row.name}: others write it, too")

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry; one that is not there is as good as removed."""
        name = row_name(replica, fqid)
        self._database.commit(lambda batch: batch.delete(self._rows.document(name)))
        self._drop_pieces(name, keep="")

    def search(self, replica: str, query: Query, *, after: Fqid | None, count: int, documents: bool) -> Page:
        """Return up to `count` hits, by UUID and then version, both descending, behind `after`.

        There may be fewer where clauses that all must match are each common, and together rare.
        """
        deadline = Deadline(self._database.clock, self._seconds)
        chosen = self._plan(replica, query)
        fields = _DOCUMENTS if documents or not chosen.exact else _NAMES
        hits: list[Hit] = []
        seen = after
        for row in self._selected(chosen, after, fields, at_most=count + 1):
            if deadline.passed and seen != after:
                return Page(hits=hits, after=seen)
            fqid = Fqid(*row.get("fqid").split(".", 1))
            document = self._found(row, fqid, query, chosen, documents)
            if document is not None:
                if len(hits) == count:
                    return Page(hits=hits, after=seen)
                hits.append(Hit(fqid=fqid, document=document if documents else None))
            seen = fqid
        return Page(hits=hits, after=None)

    def count(self, replica: str, query: Query) -> int | None:
        """Return how many entries a query finds: the exact number, or None where too many have to be read.

        A read for each thousand where postings decide, else one for each row that they lead to.
        """
        deadline = Deadline(self._database.clock, self._seconds)
        chosen = self._plan(replica, query)
        if chosen.exact and len(chosen.postings) <= _MOST_VALUES and not self._count(chosen.gaps, 1):
            return self._count(chosen.postings)
        total = 0
        fields = _NAMES if chosen.exact else _DOCUMENTS
        rows = self._selected(chosen, None, fields, at_most=min(self._counted + 1, _NAMES_PAGE))
        for number, row in enumerate(rows):
            if number == self._counted or deadline.passed:
                return None
            fqid = Fqid(*row.get("fqid").split(".", 1))
            total += self._found(row, fqid, query, chosen, documents=False) is not None
        return total

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries by UUID and then version, both ascending, behind `after`; one read each."""
        first = row_name(replica, after) if after else f"{replica}."
        query = (
            # Behind the point of a row's name there is a UUID.
            self._rows.where(filter=FieldFilter("__name__", ">", self._rows.document(first)))
            .where(filter=FieldFilter("__name__", "<", self._rows.document(f"{replica}.g")))
            .order_by("__name__")
            .select(["fqid", "digest", "form", "dead"])
        )
        for row in self._database.every(query, _ENTRIES_PAGE):
            digest = row.get("digest") if row.get("form") == FORM else ""
            fqid = Fqid(*row.get("fqid").split(".", 1))
            yield Indexed(fqid=fqid, digest=digest, dead=row.get("dead"))

    def _put_living(self, row: Row) -> bool:
        """Write a living entry; return False where somebody else wrote it meanwhile."""
        reference = self._rows.document(row.name)
        try:
            self._database.commit(lambda batch: batch.create(reference, dict(row.fields)))
            return True
        except NameTaken:
            held = self._read(row.name, ["dead", "digest", "form", "pieces"])
        if held is None:
            return False
        same = (held.get("digest"), held.get("form")) == (row.digest, FORM)
        if held.get("dead"):
            self._drop_pieces(row.name, keep=held.get("digest"))
        elif not same:
            unchanged = self._database.client.write_option(last_update_time=held.update_time)
            try:
                self._database.commit(
                    lambda batch: batch.update(reference, dict(row.fields), option=unchanged)
                )
            except (NameTaken, exceptions.NotFound):
                return False
            self._drop(self._pieces_of(row.name, held.get("digest")) if held.get("pieces") else [])
        return True

    def _plan(self, replica: str, query: Query) -> Selection:
        counted: dict[Selection, int] = {}

        def count(one: Selection) -> int:
            return self._count(one.postings | one.gaps, _RARE) if one.postings else 0

        def costs(several: Sequence[Selection]) -> list[int]:
            unknown = [one for one in dict.fromkeys(several) if one not in counted and _is_countable(one)]
            asked = unknown[: max(0, _MOST_COUNTS - len(counted))]
            if len(set(several)) > 1:
                counted.update(zip(asked, map_in_threads(count, asked, threads=_COUNTS_AT_ONCE), strict=True))
            return [counted.get(one, _RARE) for one in several]

        return plan(query, Postings(replica), costs)

    def _selected(
        self, chosen: Selection, after: Fqid | None, fields: Sequence[str], *, at_most: int
    ) -> Iterator[Any]:
        """Yield the rows that a selection leads to, in descending order, each once."""
        if not chosen.postings:
            return
        values = sorted(chosen.postings | chosen.gaps)
        page = min(at_most, _NAMES_PAGE if fields is _NAMES else _PAGE)
        queries = [self._query(values[at : at + _MOST_VALUES]) for at in range(0, len(values), _MOST_VALUES)]
        if len(queries) > _MOST_QUERIES:
            most = _MOST_VALUES * _MOST_QUERIES
            raise IndexQueryRefused(
                f"es_query: asks for {len(values)} values, and more than {most} are not served"
            )
        if after:
            queries = [query.start_after({"fqid": str(after)}) for query in queries]
        streams = [self._database.every(query.select(fields), page) for query in queries]
        merged = heapq.merge(*streams, key=lambda row: row.get("fqid"), reverse=True)
        for _, same in groupby(merged, key=lambda row: row.get("fqid")):
            yield next(same)

    def _found(
        self, row: Any, fqid: Fqid, query: Query, chosen: Selection, documents: bool
    ) -> dict[str, Any] | None:
        """Return the document of a row that a query finds, empty where nobody needs it; None for another."""
        certain = chosen.exact and not row.get("partial")
        if certain and not documents:
            return {}
        document = self._document(row)
        if document is None or not (certain or Subject(fqid, document).is_found_by(query)):
            return None
        return document

    def _document(self, row: Any) -> dict[str, Any] | None:
        """Return the document of a row; None where the row was removed meanwhile."""
        for _ in range(_ATTEMPTS):
            held = row.to_dict()
            if "data" in held and not held["pieces"]:
                return unpacked(held["data"])
            if "data" in held:
                names = [piece_name(row.id, held["digest"], number) for number in range(held["pieces"])]
                found = self._database.get_many([self._pieces.document(name) for name in names])
                pieces = {piece.id: piece.get("data") for piece in found}
                if len(pieces) == len(names):
                    return unpacked(b"".join(pieces[name] for name in names))
            # Its document was replaced meanwhile, or nobody had asked for it yet.
            row = self._read(row.id, _DOCUMENTS)
            if row is None:
                return None
        raise Unavailable(f"index entry {row.id}: its document is not complete")

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
        """Return references to the pieces of a row's document, or of all documents that it ever had."""
        begin = f"{row}.{digest}"
        query = (
            self._pieces.where(filter=FieldFilter("__name__", ">", self._pieces.document(begin)))
            # `~` sorts behind all that a name is made of.
            .where(filter=FieldFilter("__name__", "<", self._pieces.document(f"{begin}~")))
            .order_by("__name__")
            .select([])
        )
        return [piece.reference for piece in self._database.every(query, _NAMES_PAGE)]

    def _drop_pieces(self, row: str, *, keep: str) -> None:
        kept = f"{row}.{keep}."
        self._drop([piece for piece in self._pieces_of(row, "") if not keep or not piece.id.startswith(kept)])

    def _drop(self, pieces: Sequence[Any]) -> None:
        if pieces:
            self._database.commit(*(_deleting(piece) for piece in pieces))


def _is_countable(one: Selection) -> bool:
    return not one.is_everything and len(one.postings | one.gaps) <= _MOST_VALUES


def _deleting(reference: Any) -> Any:
    return lambda batch: batch.delete(reference)
