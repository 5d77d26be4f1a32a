"""Checksums as DRS has them: of files, and of what contains other objects."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.checksums import Checksums, crc32c_of, md5_of

# By the names of the IANA registry where it has one, else by those that DRS recommends.
_SHA256, _SHA1, _CRC32C, _MD5, _ETAG = "sha-256", "sha1", "crc32c", "md5", "etag"
_HASHES: Mapping[str, Callable[[bytes], str]] = {
    _SHA256: lambda text: hashlib.sha256(text).hexdigest(),
    _SHA1: lambda text: hashlib.sha1(text, usedforsecurity=False).hexdigest(),
    _CRC32C: crc32c_of,
    _MD5: md5_of,
}


def file_checksums(checksums: Checksums) -> dict[str, str]:
    """Return the checksums of a file by type; `md5` is there if the ETag is one, that of a single part."""
    found = {_SHA256: checksums.sha256, _SHA1: checksums.sha1, _CRC32C: checksums.crc32c}
    if "-" not in checksums.s3_etag:
        found[_MD5] = checksums.s3_etag
    return {**found, _ETAG: checksums.s3_etag}


@dataclass(frozen=True)
class Total:
    """The size in bytes, and the checksums by type, of what contains other objects."""

    size: int
    checksums: Mapping[str, str]


def total_of(items: Iterable[tuple[int, Mapping[str, str]]]) -> Total:
    """Return the total of items, each with its size and checksums.

    By the rule of DRS: the checksums of the items, in hex, are sorted and joined, and the same checksum of
    this text is taken. A type that one of the items lacks is left out. An ETag is no such function.
    """
    items = list(items)
    return Total(
        size=sum(size for size, _ in items),
        checksums={
            name: of_text("".join(sorted(found)).encode())
            for name, of_text in _HASHES.items()
            if (found := _all_of(name, [checksums for _, checksums in items])) is not None
        },
    )


def _all_of(name: str, checksums: Sequence[Mapping[str, str]]) -> list[str] | None:
    found = [each[name] for each in checksums if name in each]
    return found if len(found) == len(checksums) else None
