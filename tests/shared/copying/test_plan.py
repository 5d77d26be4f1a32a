"""A plan keeps within the limits of both clouds and of Cloud Workflows, for every object up to 5 TiB."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.checksums import MIB, part_count
from shared.copying.plan import LARGEST_OBJECT, Way, part_of, plan_copy

SIZES = st.one_of(
    st.integers(0, LARGEST_OBJECT),
    # Around the sizes at which the number or the size of parts changes.
    st.builds(
        lambda parts, off: max(0, min(LARGEST_OBJECT, parts * 64 * MIB + off)),
        st.integers(0, 10_001),
        st.integers(-1, 1),
    ),
)
STREAMED_BYTES_A_SECOND = 2 * MIB


def edges(test):
    for size in (0, 1, 64 * MIB, 64 * MIB + 1, 640_000 * MIB, 640_000 * MIB + 1, LARGEST_OBJECT):
        test = example(size=size)(test)
    return test


@edges
@given(size=SIZES)
def test_parts_keep_to_the_limits_of_s3_and_gcs(size):
    count = part_count(size)
    first, last = part_of(size, 1), part_of(size, count)
    # S3: 10,000 parts of 5 MiB to 5 GiB, the last of any size. GCS: a composed object of 5 TiB.
    assert 1 <= count <= 10_000
    assert first.size <= 5 * 1024 * MIB
    assert count == 1 or first.size >= 5 * MIB
    assert last.first + last.size == size
    # GCS: compose takes 32 objects at a time; three levels suffice.
    assert count <= 32**3


@edges
@given(size=SIZES)
def test_batches_keep_to_the_limits_of_cloud_workflows(size):
    plan = plan_copy(size, in_stretches=False)
    # 100,000 steps an execution. A batch takes six where nothing fails: its call, the function's call and
    # answer, the look at it, and the iteration itself.
    assert plan.batches * 6 + 20 <= 100_000 * 0.4
    largest = plan.parts(0) or [part_of(size, 1)]
    assert sum(part.size for part in largest) / STREAMED_BYTES_A_SECOND <= 1800


@given(size=st.integers(64 * MIB + 1, 200 * 1024 * MIB), wanted=st.data())
def test_batches_cover_the_object_once_and_in_order(size, wanted):
    plan = plan_copy(size, in_stretches=False)
    assert plan.way is Way.PARTS
    numbers = [part.number for batch in range(plan.batches) for part in plan.parts(batch)]
    assert numbers == list(range(1, part_count(size) + 1))
    batch = wanted.draw(st.integers(0, plan.batches - 1))
    parts = plan.parts(batch)
    assert parts
    pairs = itertools.pairwise(parts)
    assert all(after.first == before.first + before.size for before, after in pairs)
    assert plan.parts(plan.batches) == plan.parts(-1) == []


def test_a_store_that_copies_in_stretches_copies_all_sizes_so():
    assert plan_copy(LARGEST_OBJECT, in_stretches=True).way is Way.STRETCHES
    assert plan_copy(1, in_stretches=True).way is Way.STRETCHES
    assert plan_copy(LARGEST_OBJECT, in_stretches=False).way is Way.PARTS


@pytest.mark.parametrize("size", [0, 1, 64 * MIB])
def test_an_object_of_one_part_is_copied_whole(size):
    plan = plan_copy(size, in_stretches=False)
    assert (plan.way, plan.batches, plan.parts(0)) == (Way.WHOLE, 0, [])


@pytest.mark.parametrize("size", [-1, LARGEST_OBJECT + 1])
def test_what_no_store_takes_has_no_plan(size):
    with pytest.raises(ValueError, match="an object has from 0 to"):
        plan_copy(size, in_stretches=False)
