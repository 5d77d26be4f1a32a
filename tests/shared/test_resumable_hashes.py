"""A hash that was stored half-way and continued elsewhere is the hash of the whole."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.checksums import MIB, ResumableCalculator, checksums_of, part_size
from shared.resumable_hashes import ResumableHash
from tests.support.copies import SMALL_PART


@pytest.mark.parametrize("algorithm", ["MD5", "SHA1", "SHA256"])
@given(pieces=st.lists(st.binary(max_size=300), max_size=6))
def test_a_hash_is_continued_from_its_state_at_any_byte(algorithm: str, pieces: list[bytes]) -> None:
    state = b""
    for piece in pieces:
        continued = ResumableHash(algorithm, state)
        continued.update(piece)
        state = continued.state()
        # A digest does not end the hash.
        continued.digest()
        assert continued.state() == state
    expected = hashlib.new(algorithm.lower(), b"".join(pieces)).digest()
    assert ResumableHash(algorithm, state).digest() == expected


@pytest.mark.usefixtures("small_parts")
def test_the_four_checksums_are_continued_from_part_to_part() -> None:
    data = bytes(range(256)) * (2 * SMALL_PART // 256 + 4096)
    state = ""
    for first in range(0, len(data), part_size(len(data))):
        calculator = ResumableCalculator(state)
        part = data[first : first + part_size(len(data))]
        calculator.update(part[:MIB])
        calculator.update(part[MIB:])
        calculator.end_part()
        state = calculator.state()
    assert len(state) < 1024
    assert ResumableCalculator(state).result() == checksums_of(data)


@pytest.mark.parametrize("state", [b"x", b"x" * 200])
def test_a_state_of_another_size_is_refused(state):
    with pytest.raises(ValueError, match="bytes are not the state of SHA256"):
        ResumableHash("SHA256", state)
