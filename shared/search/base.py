"""The protocol of index back ends. Every method is about one replica, and sees no other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.identifiers import Fqid
from shared.search.query import Query

# A page ends with the document that makes its documents, in JSON, larger than this.
MOST_PAGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """The indexed document of a bundle version on a replica, or of its tombstone if `dead`.

    `readers` are those who may read it, none for the deployment's default (`shared.access`).
    """

    replica: str
    fqid: Fqid
    document: Mapping[str, Any]
    dead: bool = False
    readers: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A bundle version that a query finds, with its document, in JSON, if the caller asked for documents."""

    fqid: Fqid
    encoded: bytes | None = None

    @property
    def document(self) -> Any:
        """The document, parsed at each call; None if the caller asked for none."""
        return None if self.encoded is None else json.loads(self.encoded)


@dataclass(frozen=True, kw_only=True)
class Total:
    """The number of hits on all pages; if it is not `exact`, there are at least so many."""

    hits: int
    exact: bool = True


@dataclass(frozen=True, kw_only=True)
class Page:
    """Hits in order, and the FQID after which the next page begins; None on the last page.

    A page may hold fewer hits than the caller asked for, and even none, if finding more would take too long,
    or if their documents together are larger than MOST_PAGE_BYTES. `total` is None if nobody asked for it.
    """

    hits: Sequence[Hit]
    after: Fqid | None
    total: Total | None = None


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """What an index holds of a bundle version: enough to check whether it is right.

    `digest` is `shared.search.documents.digest_of` of the document, or empty if another release wrote the
    entry in another form. `labels` are those of its readers (`shared.access.labels`).
    """

    fqid: Fqid
    digest: str
    dead: bool
    labels: frozenset[str]


class IndexBackend(Protocol):
    """Holds indexed documents and answers queries. All methods raise Unavailable.

    When `put` returns, all processes find the entry.
    """

    def put(self, entry: IndexEntry) -> None:
        """Write or replace an entry. Safe to repeat, in any order: nothing living replaces a dead entry."""
        ...

    def set_readers(self, replica: str, fqid: Fqid, readers: frozenset[str]) -> None:
        """Change who may read an entry, living or dead, if it exists; all at once, and safe to repeat.

        When it returns, no search finds the entry for others.
        """
        ...

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry, if it exists."""
        ...

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

        Finds what those who count as `readers` may read (`shared.access.Policy.counts_as`), everything if
        that is None. Nothing else shows in the page, its length, its end or the total. `documents` adds their
        documents, and `total` the number of all hits. Page and total together take a bounded time. Raises
        IndexQueryRefused, with the reason, if this back end does not serve the query, or can't match a single
        document in that time.
        """
        ...

    def held(self, replica: str, fqid: Fqid) -> Indexed | None:
        """Return what the index holds of a bundle version; None if it has no entry."""
        ...

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries after the FQID `after`, by UUID and then version, both ascending."""
        ...
