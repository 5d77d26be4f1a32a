"""Progress on stderr: bars for a person who watches, silence for a program that reads."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

# Seconds between two lines of progress.
_LINE_SECONDS = 5


class Meter:
    """Shows nothing; what threads report goes nowhere. The base of meters that show something."""

    def expect(self, files: int, size: int) -> None:
        """Say how many files and bytes there will be."""

    def advance(self, size: int) -> None:
        """Say that so many bytes are done (or, below zero, have to be done again)."""

    def file_done(self) -> None:
        """Say that a file is done."""

    def note(self, line: str) -> None:
        """Tell the person something that is worth a line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""


class PlainMeter(Meter):
    """Prints notes to stderr, as lines; for logs."""

    def note(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)


class BarMeter(Meter):
    """Draws a bar of bytes and a count of files on a terminal."""

    def __init__(self, title: str) -> None:
        # rich takes a tenth of a second to import, which only those who see it should pay.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[done]}/{task.fields[files]} files"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=None, done=0, files="?")
        self._lock = threading.Lock()
        self._done = 0

    def expect(self, files: int, size: int) -> None:
        """Set the bar's length."""
        self._progress.update(self._task, total=size, files=files)

    def advance(self, size: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, size)

    def file_done(self) -> None:
        """Count a file."""
        with self._lock:
            self._done += 1
            self._progress.update(self._task, done=self._done)

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


def meter_for(title: str, *, quiet: bool) -> Meter:
    """Return the meter for this terminal: none when quiet, bars on a TTY, else lines."""
    if quiet:
        return Meter()
    return BarMeter(title) if sys.stderr.isatty() else PlainMeter()


class Counter:
    """Counts things up to their total, and shows nothing. The base of counters that show something."""

    def reach(self, count: int, text: str) -> None:
        """Say that so many are done, and what became of them."""

    def note(self, line: str) -> None:
        """Tell the person something that is worth a line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""


class LineCounter(Counter):
    """Prints a line to stderr now and then; for logs."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._last = time.monotonic()

    def reach(self, count: int, text: str) -> None:
        """Print a line, unless the last one is fresh."""
        if time.monotonic() - self._last > _LINE_SECONDS:
            self._last = time.monotonic()
            self.note(f"{self._title}: {count:,} of {self._total:,}; {text}")

    def note(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)


class BarCounter(Counter):
    """Draws a bar on a terminal."""

    def __init__(self, title: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=total, text="")

    def reach(self, count: int, text: str) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=count, text=text)

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


def counter_for(title: str, total: int, *, quiet: bool) -> Counter:
    """Return the counter for this terminal: none when quiet, a bar on a TTY, else lines."""
    if quiet:
        return Counter()
    return BarCounter(title, total) if sys.stderr.isatty() else LineCounter(title, total)
