"""`make demo`: the whole system starts, a bundle goes in and comes out of both clouds, everything stops.

Exit codes: 0 all steps did what they show; 1 one did not, and is named; 130 Ctrl-C.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from dss.errors import ClientError
from dss.transfer.directory import scan
from local.config import base_environment
from local.demo.program import STEPS
from local.demo.steps import Scene, Step, StepFailed, amount
from local.errors import LocalError, StartInterrupted
from local.stack import Stack, Stop

# moto keeps S3's objects in memory, two and a half times their size.
_LARGE = 2 * 1024**3
_TITLE_WIDTH = 22


class Signals:
    """Ends the demo once, cleanly: what comes while the system stops, or again, changes nothing."""

    def __init__(self) -> None:
        self.stop = Stop()
        self._raises = False

    def __call__(self, number: int, _: object) -> None:
        """Take a signal."""
        self.stop.request(number)
        if self._raises:
            self._raises = False
            # No Exception: a library that tries again after one must not swallow it.
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt at once; outside of this only `stop` knows of it."""
        self._raises = True
        try:
            if self.stop.signal:
                raise KeyboardInterrupt
            yield
        finally:
            self._raises = False


class Board:
    """The lines that the demo prints: number, title, seconds and figures of each step."""

    def __init__(self) -> None:
        self.number = 0
        self.title = ""

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Print a step's title, and when it is done its time, and the figures put into the list."""
        self.number += 1
        self.title = title
        print(f"{self.number:>3}  {title:<{_TITLE_WIDTH}}", end="", flush=True)
        began = time.monotonic()
        figures: list[str] = []
        try:
            yield figures
        except BaseException:
            print(f"{time.monotonic() - began:7.1f} s  not done", flush=True)
            raise
        print(f"{time.monotonic() - began:7.1f} s  {' '.join(figures)}", flush=True)


@click.command()
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Directory to put in and get back  [default: a sample bundle]",
)
def main(data: Path | None) -> None:
    """Start the whole system, put data in, get them back from both clouds, and stop."""
    code = run(data)
    sys.stdout.flush()
    sys.stderr.flush()
    if code > 1:
        # Threads that still wait for a system that is no more would keep this process.
        os._exit(code)
    sys.exit(code)


def run(data: Path | None, steps: Sequence[Step] = STEPS) -> int:
    """Run the steps against a system of its own, print what they do, and return the exit code.

    Takes over this process's signals and environment.
    """
    signals = Signals()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signals)
    board = Board()
    began = time.monotonic()
    try:
        if data:
            _look_at(data)
        scene = _show(data, steps, signals, board)
    except (StartInterrupted, KeyboardInterrupt):
        print(f"demo: stopped in step {board.number} ({board.title}); nothing runs any more", file=sys.stderr)
        return 128 + signals.stop.signal
    except (StepFailed, ClientError, LocalError, OSError) as error:
        where = f"step {board.number} ({board.title}) failed: " if board.number else ""
        print(f"demo: {where}{error}", file=sys.stderr)
        return 1
    print(
        f"\nAll {board.number} steps done in {time.monotonic() - began:.1f} s: "
        f"{len(scene.sent)} files, {amount(scene.size)}, byte for byte the same from gcp and from aws."
    )
    return 0


def _look_at(data: Path) -> None:
    size = sum(file.size for file in scan(data))
    if size > _LARGE:
        print(f"{data} holds {amount(size)}: S3's stand-in keeps that in memory, 2.5 times.", file=sys.stderr)


def _show(data: Path | None, steps: Sequence[Step], signals: Signals, board: Board) -> Scene:
    started: list[str] = []
    with contextlib.ExitStack() as system:
        with board.step("start the system") as figures:
            env = system.enter_context(Stack(stop=signals.stop, report=started.append).running())
            figures.append(f"{len(started)} components; the API is at {env['DSS_URL']}")
        scene = _scene(env, data)
        with signals.raising():
            for step in steps:
                with board.step(step.title) as figures:
                    figures.append(step.act(scene))
        with board.step("stop the system") as figures:
            system.close()
            figures.append("no process and no file is left")
    return scene


def _scene(env: dict[str, Any], data: Path | None) -> Scene:
    # The SDKs read the addresses of their clouds from the environment, and nothing else of it may reach them.
    clean = base_environment(os.environ)
    os.environ.clear()
    os.environ.update(clean | env)
    scratch = Path(env["DSS_LOCAL_DATA"]) / "demo"
    scratch.mkdir()
    return Scene(env=env, scratch=scratch, data=data)
