"""`make demo`: start the whole system, upload a bundle, read it from both clouds, stop everything.

`dss demo` does the steps that any deployment takes (`STEPS_ANYWHERE`) with one that runs.

Exit codes: 0 all steps succeeded; 1 the named step failed; 130 Ctrl-C.
"""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.errors import ClientError
from dss.transfer.directory import scan
from local.config import base_environment
from local.demo.program import STEPS, STEPS_ANYWHERE
from local.demo.steps import Scene, Step, StepFailed, amount
from local.errors import LocalError, StartInterrupted
from local.stack import Stack, Stop

# Bytes. moto keeps S3's objects in memory, in 2.5 times their size.
_LARGE = 2 * 1024**3
_TITLE_WIDTH = 22


class Signals:
    """Stops the demo at the first signal; later ones, and those while the system stops, change nothing."""

    def __init__(self) -> None:
        self.stop = Stop()
        self._raises = False

    def __call__(self, number: int, _: object) -> None:
        """Handle a signal."""
        self.stop.request(number)
        if self._raises:
            self._raises = False
            # Not an Exception: a library that retries must not swallow it.
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Make a signal raise KeyboardInterrupt; outside of this block it only sets `stop`."""
        self._raises = True
        try:
            if self.stop.signal:
                raise KeyboardInterrupt
            yield
        finally:
            self._raises = False


class Board:
    """Prints the lines of the demo: number, title, seconds and figures of each step."""

    def __init__(self, title_width: int = _TITLE_WIDTH) -> None:
        self.number = 0
        self.title = ""
        self._width = title_width

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Print the title of a step, and at its end the time and the figures added to the list."""
        self.number += 1
        self.title = title
        print(f"{self.number:>3}  {title:<{self._width}}", end="", flush=True)
        began = time.monotonic()
        figures: list[str] = []
        try:
            yield figures
        except BaseException:
            print(f"{time.monotonic() - began:7.1f} s  not done", flush=True)
            raise
        print(f"{time.monotonic() - began:7.1f} s  {' '.join(figures)}", flush=True)


_data_option = click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Directory to upload and read back  [default: a sample bundle]",
)


@click.command("demo", epilog=examples("dss demo --url https://dss.example.org", "dss demo --data my/data"))
@_data_option
@shared_options
@click.pass_obj
def demo(context: Context, data: Path | None) -> int:
    """Try a DSS that runs: upload a bundle, wait for it in the other cloud, find it, read it back from both.

    Needs a token that may write, and its staging buckets. The bundle has 68 MB, the same each time, and is
    hidden at the end if DSS_ADMIN_TOKEN is set. The exit code is 1 if a step fails, which is named.
    """
    client = context.client()
    env = {**os.environ, "DSS_URL": client.root, "DSS_TOKEN": context.token or ""}
    board = Board()
    with tempfile.TemporaryDirectory(prefix="dss-demo-") as scratch:
        scene = Scene(env=env, scratch=Path(scratch), data=data, shared=True)
        began = time.monotonic()
        try:
            _act(scene, STEPS_ANYWHERE, board)
        except (StepFailed, ClientError, OSError) as error:
            return _failed(board, error)
        _print_end(scene, board, began)
    return 0


@click.command()
@_data_option
def main(data: Path | None) -> None:
    """Start the whole system, upload data, read them from both clouds, and stop."""
    code = run(data)
    sys.stdout.flush()
    sys.stderr.flush()
    if code > 1:
        # Threads that still wait for the stopped system would keep this process alive.
        os._exit(code)
    sys.exit(code)


def run(data: Path | None, steps: Sequence[Step] = STEPS) -> int:
    """Run the steps on a system of its own, print their figures, and return the exit code.

    Replaces this process's signal handlers and environment.
    """
    signals = Signals()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signals)
    board = Board()
    began = time.monotonic()
    try:
        if data:
            _warn_if_large(data)
        scene = _run_steps(data, steps, signals, board)
    except (StartInterrupted, KeyboardInterrupt):
        print(
            f"demo: stopped in step {board.number} ({board.title}); every process has ended", file=sys.stderr
        )
        return 128 + signals.stop.signal
    except (StepFailed, ClientError, LocalError, OSError) as error:
        return _failed(board, error)
    _print_end(scene, board, began)
    return 0


def _failed(board: Board, error: Exception) -> int:
    where = f"step {board.number} ({board.title}) failed: " if board.number else ""
    print(f"demo: {where}{error}", file=sys.stderr)
    return 1


def _print_end(scene: Scene, board: Board, began: float) -> None:
    print(
        f"\nAll {board.number} steps done in {time.monotonic() - began:.1f} s: "
        f"{len(scene.sent)} files, {amount(scene.size)}, byte for byte the same from gcp and from aws."
    )


def _act(scene: Scene, steps: Sequence[Step], board: Board) -> None:
    for step in steps:
        with board.step(step.title) as figures:
            figures.append(step.act(scene))


def _warn_if_large(data: Path) -> None:
    size = sum(file.size for file in scan(data))
    if size > _LARGE:
        print(f"{data} has {amount(size)}; the local S3 needs 2.5 times as much memory.", file=sys.stderr)


def _run_steps(data: Path | None, steps: Sequence[Step], signals: Signals, board: Board) -> Scene:
    started: list[str] = []
    with contextlib.ExitStack() as system:
        with board.step("start the system") as figures:
            env = system.enter_context(Stack(stop=signals.stop, report=started.append).running())
            figures.append(f"{len(started)} components; pages and API are at {env['DSS_URL']}")
        scene = _scene(env, data)
        with signals.raising():
            _act(scene, steps, board)
        with board.step("stop the system") as figures:
            system.close()
            figures.append("no process and no file is left")
    return scene


def _scene(env: dict[str, Any], data: Path | None) -> Scene:
    # The SDKs read the addresses of the emulators from the environment, and must see no real credentials.
    clean = base_environment(os.environ)
    os.environ.clear()
    os.environ.update(clean | env)
    scratch = Path(env["DSS_LOCAL_DATA"]) / "demo"
    scratch.mkdir()
    return Scene(env=env, scratch=scratch, data=data)
