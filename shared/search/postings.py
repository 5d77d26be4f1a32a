"""Postings: what inverted indexes hold of documents, for back ends that keep such an index.

A posting is the hash of something that a clause asks for in full: that there is a path, that a value or a
token is at a path, that a living entry has a name. Two things never share one (they have 128 bits), and the
replica is in them, so that what is rare on one replica is rare in the index.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

from shared.identifiers import Fqid
from shared.search.analysis import scalar_text
from shared.search.query import Scalar

# To be raised with every change of what is below, or of what tokens are: entries that were written in another
# form are told apart by it.
FORM = 1

_Kept = TypeVar("_Kept")


class Postings:
    """The postings of one replica."""

    def __init__(self, replica: str) -> None:
        self._seed = blake2b(digest_size=16)
        _add(self._seed, replica)

    def of_living(self) -> UUID:
        """Return the posting that all living entries share."""
        return self._hash("living")

    def of_name(self, fqid: Fqid | str) -> UUID:
        """Return the posting of a living entry's FQID."""
        return self._hash("name", str(fqid))

    def of_path(self, path: str) -> UUID:
        """Return the posting of a path that leads to a value, or on to one."""
        return self._hash("path", path)

    def of_value(self, path: str, value: Scalar) -> UUID:
        """Return the posting of a value at a path; equal values share it, and no others."""
        kind = "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
        return self._hash(kind, path, scalar_text(value))

    def of_token(self, path: str, token: str) -> UUID:
        """Return the posting of a token at a path."""
        return self._hash("token", path, token)

    def of_gap(self, path: str = "") -> UUID:
        """Return the posting of entries whose postings are not all kept: those at a path, or at any path."""
        return self._hash("gap", path)

    def _hash(self, *parts: str) -> UUID:
        digest = self._seed.copy()
        _add(digest, *parts)
        return UUID(bytes=digest.digest())


def thinned(at_path: dict[str, set[_Kept]], most: int, gap: Callable[[str], _Kept]) -> int:
    """Put gaps in the place of what is kept of paths, those with the most first; return how much is left.

    That is `most` at most, unless there are more paths.
    """
    total = sum(map(len, at_path.values()))
    for path in sorted(at_path, key=lambda path: (-len(at_path[path]), path)):
        if total <= most:
            break
        total -= len(at_path[path]) - 1
        at_path[path] = {gap(path)}
    return total


def _add(digest: Any, *parts: str) -> None:
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        # With its length, or two parts could look like two others.
        digest.update(b"%d:" % len(data))
        digest.update(data)
