"""The four checksums agree with independent implementations, and the parts with S3's limits."""

import hashlib
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.checksums import (
    MIB,
    ChecksumCalculator,
    Checksums,
    checksums_of,
    crc32c_of,
    crc32c_of_joined,
    etag_of_parts,
    part_count,
    part_size,
)
from shared.errors import InvalidChecksum

TIB = 1024 * 1024 * MIB


@given(st.integers(0, 5 * TIB))
def test_parts_keep_to_the_limits_of_s3(size):
    assert part_count(size) <= 10_000
    # S3: a part other than the last has 5 MiB at least and 5 GiB at most.
    assert 5 * MIB <= part_size(size) <= 5 * 1024 * MIB
    assert part_size(size) * (part_count(size) - 1) < max(size, 1) <= part_size(size) * part_count(size)


@pytest.mark.parametrize(
    ("size", "parts", "each"),
    [
        (0, 1, 64 * MIB),
        (64 * MIB, 1, 64 * MIB),
        (64 * MIB + 1, 2, 64 * MIB),
        (640_000 * MIB, 10_000, 64 * MIB),
        (640_000 * MIB + 1, 9847, 65 * MIB),
        (5 * TIB, 9987, 525 * MIB),
    ],
)
def test_objects_are_cut_as_the_tools_of_the_hca_cut_them(size, parts, each):
    assert (part_count(size), part_size(size)) == (parts, each)


def crc32c_bit_by_bit(data: bytes) -> str:
    """CRC-32C as RFC 3720 defines it, one bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return f"{crc ^ 0xFFFFFFFF:08x}"


@given(st.lists(st.binary(max_size=200)))
def test_checksums_do_not_depend_on_how_the_content_arrives(chunks):
    data = b"".join(chunks)
    calculator = ChecksumCalculator(len(data))
    for chunk in chunks:
        calculator.update(chunk)
    assert calculator.result() == checksums_of(data)
    assert calculator.result() == Checksums(
        sha256=hashlib.sha256(data).hexdigest(),
        sha1=hashlib.sha1(data).hexdigest(),
        s3_etag=hashlib.md5(data).hexdigest(),
        crc32c=crc32c_bit_by_bit(data),
    )


def test_crc32c_is_not_the_crc32_of_zip():
    assert checksums_of(b"123456789").crc32c == "e3069283" != f"{zlib.crc32(b'123456789'):08x}"


def test_the_crc32c_of_contents_one_after_the_other_is_known_without_them():
    pieces = [b"", b"a", os.urandom(1000), b"\0" * 70_001, b"", b"end"]
    known = [(crc32c_of(piece), len(piece)) for piece in pieces]

    assert crc32c_of_joined(known) == crc32c_of(b"".join(pieces))
    assert crc32c_of_joined([]) == crc32c_of(b"")


@pytest.mark.parametrize("extra", [0, 1, 5 * MIB])
def test_content_of_several_parts_has_the_etag_of_a_multipart_upload(extra):
    data = bytes(64 * MIB) + b"x" * extra
    digests = [hashlib.md5(data[: 64 * MIB]).digest()]
    if extra:
        digests.append(hashlib.md5(data[64 * MIB :]).digest())
        expected = f"{hashlib.md5(b''.join(digests)).hexdigest()}-2"
    else:
        expected = digests[0].hex()
    assert checksums_of(data).s3_etag == expected == etag_of_parts(digests)
    checksums_of(data).check_size(len(data))


def claims(**changed: str) -> dict[str, str]:
    plain = checksums_of(b"some content")
    return {
        "sha256": plain.sha256,
        "sha1": plain.sha1,
        "s3_etag": plain.s3_etag,
        "crc32c": plain.crc32c,
        **changed,
    }


def test_claims_in_upper_case_are_taken_in_lower_case():
    upper = {name: value.upper() for name, value in claims().items()}
    assert Checksums.parse(upper) == checksums_of(b"some content")


@pytest.mark.parametrize("name", ["sha256", "sha1", "s3_etag", "crc32c"])
@pytest.mark.parametrize(
    "value", ["", "g" * 32, "0" * 31, "0" * 65, "0" * 32 + "-1", "0" * 32 + "-10001", "\uff10" * 8]
)
def test_a_checksum_of_another_form_is_refused_by_its_name(name, value):
    with pytest.raises(InvalidChecksum, match=name):
        Checksums.parse(claims(**{name: value}))


def test_an_etag_of_another_number_of_parts_contradicts_the_size():
    with pytest.raises(InvalidChecksum, match="s3_etag"):
        Checksums.parse(claims(s3_etag="0" * 32 + "-2")).check_size(12)
    with pytest.raises(InvalidChecksum, match="s3_etag"):
        Checksums.parse(claims()).check_size(64 * MIB + 1)
