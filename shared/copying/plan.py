"""How a large copy is cut into calls of a function, for objects up to 5 TiB; pure arithmetic.

GCS copies within itself by calls that go on where the last one stopped. Everything else goes in parts, cut by
the rule of `shared.checksums`, a batch of parts in a call; what is one part goes whole, with the last step.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.checksums import MIB, part_count, part_size

# GCS and S3: the largest object.
LARGEST_OBJECT = 5 * 1024 * 1024 * MIB
# What one call copies. Cloud Workflows waits 1,800 seconds for an answer: at 2 MiB/s, a tenth of what one
# stream between the clouds gives, a batch takes 1,024. And Cloud Workflows runs 100,000 steps at most: an
# object of 5 TiB is then cut into 3,496 batches, of four steps each.
_BATCH_BYTES = 2048 * MIB


class Way(StrEnum):
    """How the bytes travel."""

    STRETCHES = "stretches"
    PARTS = "parts"
    WHOLE = "whole"


@dataclass(frozen=True)
class Part:
    """A range of an object, numbered from 1."""

    number: int
    first: int
    size: int


@dataclass(frozen=True)
class CopyPlan:
    """What is to be done, in batches numbered from 0, in any order and side by side."""

    size: int
    way: Way
    batches: int

    def parts(self, batch: int) -> list[Part]:
        """Return the parts of a batch; none of a batch that the plan does not have."""
        if self.way is not Way.PARTS or batch < 0:
            return []
        per_batch = _parts_a_batch(self.size)
        first = batch * per_batch + 1
        last = min(first + per_batch - 1, part_count(self.size))
        return [part_of(self.size, number) for number in range(first, last + 1)]


def plan_copy(size: int, *, same_store: bool, copies_in_parts: bool) -> CopyPlan:
    """Return how an object of `size` bytes is copied.

    `copies_in_parts` is the store's own word on copies within it. Raises ValueError for a size that no store
    takes.
    """
    if not 0 <= size <= LARGEST_OBJECT:
        raise ValueError(f"an object of {size} bytes fits into no store")
    if same_store and not copies_in_parts:
        return CopyPlan(size, Way.STRETCHES, 1)
    if part_count(size) == 1:
        # Of an object that came as an upload of one part, S3's ETag is not the MD5 that proves it.
        return CopyPlan(size, Way.WHOLE, 0)
    return CopyPlan(size, Way.PARTS, -(-part_count(size) // _parts_a_batch(size)))


def part_of(size: int, number: int) -> Part:
    """Return a part of an object of `size` bytes."""
    per_part = part_size(size)
    first = (number - 1) * per_part
    return Part(number, first, min(per_part, size - first))


def _parts_a_batch(size: int) -> int:
    return max(1, _BATCH_BYTES // part_size(size))
