"""Named objects of commands, and the report of what each of them is."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.report import FindingsReport


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a named object is on a replica, or what became of it: a word, which is counted, and why.

    `is_right` if nothing is left to be done; `more` is reported beside.
    """

    key: str
    replica: str
    state: str
    why: str = ""
    is_right: bool = False
    more: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def named(keys: Sequence[str], list_: Path | None) -> Iterator[Iterator[str]]:
    """Give the keys, and those of a list, a line each, lazily. Raise InvalidInput if there is neither."""
    if not keys and list_ is None:
        raise InvalidInput("no keys: give some, or --list FILE (- is standard input)")
    with ExitStack() as stack:
        lines: Iterable[str] = ()
        if list_ is not None:
            # Standard input is not ours to close.
            is_input = str(list_) == "-"
            lines = sys.stdin if is_input else stack.enter_context(list_.open(encoding="utf-8"))
        yield filter(None, (line.strip() for line in chain(keys, lines)))


def report_outcomes(
    context: Context, outcomes: Iterable[Outcome], path: Path | None = None, *, dry_run: bool = False
) -> int:
    """Count outcomes, and show those of which something is to be said. Return 1 if one is not right, else 0.

    A report file at `path` gets all of these.
    """
    counts: Counter[str] = Counter()
    wrong = 0
    with FindingsReport(path, _as_json) as lines, context.progress("objects", unit="objects") as progress:
        for number, outcome in enumerate(outcomes, start=1):
            counts[outcome.state] += 1
            wrong += not outcome.is_right
            if outcome.why:
                lines.add(outcome)
            progress.reach(number, f"{wrong:,} not right")
        result = lines.finish({"dry_run": dry_run, "wrong": wrong, **dict(sorted(counts.items()))})
    said = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
    context.show(result, "\n".join([*map(_line, lines.first), said or "nothing was named"]))
    return 1 if wrong else 0


def _as_json(outcome: Outcome) -> dict[str, Any]:
    about = {"key": outcome.key, "replica": outcome.replica, "state": outcome.state, "why": outcome.why}
    return {**about, **outcome.more}


def _line(outcome: Outcome) -> str:
    more = "".join(f"; {name}: {text}" for name, text in outcome.more.items())
    return f"{outcome.state} on {outcome.replica}: {outcome.key}: {outcome.why}{more}"
