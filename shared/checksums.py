"""The four checksums of a blob, and the rule by which S3's own ETag becomes one of them.

A blob's `s3_etag` is the ETag of an object that was uploaded to S3 in parts of `part_size(size)` bytes: the
MD5 of the content if it is one part, else the MD5 of the parts' MD5s, a dash, and the number of parts. So S3
itself proves a copy that is cut by the same rule.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import google_crc32c

from shared.errors import InvalidChecksum
from shared.resumable_hashes import ResumableHash

MIB = 1024 * 1024
# The part size of the HCA's tools, which made the `s3_etag` of every existing file.
_SMALLEST_PART = 64 * MIB
# S3: a multipart upload has at most 10,000 parts.
_MAX_PARTS = 10_000

_FORMS = {
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "sha1": re.compile(r"[0-9a-f]{40}"),
    "s3_etag": re.compile(r"[0-9a-f]{32}(-([2-9]|[1-9][0-9]{1,3}|10000))?"),
    "crc32c": re.compile(r"[0-9a-f]{8}"),
}
CHECKSUM_NAMES = tuple(_FORMS)
_BLOB_KEY = re.compile("blobs/" + r"\.".join(f"(?P<{name}>{form.pattern})" for name, form in _FORMS.items()))


def claims_of_key(key: str) -> dict[str, str]:
    """Return the checksums that the key of a blob, of this DSS or another, claims; none for other keys."""
    match = _BLOB_KEY.fullmatch(key)
    return {name: match[name] for name in CHECKSUM_NAMES} if match else {}


def crc32c_of(data: bytes) -> str:
    """Return the CRC-32C of content that is in memory."""
    return f"{google_crc32c.value(data):08x}"


def crc32c_of_joined(pieces: Iterable[tuple[str, int]]) -> str:
    """Return the CRC-32C of pieces of content joined together, from the CRC-32C and size of each."""
    joined = 0
    for crc32c, size in pieces:
        # The register of the pieces before is shifted by as many zero bytes as this piece has.
        for power, operator in enumerate(_crc32c_operators()):
            if size >> power & 1:
                joined = _applied(operator, joined)
        joined ^= int(crc32c, 16)
    return f"{joined:08x}"


@cache
def _crc32c_operators() -> Sequence[Sequence[int]]:
    """Return the effect of 1, 2, 4 and so on zero bytes on a CRC-32C, as matrices over GF(2); up to 2**39."""
    # One bit: shift the register; a bit that falls out of it adds the (reflected) polynomial.
    operator: Sequence[int] = [0x82F63B78, *(1 << bit for bit in range(31))]
    of_bits = [operator := [_applied(operator, row) for row in operator] for _ in range(42)]
    return of_bits[2:]


def _applied(operator: Sequence[int], vector: int) -> int:
    result = 0
    for row in operator:
        if vector & 1:
            result ^= row
        vector >>= 1
    return result


def md5_of(data: bytes) -> str:
    """Return the MD5 of content that is in memory."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def part_size(size: int) -> int:
    """Return the bytes of each part (the last may be shorter) for an object of `size` bytes."""
    if size <= _SMALLEST_PART * _MAX_PARTS:
        return _SMALLEST_PART
    per_part = -(-size // _MAX_PARTS)
    return -(-per_part // MIB) * MIB


def part_count(size: int) -> int:
    """Return the number of parts of an object of `size` bytes; at least one."""
    return max(1, -(-size // part_size(size)))


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

    @classmethod
    def parse(cls, claims: Mapping[str, str]) -> "Checksums":
        """Return the checksums that a mapping of the four names holds, lower-cased.

        Raises InvalidChecksum, which names the checksum that has another form.
        """
        lowered = {name: claims[name].lower() for name in CHECKSUM_NAMES}
        for name, value in lowered.items():
            if not _FORMS[name].fullmatch(value):
                raise InvalidChecksum(f"{name}: {value[:80]!r} does not have the form of a {name}")
        return cls(**lowered)

    def check_computed(self, computed: "Checksums") -> None:
        """Raise InvalidChecksum, which names the claim, unless these claims are what was computed."""
        for name in CHECKSUM_NAMES:
            claim, value = getattr(self, name), getattr(computed, name)
            if claim != value:
                raise InvalidChecksum(f"{name}: {claim!r} is claimed, the content has {value!r}")

    @property
    def blob_key(self) -> str:
        """The key of the blob in each replica's bucket."""
        return f"blobs/{self.sha256}.{self.sha1}.{self.s3_etag}.{self.crc32c}"

    def check_size(self, size: int) -> None:
        """Raise InvalidChecksum if the `s3_etag` is of an object of another number of parts."""
        _, dash, count = self.s3_etag.partition("-")
        parts = int(count) if dash else 1
        if parts != part_count(size):
            raise InvalidChecksum(
                f"s3_etag: {self.s3_etag!r} is of {parts} part(s), an object of {size} bytes has "
                f"{part_count(size)} of {part_size(size)} bytes"
            )


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
        """Return the checksums of the bytes so far."""
        return Checksums(
            sha256=self._sha256.hexdigest(),
            sha1=self._sha1.hexdigest(),
            s3_etag=etag_of_parts([*self._part_md5s, self._part.digest()]),
            crc32c=self._crc32c.digest().hex(),
        )


class ResumableCalculator:
    """Computes the four checksums of content that comes part by part, in any number of processes.

    Its state, less than a KiB, can be stored between two parts of `part_size(size)` bytes. Raises StoreError
    if this Python has no resumable hashes.
    """

    def __init__(self, state: str = "") -> None:
        stored = json.loads(state) if state else {}
        self._hashes = {
            name: ResumableHash(name, base64.b64decode(stored.get(name, "")))
            for name in ("SHA1", "SHA256", "MD5")
        }
        self._crc32c = stored.get("crc32c", 0)
        self._part = hashlib.md5(usedforsecurity=False)
        # How many parts were added.
        self.parts: int = stored.get("parts", 0)

    def update(self, data: bytes) -> None:
        """Add the next bytes of a part."""
        self._hashes["SHA1"].update(data)
        self._hashes["SHA256"].update(data)
        self._crc32c = google_crc32c.extend(self._crc32c, data)
        self._part.update(data)

    def end_part(self) -> None:
        """Note that a part is complete."""
        self._hashes["MD5"].update(self._part.digest())
        self._part = hashlib.md5(usedforsecurity=False)
        self.parts += 1

    def state(self) -> str:
        """Return what continues this calculation, between two parts, when it is passed to the constructor."""
        states = {name: base64.b64encode(each.state()).decode() for name, each in self._hashes.items()}
        return json.dumps({**states, "crc32c": self._crc32c, "parts": self.parts})

    def result(self) -> Checksums:
        """Return the checksums of the parts so far, which must be two or more."""
        return Checksums(
            sha256=self._hashes["SHA256"].digest().hex(),
            sha1=self._hashes["SHA1"].digest().hex(),
            s3_etag=f"{self._hashes['MD5'].digest().hex()}-{self.parts}",
            crc32c=f"{self._crc32c:08x}",
        )


def checksums_of(data: bytes) -> Checksums:
    """Return the checksums of content that is in memory."""
    calculator = ChecksumCalculator(len(data))
    calculator.update(data)
    return calculator.result()
