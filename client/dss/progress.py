"""Progress on stderr: a bar for a person who watches, lines for a log, nothing for a program that reads."""

import sys
import threading
import time
from types import TracebackType
from typing import Any, Literal

# Seconds between two lines of progress in a log.
_LINE_SECONDS = 5

Unit = Literal["bytes", "files", "objects", "bundles", "slices"]


class Progress:
    """How far some work has come, up to `total` (None if unknown) of a unit. Threads may report at once.

    Draws a bar if stderr is a terminal, prints a line every few seconds if not, and shows nothing if `quiet`.
    """

    def __init__(
        self, title: str = "", *, unit: Unit = "bytes", total: int | None = None, quiet: bool = False
    ) -> None:
        self._title = title
        self._unit = unit
        self._total = total
        self._quiet = quiet
        self._done = self._files = self._files_done = 0
        self._status = ""
        self._last_line = time.monotonic()
        self._lock = threading.Lock()
        self._bar = None if quiet or not sys.stderr.isatty() else _Bar(title, unit, total)

    def expect(self, total: int, *, files: int = 0) -> None:
        """Set the total, and the number of files that it comes from."""
        with self._lock:
            self._total, self._files = total, files
            self._show()

    def advance(self, amount: int) -> None:
        """Add to what is done; a negative amount has to be done again."""
        with self._lock:
            self._done += amount
            self._show()

    def file_done(self) -> None:
        """Count one more file as done."""
        with self._lock:
            self._files_done += 1
            self._status = f"{self._files_done}/{self._files} files"
            self._show()

    def reach(self, done: int, status: str) -> None:
        """Set what is done so far, and a text that says what came of it."""
        with self._lock:
            self._done, self._status = done, status
            self._show()

    def note(self, line: str) -> None:
        """Print a line for the user, above the bar if there is one."""
        if self._bar:
            self._bar.print(line)
        elif not self._quiet:
            print(line, file=sys.stderr, flush=True)

    def _show(self) -> None:
        if self._bar:
            self._bar.update(self._done, self._total, self._status)
        elif not self._quiet and time.monotonic() - self._last_line > _LINE_SECONDS:
            self._last_line = time.monotonic()
            of = f" of {self._total:,}" if self._total is not None else ""
            status = f"; {self._status}" if self._status else ""
            print(f"{self._title}: {self._done:,}{of} {self._unit}{status}", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands, and the terminal as it was."""
        if self._bar:
            self._bar.stop()


class _Bar:
    def __init__(self, title: str, unit: Unit, total: int | None) -> None:
        # rich takes a tenth of a second to import; only those who see a bar should pay for it.
        from rich import progress
        from rich.console import Console

        columns: list[Any] = [progress.TextColumn("{task.description}"), progress.BarColumn()]
        if unit == "bytes":
            columns += [progress.DownloadColumn(binary_units=True), progress.TransferSpeedColumn()]
        else:
            columns += [progress.MofNCompleteColumn()]
        columns += [progress.TimeRemainingColumn(), progress.TextColumn("{task.fields[status]}")]
        self._progress = progress.Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task(title, total=total, status="")
        self.start = self._progress.start
        self.stop = self._progress.stop

    def update(self, done: int, total: int | None, status: str) -> None:
        self._progress.update(self._task, completed=done, total=total, status=status)

    def print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False)
