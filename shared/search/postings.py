"""Postings: what an inverted index holds of documents, for back ends that keep one.

A posting is a hash of something that a clause can ask for in full: a path, a value or token at a path, or
the FQID of a bundle version. It has 128 bits (16 bytes), so that two things never share one. The replica goes
into the hash, so that what is rare on one replica is rare in the index.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, TypeVar

from shared.access import DEFAULT
from shared.identifiers import Fqid
from shared.search.analysis import scalar_text
from shared.search.query import Scalar

# Raise it with every change of what postings or tokens are: back ends recognise older entries by it.
FORM = 1

_Posting = TypeVar("_Posting")


class Postings:
    """The postings of one replica."""

    def __init__(self, replica: str) -> None:
        self._seed = blake2b(digest_size=16)
        _add(self._seed, replica)

    def of_living(self) -> bytes:
        """Return the posting that all entries but tombstones share."""
        return self._hash("living")

    def of_name(self, fqid: Fqid | str) -> bytes:
        """Return the posting of the FQID of an entry that is no tombstone."""
        return self._hash("name", str(fqid))

    def of_path(self, path: str) -> bytes:
        """Return the posting of a path at or below which there is a value."""
        return self._hash("path", path)

    def of_value(self, path: str, value: Scalar) -> bytes:
        """Return the posting of a value at a path; equal values share it, and no others."""
        kind = "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
        return self._hash(kind, path, scalar_text(value))

    def of_token(self, path: str, token: str) -> bytes:
        """Return the posting of a token at a path."""
        return next(self.of_tokens(path, [token]))

    def of_tokens(self, path: str, tokens: Iterable[str]) -> Iterator[bytes]:
        """Yield the posting of each token at a path."""
        at_path = self._seed.copy()
        _add(at_path, "token", path)
        for token in tokens:
            digest = at_path.copy()
            _add(digest, token)
            yield digest.digest()

    def of_overflow(self, path: str = "") -> bytes:
        """Return the overflow marker of a path, or of all paths: it stands for postings that were cut off."""
        return self._hash("gap", path)

    def _hash(self, *parts: str) -> bytes:
        digest = self._seed.copy()
        _add(digest, *parts)
        return bytes(digest.digest())


def labelled(postings: Iterable[bytes], labels: Iterable[str]) -> frozenset[bytes]:
    """Return postings under each of some labels (`shared.access.labels`).

    For back ends that can't intersect: a posting under a label is a posting of its own. Under `default` it is
    the posting itself, since most entries have no other label.
    """
    return frozenset(
        posting if label == DEFAULT else _under(label, posting) for label in labels for posting in postings
    )


def _under(label: str, posting: bytes) -> bytes:
    digest = blake2b(posting, digest_size=16)
    _add(digest, label)
    return digest.digest()


def truncate(at_path: dict[str, set[_Posting]], most: int, marker: Callable[[str], _Posting]) -> int:
    """Replace what whole paths hold by their overflow markers until `most` are left; return how many are.

    Paths that hold most go first: with `most` 3, `{"a": {1, 2, 3}, "b": {4}}` becomes `{"a": {marker}, "b":
    {4}}`. If there are more paths than `most`, the result is the number of paths.
    """
    total = sum(map(len, at_path.values()))
    for path in sorted(at_path, key=lambda path: (-len(at_path[path]), path)):
        if total <= most:
            break
        total -= len(at_path[path]) - 1
        at_path[path] = {marker(path)}
    return total


def _add(digest: Any, *parts: str) -> None:
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        # Each with its length, so that ("a", "bc") and ("ab", "c") differ.
        digest.update(b"%d:%b" % (len(data), data))
