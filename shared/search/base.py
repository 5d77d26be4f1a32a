"""The protocol of index back ends. Every method is about one replica, and sees no other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.identifiers import Fqid
from shared.search.query import Query


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """The indexed document of a bundle version on a replica, or of its tombstone if `dead`."""

    replica: str
    fqid: Fqid
    document: Mapping[str, Any]
    dead: bool = False


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A bundle version that a query finds, with its document if the caller asked for documents."""

    fqid: Fqid
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """Hits in order, and the FQID after which the next page begins; None on the last page.

    A page may hold fewer hits than the caller asked for, and even none, if finding more would take too long.
    `total` is the exact number of hits on all pages; None if nobody asked, or if counting takes too long.
    """

    hits: Sequence[Hit]
    after: Fqid | None
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """What an index holds of a bundle version: enough to check whether it is right.

    `digest` is `shared.search.documents.digest_of` of the document, or empty if another release wrote the
    entry in another form.
    """

    fqid: Fqid
    digest: str
    dead: bool


class IndexBackend(Protocol):
    """Holds indexed documents and answers queries. All methods raise Unavailable.

    When `put` returns, all processes find the entry.
    """

    def put(self, entry: IndexEntry) -> None:
        """Write or replace an entry. Safe to repeat, in any order: nothing living replaces a dead entry."""
        ...

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry, if it exists."""
        ...

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

        `documents` adds their documents, and `total` the number of all hits. Raises IndexQueryRefused, naming
        the clause, if this back end does not serve the query.
        """
        ...

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries after the FQID `after`, by UUID and then version, both ascending."""
        ...
