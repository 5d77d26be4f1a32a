"""The size and checksums of what contains other objects: a bundle of its files, a collection of its links."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from shared.checksums import Checksums, crc32c_of, md5_of

# By the names of the IANA registry where it has one, else by those that DRS recommends.
_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "sha-256": lambda text: hashlib.sha256(text).hexdigest(),
    "sha1": lambda text: hashlib.sha1(text, usedforsecurity=False).hexdigest(),
    "crc32c": crc32c_of,
    "md5": md5_of,
}


@dataclass(frozen=True)
class Total:
    """A size in bytes, and checksums by type, in hex, in one order of types."""

    size: int
    checksums: Mapping[str, str]

    @classmethod
    def of_content(cls, size: int, checksums: Checksums) -> Self:
        """Return the size and checksums of a file; `md5` is there if its ETag, of a single part, is one."""
        found = {"sha-256": checksums.sha256, "sha1": checksums.sha1, "crc32c": checksums.crc32c}
        if "-" not in checksums.s3_etag:
            found["md5"] = checksums.s3_etag
        return cls(size, found)

    @classmethod
    def of_items(cls, items: Iterable["Total"]) -> Self:
        """Return the total of what contains items, by the rule of GA4GH's DRS.

        The checksums of the items are sorted and joined, and the same checksum of this text is taken. A type
        that one of the items lacks is left out.
        """
        items = list(items)
        return cls(
            sum(item.size for item in items),
            {
                name: of_text("".join(sorted(found)).encode())
                for name, of_text in _HASHES.items()
                if len(found := _of_type(name, items)) == len(items)
            },
        )

    @classmethod
    def of_document(cls, document: Mapping[str, Any] | None) -> Self | None:
        """Return the total that a document of the catalog holds, if it holds one."""
        if not document:
            return None
        # Firestore does not keep the order of members.
        kept = document["checksums"]
        return cls(document["size"], {name: kept[name] for name in _HASHES if name in kept})

    @property
    def document(self) -> dict[str, Any]:
        """What the catalog stores."""
        return {"size": self.size, "checksums": dict(self.checksums)}


def _of_type(name: str, items: Sequence[Total]) -> list[str]:
    return [item.checksums[name] for item in items if name in item.checksums]
