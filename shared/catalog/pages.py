"""Pages: documents under a head, for content that is too large for the head itself.

Each holds one compressed value, which is read and written as a whole and never queried.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any

from shared.catalog.database import Database, Write, set_document
from shared.errors import CatalogBroken

# Firestore: a document is at most 1 MiB. This many bytes fit into a page even if they do not compress.
PAGE_BYTES = 900_000
# Firestore: a request is at most 10 MiB; its emulator takes 4. Larger writes are split into commits.
_COMMIT_BYTES = 3 * 1024 * 1024
# Of zlib. Level 6, measured on links, takes three times as long and saves a twelfth.
_LEVEL = 1


class Pages:
    """The pages of one kind of head; each keeps its content in `field`."""

    def __init__(self, database: Database, field: str) -> None:
        self._database = database
        self._field = field

    def write(
        self, head: Any, contents: Iterable[bytes], fields: Iterable[Mapping[str, Any]] | None = None
    ) -> None:
        """Write all pages of a head, in this order, one write each. Safe to repeat with the same contents.

        `fields` are further ones of each page, for queries.
        """
        pages = head.collection("pages")
        writes: list[Write] = []
        pending = 0
        for number, (content, further) in enumerate(zip(contents, fields or repeat({}), strict=False)):
            data = zlib.compress(content, _LEVEL)
            # A text of a list takes no more bytes in a request than as Python writes it.
            size = len(data) + len(repr(further))
            if writes and pending + size > _COMMIT_BYTES:
                self._database.commit(*writes)
                writes, pending = [], 0
            writes.append(set_document(pages.document(_page_name(number)), {self._field: data, **further}))
            pending += size
        if writes:
            self._database.commit(*writes)

    def read(self, head: Any, numbers: range) -> Iterator[bytes]:
        """Return pages of a head, in this order, one read each, side by side.

        All are read when this returns; each is decompressed when the iterator reaches it. Raises
        CatalogBroken if one is missing.
        """
        pages = head.collection("pages")
        snapshots = self._database.get_many([pages.document(_page_name(number)) for number in numbers])
        pages_by_name = {snapshot.id: snapshot.get(self._field) for snapshot in snapshots}
        lost = [number for number in numbers if _page_name(number) not in pages_by_name]
        if lost:
            raise CatalogBroken(f"{head.path}: the catalog has lost its page {lost[0]}; run an audit")
        return map(zlib.decompress, [pages_by_name[_page_name(number)] for number in numbers])


def _page_name(number: int) -> str:
    return f"{number:05d}"
