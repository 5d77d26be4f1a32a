"""Charts of a run: its load and faults by time, its backlog, and how long it takes to recover."""

import io
from collections import Counter
from typing import Any

from tests.chaos.faults import KINDS
from tests.chaos.history import OK, READ, WRITE
from tests.chaos.report import Outcome, percentile

_PERCENT = range(1, 101)
# Seconds of a bar.
_STEP = 5


def draw(outcome: Outcome) -> bytes:
    """Return an SVG of a run."""
    # Only here: imported for the first time on a machine, matplotlib starts processes to find the fonts.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 11), layout="constrained")
    load, faults, backlog, recovery = figure.subplots(4, 1, height_ratios=[3, 4, 2, 4])
    _draw_load(load, outcome)
    _draw_faults(faults, outcome)
    _draw_backlog(backlog, outcome)
    _draw_recovery(recovery, outcome)
    for each in (load, faults, backlog):
        each.set_xlim(0, outcome.seconds + outcome.settled)
    drawn = io.BytesIO()
    # The same run is the same file.
    with mpl.rc_context({"svg.hashsalt": "dss", "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def _draw_load(axes: Any, outcome: Outcome) -> None:
    """Draw how many operations were answered, and how many were not, in each step of time."""
    for label, color, chosen in (
        ("writes acknowledged", "tab:blue", lambda each: each.action == WRITE and each.outcome == OK),
        ("reads answered", "tab:green", lambda each: each.action == READ and each.outcome == OK),
        ("not answered", "tab:red", lambda each: each.outcome not in (OK,) and each.status in (0, 429, 503)),
    ):
        counted = Counter(
            int((each.end - outcome.began) // _STEP) for each in outcome.operations if chosen(each)
        )
        steps = range(int((outcome.seconds + outcome.settled) // _STEP) + 1)
        axes.plot(
            [step * _STEP for step in steps],
            [counted[step] / _STEP for step in steps],
            color=color,
            label=label,
        )
    axes.set_ylabel("a second")
    axes.legend(fontsize="small")
    axes.set_title(f"Load: {outcome.seconds:.0f} s with seed {outcome.seed}")


def _draw_faults(axes: Any, outcome: Outcome) -> None:
    names = [kind.name for kind in KINDS]
    for hit in outcome.hit:
        if hit.what:
            axes.barh(
                names.index(hit.fault.kind),
                max(hit.over - hit.began, 0.5),
                left=hit.began - outcome.began,
                color="tab:red",
                alpha=0.6,
            )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_title("Faults")


def _draw_backlog(axes: Any, outcome: Outcome) -> None:
    rows = outcome.measured.backlog
    axes.fill_between(
        [at - outcome.began for at, _ in rows], [count for _, count in rows], color="tab:orange"
    )
    axes.set_xlabel("seconds")
    axes.set_title("Bundles that are acknowledged, and not yet everywhere with their events")


def _draw_recovery(axes: Any, outcome: Outcome) -> None:
    """Draw the share of times within which something works again."""
    for name, times in outcome.recoveries().items():
        if times:
            axes.step([percentile(times, each) for each in _PERCENT], _PERCENT, where="post", label=name)
    axes.set_xscale("log")
    axes.set_xlabel("seconds")
    axes.set_ylabel("% within")
    axes.legend(fontsize="x-small")
    axes.set_title("Recovery")
