"""What a run says of itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.checks import summary
from tests.chaos.schedule import Fault

_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run: its load, its faults with what each has hit, and what is wrong, by check.

    `settled` is in seconds after the last fault; `memory` are the bytes before and after, by process.
    """

    seed: int
    seconds: float
    hit: Sequence[tuple[Fault, str]]
    statuses: Mapping[int, int]
    operations: int
    bundles: int
    deleted: int
    contested: int
    checkouts: int
    settled: float
    memory: Mapping[str, tuple[int, int]]
    found: Mapping[str, Sequence[str]]

    @property
    def faults(self) -> dict[str, Sequence[str]]:
        """What is wrong, by check; empty if nothing is."""
        return {name: each for name, each in self.found.items() if each}


def text(outcome: Outcome) -> str:
    """Return the report for a terminal."""
    made = Counter(fault.kind for fault, hit in outcome.hit if hit)
    lines = [
        f"{outcome.seconds:.0f} s with seed {outcome.seed}: {outcome.bundles} bundles acknowledged, "
        f"{outcome.deleted} deleted, {outcome.contested} contested, {outcome.checkouts} checkouts, "
        f"{outcome.operations} operations recorded",
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
    kinds: dict[tuple[str, str], int] = Counter(
        (fault.kind, fault.target) for fault, hit in outcome.hit if hit
    )
    lines = [
        *("# A run of chaos", "", text(outcome).replace("\n", "\n\n"), "", "## Faults", ""),
        *("| kind | target | times |", "| --- | --- | ---: |"),
        *(f"| {kind} | {target} | {count} |" for (kind, target), count in sorted(kinds.items())),
        *("", "## Memory", "", "MiB of all processes of a name.", ""),
        *("| process | before | after |", "| --- | ---: | ---: |"),
        *(
            f"| {name} | {before / _MIB:.0f} | {after / _MIB:.0f} |"
            for name, (before, after) in sorted(outcome.memory.items())
        ),
    ]
    return "\n".join([*lines, ""])
