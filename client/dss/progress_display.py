"""What a person sees of progress: bars on a terminal or in a notebook, lines in a log, or nothing."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dss.progress import Phase

_PREFIXES = ("B", "kB", "MB", "GB", "TB", "PB")
_HTML = '<pre style="line-height:normal;margin:0">{code}</pre>'
# Columns of a notebook's cell that hold a phase in one line.
_NOTEBOOK_COLUMNS = 110


class Display(Protocol):
    """Shows phases. `seconds` is how long to wait between two calls of `show`, `first_seconds` at first."""

    first_seconds: float
    seconds: float

    def start(self) -> None:
        """Begin."""
        ...

    def show(self, phases: "Sequence[Phase]") -> None:
        """Show how far the phases are."""
        ...

    def note(self, line: str) -> None:
        """Print a line."""
        ...

    def stop(self, phases: "Sequence[Phase]") -> None:
        """End, and leave the last state where it can be seen."""
        ...


def display_for(title: str) -> Display:
    """Return what fits where this process writes to."""
    if in_notebook():
        return NotebookBars()
    return TerminalBars() if sys.stderr.isatty() else Lines(title)


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    # A process that never imported IPython is no kernel; importing it would take half a second.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


def size_text(size: float) -> str:
    """Return a number of bytes for people, as `68.2 MB`: decimal prefixes."""
    power = 0
    while abs(size) >= 999.95 and power < len(_PREFIXES) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.1f} {_PREFIXES[power]}" if power else f"{size:.0f} B"


def seconds_text(seconds: float) -> str:
    """Return a time as `0:35`, or `12:00:05` if it has hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def phase_text(phase: "Phase") -> str:
    """Return how far a phase is: `120 of 2,000 files, 1.2 GB of 3.4 GB, 120.0 MB/s, ETA 0:18`."""
    done = phase.done
    parts = [f"{done.items:,}{_of(phase.items, '{:,}')} {phase.unit}"]
    if phase.size or done.size:
        of = f" of {size_text(phase.size)}" if phase.size else ""
        parts.append(f"{size_text(done.size)}{of}")
    if not phase.complete:
        parts += _pace(phase)
    return ", ".join(parts) + (f"; {phase.status}" if phase.status else "")


def _of(total: int | None, form: str) -> str:
    return "" if total is None else f" of {form.format(total)}"


def _pace(phase: "Phase") -> list[str]:
    items, size = phase.rates
    parts = []
    if size > 0:
        parts.append(f"{size_text(size)}/s")
    elif items > 0:
        parts.append(f"{items:,.0f} {phase.unit}/s" if items >= 1 else f"{items:.2f} {phase.unit}/s")
    left = phase.seconds_left
    if left is not None:
        parts.append(f"ETA {seconds_text(left)}")
    return parts


class Silence:
    """Shows nothing."""

    first_seconds = seconds = 3600.0

    def start(self) -> None:
        """Do nothing."""

    def show(self, phases: "Sequence[Phase]") -> None:
        """Do nothing."""

    def note(self, line: str) -> None:
        """Do nothing."""

    def stop(self, phases: "Sequence[Phase]") -> None:
        """Do nothing."""


class Lines:
    """Prints one line on stderr every five seconds, with each phase that has begun and is not complete."""

    first_seconds = seconds = 5.0

    def __init__(self, title: str) -> None:
        self._title = title

    def start(self) -> None:
        """Do nothing: short work prints no line."""

    def show(self, phases: "Sequence[Phase]") -> None:
        """Print a line."""
        begun = [phase for phase in phases if phase.done.items or phase.done.size or phase.status]
        shown = [phase for phase in begun if not phase.complete] or begun[-1:]
        if shown:
            self.note(f"{self._title}: " + " | ".join(self._text(phase) for phase in shown))

    def _text(self, phase: "Phase") -> str:
        return phase_text(phase) if phase.name == self._title else f"{phase.name} {phase_text(phase)}"

    def note(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)

    def stop(self, phases: "Sequence[Phase]") -> None:
        """Do nothing: what was done is the command's to say."""


class _Bars:
    """A bar and a text for each phase, drawn by rich."""

    def __init__(self, console: Any) -> None:
        from rich import progress

        columns = ("{task.description}", progress.BarColumn(bar_width=24), "{task.fields[text]}")
        self.drawn = progress.Progress(*columns, console=console)
        self._tasks: dict[str, Any] = {}

    def draw(self, phases: "Sequence[Phase]") -> None:
        for phase in phases:
            if phase.name not in self._tasks:
                self._tasks[phase.name] = self.drawn.add_task(phase.name, total=None, text="")
            part = phase.fraction
            total, completed = (None, 0.0) if part is None else (1.0, part)
            task, text = self._tasks[phase.name], phase_text(phase)
            self.drawn.update(task, total=total, completed=completed, text=text)


class TerminalBars:
    """Bars on stderr."""

    first_seconds = 0.0
    seconds = 0.1

    def __init__(self) -> None:
        # rich takes a tenth of a second to import; only those who see bars should pay for it.
        from rich.console import Console

        self._bars = _Bars(Console(stderr=True, highlight=False))

    def start(self) -> None:
        """Draw from now on, until `stop`."""
        self._bars.drawn.start()

    def show(self, phases: "Sequence[Phase]") -> None:
        """Draw the phases anew."""
        self._bars.draw(phases)

    def note(self, line: str) -> None:
        """Print a line above the bars."""
        self._bars.drawn.console.print(line, markup=False, highlight=False)

    def stop(self, phases: "Sequence[Phase]") -> None:
        """Leave the last state, and the terminal as it was."""
        self._bars.draw(phases)
        self._bars.drawn.stop()


class NotebookBars:
    """Bars in the output of a notebook's cell, which a saved notebook keeps. Needs IPython, no widgets."""

    first_seconds = 0.0
    seconds = 0.5

    def __init__(self) -> None:
        import io

        from IPython import display
        from rich.console import Console

        # IPython's functions have no types.
        self._ipython: Any = display
        self._written = io.StringIO()
        self._console = Console(
            file=self._written, record=True, width=_NOTEBOOK_COLUMNS, force_jupyter=False, highlight=False
        )
        self._bars = _Bars(self._console)
        self._output: Any = None

    def start(self) -> None:
        """Do nothing: the first phase makes the output."""

    def show(self, phases: "Sequence[Phase]") -> None:
        """Replace the output."""
        self._bars.draw(phases)
        self._console.print(self._bars.drawn.get_renderable())
        html = self._console.export_html(inline_styles=True, code_format=_HTML, clear=False)
        # The console keeps a record of its own; what it writes would pile up, frame by frame.
        self._written.seek(0)
        self._written.truncate()
        bundle = {"text/plain": self._console.export_text().rstrip(), "text/html": html}
        if self._output is None:
            self._output = self._ipython.display(bundle, raw=True, display_id=True)
        else:
            self._output.update(bundle, raw=True)

    def note(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)

    def stop(self, phases: "Sequence[Phase]") -> None:
        """Leave the last state."""
        if phases:
            self.show(phases)
