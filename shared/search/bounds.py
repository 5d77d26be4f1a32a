"""Bounds of what the JSON files of a bundle add to an index, so that memory suffices for any of them.

Files have a bound of their own, but what is derived from one can be many times as large: a key of 48,000 dots
has 48,000 paths of 24,000 characters on average, and a list of empty lists takes twenty times its size.
"""

import re
from typing import Any

from shared.checksums import MIB
from shared.search.analysis import iter_scalar_tokens, most_tokens
from shared.search.matching import paths_to, scalars_of
from shared.search.postings import Postings

# Of the files of one bundle: values, objects and lists; paths, values and tokens; bytes of all paths.
MOST_NODES = 400_000
MOST_POSTINGS = 300_000
MOST_PATH_BYTES = 16 * MIB
# Of `files.{group}.` and the keys behind. Each step, which ends at a dot, is the end of a path of its own.
MOST_PATH_CHARACTERS, MOST_PATH_STEPS = 2_000, 200

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# Each value but the first follows a comma, or is the first in an object or list.
_BEFORE_VALUES = (b"[", b"{", b",")


def nodes_in(encoded: bytes) -> int:
    """Return the number of values, objects and lists in JSON, without parsing it; empty ones count twice."""
    skeleton = _STRING.sub(b"", encoded)
    return 1 + sum(map(skeleton.count, _BEFORE_VALUES))


class IndexBounds:
    """What the files of a bundle add to an index so far; a file that would exceed a bound adds nothing."""

    def __init__(self) -> None:
        self._nodes = 0
        # Of most bundles it is known without counting that they are within the bounds. So files are kept, and
        # counted once the sums of what each may add at most exceed a bound.
        self._most_postings = 0
        self._most_path_bytes = 0
        self._uncounted: list[tuple[str, Any]] = []
        self._counted = _Counted()

    def exceeded_by_nodes(self, nodes: int) -> str:
        """Return why a file of so many nodes exceeds the bounds; empty if it does not."""
        too_many = self._nodes + nodes > MOST_NODES
        return f"with it, the files hold more than {MOST_NODES} values, objects and lists" if too_many else ""

    def add(self, group: str, content: Any, nodes: int) -> str:
        """Add a parsed file. Return why it exceeds the bounds; empty if it does not."""
        fault = self._add_at_most(group, content)
        if not fault and self._may_exceed():
            for each in self._uncounted:
                self._counted.add(*each)
            self._uncounted.clear()
            fault = self._counted.add(group, content)
        elif not fault:
            self._uncounted.append((group, content))
        self._nodes += 0 if fault else nodes
        return fault

    def _add_at_most(self, group: str, content: Any) -> str:
        """Add what a file may add at most. Return why a path in it is out of bounds; empty if none is."""
        for path, value in scalars_of({"files": {group: content}}):
            steps = path.count(".") + 1
            if len(path) > MOST_PATH_CHARACTERS or steps > MOST_PATH_STEPS:
                return f"a path in it has over {MOST_PATH_CHARACTERS} characters or {MOST_PATH_STEPS} steps"
            self._most_postings += steps + 1 + most_tokens(value)
            self._most_path_bytes += steps * len(path)
        return ""

    def _may_exceed(self) -> bool:
        return self._most_postings > MOST_POSTINGS or self._most_path_bytes > MOST_PATH_BYTES


class _Counted:
    """The paths, values and tokens of files, each counted once."""

    def __init__(self) -> None:
        self._postings: set[bytes] = set()
        self._path_bytes = 0

    def add(self, group: str, content: Any) -> str:
        """Count a file. Return why it exceeds the bounds, and is not counted; empty if it does not."""
        postings, added = Postings(""), set[bytes]()
        path_bytes = self._path_bytes
        for path, value in scalars_of({"files": {group: content}}):
            for known in paths_to(path):
                of_path = postings.of_path(known)
                if of_path in added or of_path in self._postings:
                    break
                added.add(of_path)
                path_bytes += len(known)
            added.add(postings.of_value(path, value))
            for posting in postings.of_tokens(path, iter_scalar_tokens(value)):
                added.add(posting)
                if len(added) > MOST_POSTINGS:
                    break
            if path_bytes > MOST_PATH_BYTES:
                return f"with it, the paths in the files are longer than {MOST_PATH_BYTES} bytes"
            if len(added) > MOST_POSTINGS:
                break
        if len(added | self._postings) > MOST_POSTINGS:
            return f"with it, the files hold more than {MOST_POSTINGS} paths, values and words"
        self._postings |= added
        self._path_bytes = path_bytes
        return ""
