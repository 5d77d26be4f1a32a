"""Bounds of what the JSON files of a bundle add to an index, so that memory suffices for any of them.

Files have a bound of their own, but what is derived from one can be many times as large: a key of 48,000 dots
has 48,000 paths of 24,000 characters on average, and a list of empty lists takes twenty times its size.
"""

import re
from typing import Any

from shared.checksums import MIB
from shared.search.analysis import iter_scalar_tokens
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
        self._postings: set[Any] = set()
        self._path_bytes = 0

    def exceeded_by_nodes(self, nodes: int) -> str:
        """Return why a file of so many nodes exceeds the bounds; empty if it does not."""
        too_many = self._nodes + nodes > MOST_NODES
        return f"with it, the files hold more than {MOST_NODES} values, objects and lists" if too_many else ""

    def add(self, group: str, content: Any, nodes: int) -> str:
        """Add a parsed file. Return why it exceeds the bounds; empty if it does not."""
        postings, added = Postings(""), set()
        path_bytes = self._path_bytes
        for path, value in scalars_of({"files": {group: content}}):
            if len(path) > MOST_PATH_CHARACTERS or path.count(".") >= MOST_PATH_STEPS:
                return f"a path in it has over {MOST_PATH_CHARACTERS} characters or {MOST_PATH_STEPS} steps"
            for known in paths_to(path):
                of_path = postings.of_path(known)
                if of_path in added or of_path in self._postings:
                    break
                added.add(of_path)
                path_bytes += len(known)
            added.add(postings.of_value(path, value))
            for token in iter_scalar_tokens(value):
                added.add(postings.of_token(path, token))
                if len(added) > MOST_POSTINGS:
                    break
            if path_bytes > MOST_PATH_BYTES:
                return f"with it, the paths in the files are longer than {MOST_PATH_BYTES} bytes"
            if len(added) > MOST_POSTINGS:
                break
        if len(added | self._postings) > MOST_POSTINGS:
            return f"with it, the files hold more than {MOST_POSTINGS} paths, values and words"
        self._nodes += nodes
        self._postings |= added
        self._path_bytes = path_bytes
        return ""
