"""The four checksums of a file, and the rule by which S3's own ETag becomes one of them.

The client imports nothing of the service; `tests/client/test_checksums.py` compares both implementations.

A blob's `s3_etag` is the ETag that S3 gives an object uploaded in parts of `part_size(size)` bytes: the MD5
of the content if one part suffices, else the MD5 of the parts' MD5s, a dash, and the number of parts. So
a copy on S3 that is cut by the same rule is proved by S3 itself.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import google_crc32c

MIB = 1024 * 1024
# The part size of the HCA's tools, on which the `s3_etag` of every existing file rests.
_SMALLEST_PART = 64 * MIB
# S3: a multipart upload has at most 10,000 parts.
_MAX_PARTS = 10_000

CHECKSUM_NAMES = ("sha256", "sha1", "s3_etag", "crc32c")


def part_size(size: int) -> int:
    """Return the bytes of each part (the last may be shorter) for an object of `size` bytes."""
    if size <= _SMALLEST_PART * _MAX_PARTS:
        return _SMALLEST_PART
    per_part = -(-size // _MAX_PARTS)
    return -(-per_part // MIB) * MIB


def etag_of_parts(md5s: Iterable[bytes]) -> str:
    """Return the `s3_etag` of an object whose parts have these MD5 digests, in order."""
    digests = list(md5s)
    if len(digests) == 1:
        return digests[0].hex()
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


@dataclass(frozen=True, kw_only=True)
class Checksums:
    """The four checksums of one content, in lower-case hex; together they name its blob."""

    sha256: str
    sha1: str
    s3_etag: str
    crc32c: str


class ChecksumCalculator:
    """Computes the four checksums in one pass over content of a known size.

    The size has to be known first because it decides how the `s3_etag` is cut.
    """

    def __init__(self, size: int) -> None:
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._crc32c = google_crc32c.Checksum()
        self._part_size = part_size(size)
        self._part = hashlib.md5(usedforsecurity=False)
        self._part_bytes = 0
        self._part_md5s: list[bytes] = []

    def update(self, data: bytes) -> None:
        """Add the next bytes of the content."""
        self._sha256.update(data)
        self._sha1.update(data)
        self._crc32c.update(data)
        view = memoryview(data)
        while view:
            if self._part_bytes == self._part_size:
                self._finish_part()
            taken = view[: self._part_size - self._part_bytes]
            self._part.update(taken)
            self._part_bytes += len(taken)
            view = view[len(taken) :]

    def _finish_part(self) -> None:
        self._part_md5s.append(self._part.digest())
        self._part = hashlib.md5(usedforsecurity=False)
        self._part_bytes = 0

    def result(self) -> Checksums:
        """Return the checksums of all that was added."""
        return Checksums(
            sha256=self._sha256.hexdigest(),
            sha1=self._sha1.hexdigest(),
            s3_etag=etag_of_parts([*self._part_md5s, self._part.digest()]),
            crc32c=self._crc32c.digest().hex(),
        )
