"""Pages: documents under a head that hold what is too much for the head itself.

Each holds one compressed value, for it is read and written as a whole and never queried.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from shared.catalog.database import Database
from shared.errors import CatalogBroken

# Firestore: a document is at most 1 MiB. So many bytes fit into a page even where compression gains nothing.
PAGE_BYTES = 900_000
# Firestore: a request is at most 10 MiB; its emulator takes 4. What would be more goes into further commits.
_COMMIT_BYTES = 3 * 1024 * 1024
# Of zlib. Level 6, measured on links, takes three times as long, and a twelfth off.
_LEVEL = 1


class Pages:
    """The pages of one kind of head; each keeps its content in `field`."""

    def __init__(self, database: Database, field: str) -> None:
        self._database = database
        self._field = field

    def write(self, head: Any, contents: Iterable[bytes]) -> None:
        """Write all pages of a head, in this order, one write each. Safe to repeat with the same contents."""
        pages = head.collection("pages")
        writes: list[Callable[[Any], None]] = []
        pending = 0
        for number, content in enumerate(contents):
            data = zlib.compress(content, _LEVEL)
            if writes and pending + len(data) > _COMMIT_BYTES:
                self._database.commit(*writes)
                writes, pending = [], 0
            writes.append(_setting(pages.document(_page_name(number)), {self._field: data}))
            pending += len(data)
        if writes:
            self._database.commit(*writes)

    def read(self, head: Any, numbers: range) -> Iterator[bytes]:
        """Return pages of a head, in this order, one read each, side by side.

        All have been read when this returns; each is unpacked as it is asked for. Raises CatalogBroken where
        one is missing.
        """
        pages = head.collection("pages")
        snapshots = self._database.get_many([pages.document(_page_name(number)) for number in numbers])
        found = {snapshot.id: snapshot.get(self._field) for snapshot in snapshots}
        lost = [number for number in numbers if _page_name(number) not in found]
        if lost:
            raise CatalogBroken(
                f"{head.path}: the catalog has lost page {lost[0]} of it, which an audit finds"
            )
        return map(zlib.decompress, [found[_page_name(number)] for number in numbers])


def _setting(reference: Any, document: dict[str, Any]) -> Callable[[Any], None]:
    return lambda batch: batch.set(reference, document)


def _page_name(number: int) -> str:
    return f"{number:05d}"
