"""An index in memory: the smallest possible `IndexBackend`, without an index."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

from shared.access import labels_of, labels_sought
from shared.identifiers import Fqid
from shared.search.base import MOST_PAGE_BYTES, Hit, Indexed, IndexEntry, Page, Total
from shared.search.documents import digest_of
from shared.search.matching import matches
from shared.search.query import Query


class MemoryIndex:
    """Entries of this process; a search looks at all of a replica."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, Fqid], IndexEntry] = {}
        self._lock = threading.Lock()

    def put(self, entry: IndexEntry) -> None:
        """Write or replace an entry."""
        key = entry.replica, entry.fqid
        with self._lock:
            before = self._entries.get(key)
            if entry.dead or not (before and before.dead):
                self._entries[key] = entry

    def set_readers(self, replica: str, fqid: Fqid, readers: frozenset[str]) -> None:
        """Change who may read an entry."""
        with self._lock:
            if entry := self._entries.get((replica, fqid)):
                self._entries[replica, fqid] = replace(entry, readers=readers)

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry."""
        with self._lock:
            self._entries.pop((replica, fqid), None)

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
        """Return a page of hits."""
        sought = labels_sought(readers)
        found = [
            entry
            for entry in reversed(self._of(replica))
            if labels_of(entry.readers) & sought and matches(query, entry.fqid, entry.document)
        ]
        rest = [entry for entry in found if after is None or _order(entry.fqid) < _order(after)]
        hits: list[Hit] = []
        size = 0
        for entry in rest[:count]:
            encoded = json.dumps(dict(entry.document)).encode() if documents else None
            hits.append(Hit(fqid=entry.fqid, encoded=encoded))
            size += len(encoded or b"")
            if size > MOST_PAGE_BYTES:
                break
        return Page(
            hits=hits,
            after=hits[-1].fqid if len(hits) < len(rest) else None,
            total=Total(hits=len(found)) if total else None,
        )

    def held(self, replica: str, fqid: Fqid) -> Indexed | None:
        """Return what there is of a bundle version."""
        entry = self._entries.get((replica, fqid))
        return entry and _indexed(entry)

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries after one."""
        for entry in self._of(replica):
            if after is None or _order(entry.fqid) > _order(after):
                yield _indexed(entry)

    def _of(self, replica: str) -> list[IndexEntry]:
        with self._lock:
            found = [entry for (name, _), entry in self._entries.items() if name == replica]
        return sorted(found, key=lambda entry: _order(entry.fqid))


def _order(fqid: Fqid) -> tuple[str, str]:
    return fqid.uuid, fqid.version


def _indexed(entry: IndexEntry) -> Indexed:
    return Indexed(
        fqid=entry.fqid,
        digest=digest_of(entry.document),
        dead=entry.dead,
        labels=labels_of(entry.readers),
    )
