"""Ranges of one file that lie near each other become one request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# On the way to a store, so many more bytes take less time than another request.
MAX_GAP_BYTES = 64 * 1024
# Longer ones are requests of their own, which run at once.
MAX_BATCH_BYTES = 16 * 1024 * 1024


@dataclass
class Batch:
    """The bytes from `start` up to `end`, and which of the wanted ranges they hold."""

    start: int
    end: int
    members: list[int] = field(default_factory=list)


def batches(wanted: Iterable[tuple[int, int]], *, max_gap: int = MAX_GAP_BYTES) -> Sequence[Batch]:
    """Return the requests by which to fetch ranges, each (start, end) with `end` exclusive.

    Those with at most `max_gap` bytes between them are one, as long as it has at most 16 MiB.
    """
    found: list[Batch] = []
    for index, (start, end) in sorted(enumerate(wanted), key=lambda row: row[1]):
        last = found[-1] if found else None
        if last and start <= last.end + max_gap and max(end, last.end) <= last.start + MAX_BATCH_BYTES:
            last.end = max(end, last.end)
        else:
            last = Batch(start, end)
            found.append(last)
        last.members.append(index)
    return found
