"""A run in phases, each of which is split by key range into shards that are worked on side by side.

The run itself is worked on between the phases: its cursor is `{"phase": name, "shards": number}`. Each shard
has a document of `admin_run_shards`, with its own cursor and counts, and parts of the report of its own. A
phase is over when all of its shards are; the run then takes their counts, once, and goes on to the next one.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.catalog import AdminRun
from shared.errors import IllegalArguments
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.maintenance.spans import Span, spans
from shared.system import Dss

# Cloud Workflows: 20 iterations at once at most. https://cloud.google.com/workflows/quotas
MOST_SHARDS = 20
# Unless an argument says how many: a shard for each so many files, and not all that Workflows allows, so that
# other runs go on beside.
_FILES = 50_000
USUAL_SHARDS = 16


@dataclass(frozen=True)
class Phase:
    """A part of a run that begins when the one before is over; `split`: by key range."""

    name: str
    split: bool = True


# Returns the phase after one, given the results of the latter; the first one after None; None at the end.
Following = Callable[[Phase | None, Mapping[str, int]], Phase | None]


def shards_option(dss: Dss, argument: Argument) -> int:
    """Return the option `shards`; by default as many as the files that the catalog has are worth."""
    chosen = argument.number("shards", 0, least=0, most=MOST_SHARDS)
    return chosen or 1 + dss.catalog.scan.file_count(most=(USUAL_SHARDS - 1) * _FILES) // _FILES


def open_shards(run: AdminRun) -> int:
    """Return the number of shards of the phase of a run; 0 if it has none."""
    return 0 if run.over else int(run.cursor.get("shards", 0))


def advance(dss: Dss, run: AdminRun, page: Page, following: Following) -> dict[str, Any] | None:
    """Go on to the next phase if this one is over; return the run's cursor, as `JobType.work` does."""
    results: Counter[str] = Counter()
    phase = None
    if open_shards(run):
        shards = _known(dss, run)
        if len(shards) < open_shards(run) or not all(shard.over for shard in shards.values()):
            return dict(run.cursor)
        for shard in shards.values():
            page.counts.update(shard.counts)
            results.update(shard.result)
        phase = Phase(run.cursor["phase"])
    coming = following(phase, results)
    if coming is None:
        return None
    number = int(run.cursor.get("number", 0)) + 1
    shards_of_it = run.options["shards"] if coming.split else 1
    return {"phase": coming.name, "number": number, "shards": shards_of_it}


def shard_of(dss: Dss, run: AdminRun, number: int) -> AdminRun:
    """Return a shard of the phase of a run, as a run whose options say what it is; a new one at first.

    Raises IllegalArguments if there is none of this number.
    """
    if not 0 <= number < open_shards(run):
        raise IllegalArguments(f"shard: run {run.id} has {open_shards(run)} now, not one of number {number}")
    name = _name(run, number)
    options = {**run.options, "phase": run.cursor["phase"]}
    known = dss.catalog.run_shards.get(name)
    shard = known or dss.catalog.run_shards.begin(name, run.kind, options, run.execution)
    return replace(shard, options={**options, "span": spans(open_shards(run))[number]})


def part_of(run: AdminRun, number: int, part: int) -> str:
    """Return the name of a part of the report of a shard; sorts in order of phases and key ranges."""
    return f"part-{run.cursor['number']:02d}-{number:03d}-{part:06d}"


def counts_so_far(dss: Dss, run: AdminRun) -> Mapping[str, int]:
    """Return the counts of a run with those of the phase that is under way; a read for each shard."""
    counts = Counter(run.counts)
    for shard in _known(dss, run).values():
        counts.update(shard.counts)
    return counts


def span_of(shard: AdminRun) -> Span:
    """Return the key range of a shard."""
    span: Span = shard.options["span"]
    return span


def _known(dss: Dss, run: AdminRun) -> Mapping[str, AdminRun]:
    return dss.catalog.run_shards.get_many(_name(run, number) for number in range(open_shards(run)))


def _name(run: AdminRun, number: int) -> str:
    return f"{run.id}.{run.cursor['number']}.{number}"
