"""Slices of the list of an import, and where they are kept.

A slice is one object in the bucket of the reports: lines about what is wrong, and then the rows of each shard
together, so that a shard reads no others.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from shared.catalog import ImportJob, ListSlice
from shared.errors import DssError, Unprocessable
from shared.imports.rows import Row, failure, shard
from shared.jobs.reports import Reports, as_line
from shared.system import Dss

# Rows of a slice: some MiB in memory.
SLICE_ROWS = 5_000
# Where, in a slice, the lines about what is wrong are.
WRONG = -1
# Objects of one import: a shard then has some 16,000 rows in memory.
MOST_OBJECTS = 1_000_000
# Bytes of the rows of a shard, of some 400 bytes each. As objects they take three times as much memory.
_MOST_BYTES = 128 * 1024**2


@dataclass(kw_only=True)
class Slice:
    """What a step has listed: rows, what is wrong, and where the next slice begins; None at the end."""

    rows: list[Row] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    cursor: dict[str, Any] | None = None

    def add(self, row: Row) -> None:
        """Add an object that can be imported."""
        self.rows.append(row)
        self.counts.update(objects=1, bytes=row.size, indexed=int(row.indexed))

    def refuse(self, what: str, error: DssError) -> None:
        """Add what can't be imported, and why."""
        self.wrong.append(failure(what, error.title, code=error.code))
        self.counts.update(wrong=1)


def write_slice(dss: Dss, job: ImportJob, found: Slice) -> ImportJob:
    """Write a slice, and note it; return the import as it then is. One that was written before stays."""
    lines, offsets = _laid_out(found)
    counts = Counter(job.counts)
    counts.update(found.counts)
    state = {
        "offsets": {str(key): where for key, where in offsets.items()},
        "changes": {
            "cursor": found.cursor or {},
            "listed": found.cursor is None,
            "counts": dict(counts),
            "shards": sorted({*job.shards, *(key for key in offsets if key != WRONG)}),
        },
    }
    if counts["objects"] > MOST_OBJECTS:
        raise Unprocessable(f"more than {MOST_OBJECTS:,} objects: import them in parts, folder by folder")
    number = job.slices + 1
    written = Reports(dss).write(job, slice_name(number), lines, state)
    dss.faults.reach("import: slice written")
    pieces = ListSlice(offsets={int(key): tuple(where) for key, where in written["offsets"].items()})
    return dss.catalog.imports.add_slice(job, number, pieces, written["changes"])


def _laid_out(found: Slice) -> tuple[list[bytes], dict[int, tuple[int, int]]]:
    """Return the lines of a slice, and where those of each shard are."""
    by_shard: dict[int, list[bytes]] = defaultdict(list)
    for row in found.rows:
        by_shard[shard(row)].append(row.as_line())
    groups = {WRONG: [as_line(line) for line in found.wrong], **dict(sorted(by_shard.items()))}
    offsets, first, lines = {}, 0, []
    for key, group in groups.items():
        if group:
            size = sum(len(line) + 1 for line in group)
            offsets[key] = (first, size)
            first += size
            lines += group
    return lines, offsets


def slice_name(number: int) -> str:
    """Return the name of a slice's part."""
    return f"list-{number:06d}"


def rows_of(dss: Dss, job: ImportJob, number: int) -> list[Row]:
    """Return the rows of a shard, in order; a read of a bucket for each slice that has some.

    Raises Unprocessable if they don't fit into memory: bundles may not have so many files.
    """
    pieces = sorted(dss.catalog.imports.slices(job).items())
    mine = [(index, piece.offsets[number]) for index, piece in pieces if number in piece.offsets]
    if sum(size for _, (_, size) in mine) > _MOST_BYTES:
        raise Unprocessable(
            "one of its bundles would have some 300,000 files or more: make several, by --depth"
        )
    reports = Reports(dss)
    return [
        Row.of_line(line)
        for index, where in mine
        for line in reports.read(job, slice_name(index), *where).splitlines()
    ]
