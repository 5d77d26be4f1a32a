"""The client's checksums are those of the service."""

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

import dss.checksums
import shared.checksums

MIB = 1024 * 1024


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_both_compute_the_same_four_checksums(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    calculator = dss.checksums.ChecksumCalculator(len(data))

    for piece in pieces:
        calculator.update(piece)

    assert asdict(calculator.result()) == asdict(shared.checksums.checksums_of(data))


def test_both_cut_large_content_in_the_same_parts() -> None:
    size = 64 * MIB + 3
    chunk = bytes(range(256)) * 4096
    mine, theirs = dss.checksums.ChecksumCalculator(size), shared.checksums.ChecksumCalculator(size)

    for start in range(0, size, MIB):
        piece = chunk[: min(MIB, size - start)]
        mine.update(piece)
        theirs.update(piece)

    assert asdict(mine.result()) == asdict(theirs.result())
    assert mine.result().s3_etag.endswith("-2")


@given(st.integers(0, 50 * 1024 * 1024 * MIB))
def test_both_have_the_same_part_size(size: int) -> None:
    assert dss.checksums.part_size(size) == shared.checksums.part_size(size)


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=20))
def test_both_join_the_checksums_of_parts_alike(md5s: list[bytes]) -> None:
    assert dss.checksums.etag_of_parts(md5s) == shared.checksums.etag_of_parts(md5s)


def test_both_have_the_same_names() -> None:
    assert dss.checksums.CHECKSUM_NAMES == shared.checksums.CHECKSUM_NAMES
