"""How far some work has come, in phases: `hash`, `stage`, `put` and `bundle` for an upload, say.

Phases may overlap, and threads may report to them at once::

    with Progress("upload") as progress:
        stage = progress.phase("stage", items=2, size=3_000)
        stage.advance(size=1_000)     # bytes, as they are sent
        stage.advance(items=1)        # a file is complete
        stage.skip(items=1, size=2_000)    # an earlier run did it: it counts as done, and not for the rate

What a person sees of it is in `dss.progress_display`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from dss.progress_display import Display, Silence, display_for, in_notebook

Unit = Literal["files", "objects", "bundles", "slices", "manifests"]

# Seconds over which a rate is measured, so that it follows a network that becomes slower.
_WINDOW_SECONDS = 30.0
_SAMPLE_SECONDS = 1.0
_FIRST_RATE_SECONDS = 0.5


@dataclass(frozen=True)
class Amount:
    """So many items, and so many bytes."""

    items: int = 0
    size: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.items + other.items, self.size + other.size)


class Rate:
    """Items and bytes per second over the last half minute, from the first report on."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._samples: deque[tuple[float, Amount]] = deque()

    def see(self, before: Amount, done: Amount) -> None:
        """Remember how much is done now, at most once a second."""
        now = self._now()
        if not self._samples:
            self._samples.append((now, before))
        if now - self._samples[-1][0] < _SAMPLE_SECONDS:
            return
        self._samples.append((now, done))
        while now - self._samples[1][0] > _WINDOW_SECONDS:
            self._samples.popleft()

    def of(self, done: Amount) -> tuple[float, float]:
        """Return items per second and bytes per second; zeros in the first half second."""
        began, before = self._samples[0] if self._samples else (self._now(), done)
        seconds = self._now() - began
        if seconds < _FIRST_RATE_SECONDS:
            return 0.0, 0.0
        return (done.items - before.items) / seconds, (done.size - before.size) / seconds


class Phase:
    """One kind of step of some work: how many items, and bytes, of how many (None if unknown) are done."""

    def __init__(self, name: str, progress: "Progress", *, unit: Unit) -> None:
        self.name = name
        self.unit = unit
        self.items: int | None = None
        self.size: int | None = None
        self.status = ""
        self._done = self._skipped = Amount()
        self._rate = Rate(progress.now)
        self._progress = progress

    def expect(self, *, items: int | None = None, size: int | None = None) -> None:
        """Set how many items, and how many bytes, there are in all; what is None stays as it is."""
        with self._progress.changing():
            self.items = self.items if items is None else items
            self.size = self.size if size is None else size

    def advance(self, *, items: int = 0, size: int = 0) -> None:
        """Add items and bytes to what is done; a negative number has to be done again."""
        with self._progress.changing():
            self._set(self._done + Amount(items, size))

    def skip(self, *, items: int = 0, size: int = 0) -> None:
        """Count items and bytes as done that cost no time; they don't count for the rate."""
        with self._progress.changing():
            self._skipped += Amount(items, size)

    def reach(self, items: int, status: str = "") -> None:
        """Set how many items are done, and a text that says what came of them."""
        with self._progress.changing():
            self._set(Amount(items, self._done.size))
            self.status = status

    def _set(self, done: Amount) -> None:
        self._rate.see(self._done, done)
        self._done = done

    @property
    def done(self) -> Amount:
        """What is done, with what was skipped."""
        return self._done + self._skipped

    @property
    def complete(self) -> bool:
        """Whether all is done that is expected; False if the number of items is unknown."""
        return self.items is not None and self.done.items >= self.items

    @property
    def rates(self) -> tuple[float, float]:
        """Items per second, and bytes per second, of late."""
        return self._rate.of(self._done)

    @property
    def fraction(self) -> float | None:
        """What part is done, from 0 to 1: by bytes if these are known, else by items; None if unknown."""
        done, total = (self.done.size, self.size) if self.size else (self.done.items, self.items)
        if total is None:
            return None
        return min(1.0, max(0.0, done / total)) if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the present rates; None if nothing says.

        The longer of two estimates, by items and by bytes: many small files take their time by number, few
        large ones by size.
        """
        done = self.done
        totals = ((self.items, done.items), (self.size, done.size))
        left = [max(0, total - now) if total is not None else 0 for total, now in totals]
        needed = [(amount, rate) for amount, rate in zip(left, self.rates, strict=True) if amount]
        if any(rate <= 0 for _, rate in needed) or (self.items is None and self.size is None):
            return None
        return max((amount / rate for amount, rate in needed), default=0.0)


class Progress:
    """How far some work has come. A context manager, which starts and ends what is shown.

    Draws bars in a notebook, and on stderr if that is a terminal; else prints a line every few seconds, and
    shows nothing if `quiet`.
    """

    def __init__(
        self,
        title: str = "",
        *,
        unit: Unit = "files",
        total: int | None = None,
        quiet: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        self._title = title
        self._unit: Unit = unit
        self._total = total
        self._phases: dict[str, Phase] = {}
        self._lock = threading.RLock()
        self._display: Display = Silence() if quiet else display_for(title)
        self._next_show = now() + self._display.first_seconds

    def phase(
        self, name: str, *, items: int | None = None, size: int | None = None, unit: Unit = "files"
    ) -> Phase:
        """Begin a phase, or begin it again from nothing; `size` in bytes if it moves or reads any."""
        phase = Phase(name, self, unit=unit)
        with self._lock:
            self._phases[name] = phase
            phase.expect(items=items, size=size)
        return phase

    def reach(self, done: int, status: str = "") -> None:
        """Set what is done of work that has one phase only, and a text that says what came of it."""
        with self._lock:
            if self._title not in self._phases:
                self.phase(self._title, items=self._total, unit=self._unit)
            self._phases[self._title].reach(done, status)

    def note(self, line: str) -> None:
        """Print a line for the user, above the bars if there are any."""
        self._display.note(line)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other threads out while counters change, and then show them if the last time is long ago."""
        with self._lock:
            yield
            now = self.now()
            if now >= self._next_show:
                self._next_show = now + self._display.seconds
                self._display.show(list(self._phases.values()))

    def __enter__(self) -> "Progress":
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bars as they stand, and the terminal as it was."""
        with self._lock:
            self._display.stop(list(self._phases.values()))


@contextmanager
def progress_of(asked: Progress | bool | None, title: str) -> Iterator[Progress]:
    """Give the progress that a caller asked for: one of the caller's, or a new one.

    True shows one, False shows none, and None shows one in a notebook only.
    """
    if isinstance(asked, Progress):
        yield asked
        return
    quiet = not (in_notebook() if asked is None else asked)
    with Progress(title, quiet=quiet) as progress:
        yield progress
