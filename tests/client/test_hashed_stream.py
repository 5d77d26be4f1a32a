"""A file that is hashed while it is sent has the checksums of its bytes, however often it is sent again."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.checksums import ChecksumCalculator
from dss.errors import ContentChanged
from dss.transfer.hashed_stream import hashed

CONTENT = random.Random(5).randbytes(1000)


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.floats(0, 1)),
    )
)
def test_each_byte_counts_once(steps: list[tuple[int, float]]) -> None:
    expected = ChecksumCalculator(len(CONTENT))
    expected.update(CONTENT)

    with hashed(io.BytesIO(CONTENT), len(CONTENT)) as stream:
        for size, back in steps:
            stream.read(size)
            # As a library does that sends again what did not arrive.
            stream.seek(int(stream.tell() * back))
        while stream.read(333):
            pass
        assert stream.result() == expected.result()


def test_a_file_that_shrinks_is_noticed() -> None:
    with hashed(io.BytesIO(CONTENT[:-1]), len(CONTENT)) as stream, pytest.raises(ContentChanged):
        stream.read()
        stream.result()
