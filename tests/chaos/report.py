"""What a run says of itself."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.checks import summary
from tests.chaos.faults import KILL, KINDS, STORM
from tests.chaos.faults.base import Fault
from tests.chaos.history import OK, READ, WRITE, Operation
from tests.chaos.monitor import Measured

_MIB = 2**20
_PERCENT = (50, 90, 99, 100)


@dataclass(frozen=True)
class Hit:
    """A fault that was made: what it has hit, if anything, and when it began and was over."""

    fault: Fault
    what: str
    began: float
    over: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run: its load, its faults with what each has hit, and what is wrong, by check.

    `settled` is in seconds after the last fault; other times are by the clock of the history, on which the
    run `began`.
    """

    seed: int
    seconds: float
    began: float
    hit: Sequence[Hit]
    statuses: Mapping[int, int]
    done: Mapping[str, int]
    operations: Sequence[Operation]
    measured: Measured
    settled: float
    found: Mapping[str, Sequence[str]]

    @property
    def faults(self) -> dict[str, Sequence[str]]:
        """What is wrong, by check; empty if nothing is."""
        return {name: each for name, each in self.found.items() if each}

    def recoveries(self) -> dict[str, list[float]]:
        """Return how long it took, in seconds, until something worked again, by what that is."""
        kills = [hit.began for hit in self.hit if hit.fault.kind == KILL and hit.what]
        storms = [hit.over for hit in self.hit if hit.fault.kind == STORM and hit.what]
        backlogs = (self.measured.recovered(each) for each in storms)
        return {
            "from a kill to the first write that is acknowledged": [*self._until_good(kills, WRITE)],
            "from a kill to the first read that is answered": [*self._until_good(kills, READ)],
            "from the end of a storm to the first write that is acknowledged": [
                *self._until_good(storms, WRITE)
            ],
            "from the end of a storm until all that was acknowledged by then is everywhere": [
                each for each in backlogs if each is not None
            ],
            "from the acknowledgement of a bundle until it is everywhere": [
                done - acknowledged for acknowledged, done in self.measured.settled.values()
            ],
        }

    def _until_good(self, moments: Sequence[float], action: str) -> Iterator[float]:
        """Yield, for each moment, the time to the end of the first good operation that began after it."""
        good = [each for each in self.operations if each.action == action and each.outcome == OK]
        for moment in moments:
            ends = [each.end for each in good if each.start >= moment]
            if ends:
                yield min(ends) - moment


def text(outcome: Outcome) -> str:
    """Return the report for a terminal."""
    made = Counter(hit.fault.kind for hit in outcome.hit if hit.what)
    lines = [
        f"{outcome.seconds:.0f} s with seed {outcome.seed}: {len(outcome.operations)} operations recorded",
        "done: " + ", ".join(f"{count} {name}" for name, count in outcome.done.items()),
        "faults: " + ", ".join(f"{count} {kind}" for kind, count in sorted(made.items())),
        "answers: " + ", ".join(f"{count} of {status}" for status, count in sorted(outcome.statuses.items())),
        f"all settled {outcome.settled:.1f} s after the last fault"
        if not outcome.faults
        else f"not settled after {outcome.settled:.1f} s",
    ]
    lines += [f"WRONG: {name}: {summary(each)}" for name, each in outcome.faults.items()]
    return "\n".join(lines if outcome.faults else [*lines, "Nothing was lost."])


def page(outcome: Outcome) -> str:
    """Return the report as Markdown."""
    targets: dict[str, Counter[str]] = {kind.name: Counter() for kind in KINDS}
    for hit in outcome.hit:
        if hit.what:
            targets[hit.fault.kind][hit.fault.target] += 1
    lines = [
        *("# A run of chaos", "", text(outcome).replace("\n", "\n\n"), "", "## Faults", ""),
        *("| kind | times | what it hit |", "| --- | ---: | --- |"),
        *(f"| {kind} | {hit.total()} | {_listed(hit)} |" for kind, hit in targets.items()),
        *("", "## Recovery", "", "Seconds, by percentile.", ""),
        f"| | times | {' | '.join(f'p{each}' for each in _PERCENT)} |",
        "| --- | ---: |" + " ---: |" * len(_PERCENT),
        *(_row(name, times) for name, times in outcome.recoveries().items()),
        *("", "## Memory", "", "MiB of all processes of a name.", ""),
        *("| process | before | after |", "| --- | ---: | ---: |", *_memory(outcome.measured)),
    ]
    return "\n".join([*lines, ""])


def _listed(hit: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in hit.most_common())


def _row(name: str, times: Sequence[float]) -> str:
    found = [f"{percentile(times, each):.1f}" if times else "" for each in _PERCENT]
    return f"| {name} | {len(times)} | {' | '.join(found)} |"


def percentile(times: Sequence[float], percent: int) -> float:
    """Return the time within which so many percent of some times are."""
    if len(times) == 1 or percent == 100:
        return max(times)
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


def _memory(measured: Measured) -> Iterator[str]:
    if measured.memory:
        (_, before), (_, after) = measured.memory[0], measured.memory[-1]
        for name, size in sorted(after.items(), key=lambda item: -item[1]):
            if size >= 10 * _MIB:
                yield f"| {name} | {before.get(name, 0) / _MIB:.0f} | {size / _MIB:.0f} |"
