"""`make drill`: start a system, have each disaster, end it, and print how long that took.

Exit codes: 0 all is as before; 1 the named step failed; 130 Ctrl-C.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from dss.errors import ClientError
from local.config import base_environment
from local.demo.command import Board, Signals
from local.demo.steps import StepFailed
from local.drill.scenarios import SCENARIOS, Scenario, Step, be_saved, prepare
from local.drill.system import Drill
from local.errors import LocalError, StartInterrupted
from local.stack import Stack

_HEAD = ("| disaster | step | seconds | |", "| --- | --- | --- | --- |")
_Row = tuple[str, str, float, str]


@click.command()
@click.option(
    "--table", type=click.Path(path_type=Path, dir_okay=False), help="Write the table to a file, too."
)
def main(table: Path | None) -> None:
    """Start the whole system, lose and restore its parts one after the other, and print the times."""
    code = run(SCENARIOS, table)
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        # Threads that still wait for the stopped system would keep this process alive.
        os._exit(code)


def run(scenarios: Sequence[Scenario], table: Path | None = None) -> int:
    """Have these disasters on a system of their own, print the steps and the table; return the exit code.

    Replaces this process's signal handlers and environment.
    """
    signals = Signals()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signals)
    board = Board(title_width=34)
    try:
        rows = _run(scenarios, signals, board)
    except (StartInterrupted, KeyboardInterrupt):
        print(f"drill: stopped in step {board.number} ({board.title})", file=sys.stderr)
        return 128 + signals.stop.signal
    except (StepFailed, ClientError, LocalError, OSError) as error:
        print(f"drill: step {board.number} ({board.title}) failed: {error}", file=sys.stderr)
        return 1
    lines = [*_HEAD, *(f"| {title} | {step} | {took:.1f} | {what} |" for title, step, took, what in rows)]
    print("\n" + "\n".join(lines))
    if table:
        table.write_text("\n".join(lines) + "\n")
    return 0


def _run(scenarios: Sequence[Scenario], signals: Signals, board: Board) -> list[_Row]:
    rows: list[_Row] = []
    with contextlib.ExitStack() as system:
        with board.step("start the system"):
            stack = Stack(stop=signals.stop)
            drill = _drill(stack, system.enter_context(stack.running()))
        with signals.raising():
            _do(board, Step("upload, bind, subscribe", prepare), drill)
            _do(board, Step("subscriptions are saved", be_saved), drill)
            for scenario in scenarios:
                print(f"     {scenario.title}")
                for number, step in enumerate(scenario.steps):
                    took, what = _do(board, step, drill)
                    rows.append(("" if number else scenario.title, step.title, took, what))
    return rows


def _do(board: Board, step: Step, drill: Drill) -> tuple[float, str]:
    began = time.monotonic()
    with board.step(step.title) as figures:
        figures.append(step.act(drill))
    return time.monotonic() - began, figures[0]


def _drill(stack: Stack, env: dict[str, str]) -> Drill:
    # The SDKs read the addresses of the emulators from the environment, and must see no real credentials.
    clean = base_environment(os.environ)
    os.environ.clear()
    os.environ.update(clean | env)
    scratch = Path(env["DSS_LOCAL_DATA"]) / "drill"
    scratch.mkdir()
    return Drill(stack=stack, env=env, scratch=scratch)
