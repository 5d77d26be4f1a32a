"""How a large copy is cut into calls of a function, for objects up to 5 TiB; pure arithmetic.

GCS copies within itself by calls that continue where the last one stopped. All other copies are of parts, cut
by the rule of `shared.checksums`, a batch of parts in a call; an object of one part is copied whole, by the
last step.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.checksums import MIB, part_count, part_size

# GCS and S3: the largest object.
LARGEST_OBJECT = 5 * 1024 * 1024 * MIB
# What one call copies. Cloud Workflows waits 1,800 seconds for an answer: at 2 MiB/s, a tenth of the speed of
# one stream between the clouds, a batch takes 1,024. And Cloud Workflows runs 100,000 steps at most: an
# object of 5 TiB is cut into 3,496 batches, of four steps each.
_BATCH_BYTES = 2048 * MIB


class Way(StrEnum):
    """How the bytes are copied."""

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
    """The batches of a copy, numbered from 0, to be done in any order and side by side."""

    size: int
    way: Way
    batches: int

    def parts(self, batch: int) -> list[Part]:
        """Return the parts of a batch; none if the plan has no such batch."""
        if self.way is not Way.PARTS or batch < 0:
            return []
        per_batch = _parts_a_batch(self.size)
        first = batch * per_batch + 1
        last = min(first + per_batch - 1, part_count(self.size))
        return [part_of(self.size, number) for number in range(first, last + 1)]


def plan_copy(size: int, *, in_stretches: bool) -> CopyPlan:
    """Return how an object of `size` bytes is copied: in stretches if it can be, else in parts or whole.

    `in_stretches` is true for a copy within a store that `CopiesStretches`. Raises ValueError for a size that
    no store takes.
    """
    if not 0 <= size <= LARGEST_OBJECT:
        raise ValueError(f"size: {size} bytes; an object has from 0 to {LARGEST_OBJECT}")
    if in_stretches:
        return CopyPlan(size, Way.STRETCHES, 1)
    if part_count(size) == 1:
        # The S3 ETag of an upload of one part is not the MD5 that proves its content.
        return CopyPlan(size, Way.WHOLE, 0)
    return CopyPlan(size, Way.PARTS, -(-part_count(size) // _parts_a_batch(size)))


def part_of(size: int, number: int) -> Part:
    """Return a part of an object of `size` bytes."""
    per_part = part_size(size)
    first = (number - 1) * per_part
    return Part(number, first, min(per_part, size - first))


def all_parts(size: int) -> list[Part]:
    """Return all parts of an object of `size` bytes."""
    return [part_of(size, number) for number in range(1, part_count(size) + 1)]


def _parts_a_batch(size: int) -> int:
    return max(1, _BATCH_BYTES // part_size(size))
