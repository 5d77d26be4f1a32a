"""The signed URLs of a bundle's files, asked for in pages while the files before them are fetched.

To sign a URL takes the DSS about as long as it takes to fetch a small file. So the first files are fetched
after one page, not after all; and a page of which all files are there already is not asked for.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from dss.api import bundles
from dss.api.session import Session
from dss.errors import InvalidInput

# Files of the first page, and of each other one: the first file waits for all of its page.
FIRST_FILES = 100
PAGE_FILES = 200

_Rows = Sequence[Mapping[str, Any]]


class SignedPages:
    """The signed URLs of a bundle version of so many `files`; the rows of its `first` page have theirs.

    Pages are asked for on an executor that waits for nothing else, each when the one before it is needed.
    """

    def __init__(
        self, session: Session, uuid: str, version: str, *, files: int, first: _Rows, executor: Executor
    ) -> None:
        self._session = session
        self._uuid, self._version, self._files = uuid, version, files
        self._first = first
        self._executor = executor
        self._pages: dict[int, Future[_Rows]] = {}
        self._lock = threading.Lock()

    def url(self, position: int, uuid: str, version: str) -> str:
        """Return the signed URL of the file at a position in the bundle; waits for its page.

        It is empty if the page has another file there: the DSS may cut pages as it likes. Raises InvalidInput
        if the file has no URL, and what reading the page raises.
        """
        if position < len(self._first):
            rows = self._first
            self._ask_for(0)
        else:
            page, position = divmod(position - len(self._first), PAGE_FILES)
            self._ask_for(page, page + 1)
            rows = self._pages[page].result()
        row = rows[position] if position < len(rows) else {}
        if (row.get("uuid"), row.get("version")) != (uuid, version):
            return ""
        if not row.get("url"):
            raise InvalidInput("the bundle lacks this file's 'url'")
        return str(row["url"])

    def _ask_for(self, *pages: int) -> None:
        for page in pages:
            start = len(self._first) + page * PAGE_FILES
            with self._lock:
                if page not in self._pages and start < self._files:
                    self._pages[page] = self._executor.submit(self._ask, start)

    def _ask(self, start: int) -> _Rows:
        page, _ = bundles.signed_page(self._session, self._uuid, self._version, start=start, count=PAGE_FILES)
        rows: _Rows = page["files"]
        return rows
