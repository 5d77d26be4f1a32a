"""What the system asks of an index back end. Everything is about one replica, and found there only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.identifiers import Fqid
from shared.search.query import Query


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """The document by which one bundle version is found on a replica; `dead` where it is its tombstone's."""

    replica: str
    fqid: Fqid
    document: Mapping[str, Any]
    dead: bool = False


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A bundle version that a query finds; with its document where that was asked for."""

    fqid: Fqid
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """Hits in order, and the name behind which the search goes on; None where there are no more.

    A page may hold fewer hits than were asked for, and none at all, where looking for more would have taken
    too long.
    """

    hits: Sequence[Hit]
    after: Fqid | None


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """What an index holds of a bundle version: enough to tell whether it is what it should hold.

    `digest` is `shared.search.documents.digest_of` of the document; empty where the entry was written in
    another form than this release writes.
    """

    fqid: Fqid
    digest: str
    dead: bool


class IndexBackend(Protocol):
    """Where indexed documents are, and what answers queries. All methods raise Unavailable.

    What `put` has written is found when it returns, by all processes.
    """

    def put(self, entry: IndexEntry) -> None:
        """Write an entry in the place of what is there. Safe to repeat, in any order.

        A dead entry is never replaced by a living one.
        """
        ...

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry; one that is not there is as good as removed."""
        ...

    def search(self, replica: str, query: Query, *, after: Fqid | None, count: int, documents: bool) -> Page:
        """Return up to `count` hits, by UUID and then version, both descending, behind `after`.


        Raises IndexQueryRefused, naming the clause, for a query that this back end does not serve.
        """
        ...

    def count(self, replica: str, query: Query) -> int | None:
        """Return how many entries a query finds: the exact number, or None where counting takes too long."""
        ...

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries by UUID and then version, both ascending, behind `after`."""
        ...
