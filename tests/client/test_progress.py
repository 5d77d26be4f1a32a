"""Progress: bars on a terminal and in a notebook, lines in a log, nothing if quiet; the time that is left."""

import io
import sys
import types
from typing import Any

import pytest

from dss.progress import Progress, progress_of
from dss.progress_display import phase_text, seconds_text, size_text

MB = 1_000_000


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class HeldTime:
    """Seconds that pass only if a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Notebook:
    """What IPython's `display` was called with; the last state of the one output."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> "Notebook":
        assert raw and display_id
        self.outputs.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.outputs[-1] = bundle


@pytest.fixture
def now() -> HeldTime:
    """A time that stands still."""
    return HeldTime()


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """The kernel of a notebook, as this process."""
    shown = Notebook()
    ipython: Any = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = shown
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return shown


def test_a_log_gets_a_line_every_five_seconds_at_most(
    capsys: pytest.CaptureFixture[str], now: HeldTime
) -> None:
    with Progress("upload", now=now) as progress:
        stage = progress.phase("stage", items=2000, size=2000 * MB)
        for _ in range(80):
            now.seconds += 0.25
            stage.advance(items=1, size=MB)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[-1] == "upload: stage 80 of 2,000 files, 80.0 MB of 2.0 GB, 4.1 MB/s, ETA 7:54"


def test_a_line_has_all_phases_that_are_under_way(capsys: pytest.CaptureFixture[str], now: HeldTime) -> None:
    progress = Progress("upload", now=now)
    hashing = progress.phase("hash", items=2, size=200)
    stage = progress.phase("stage", items=2, size=200)
    put = progress.phase("put", items=2)
    progress.phase("bundle", items=1, unit="bundles")
    hashing.advance(items=2, size=200)
    stage.advance(items=1, size=100)
    now.seconds += 6
    put.advance(items=1)

    line = capsys.readouterr().err
    assert line.startswith("upload: stage 1 of 2 files, 100 B of 200 B")
    assert " | put 1 of 2 files" in line
    assert "hash" not in line and "bundle" not in line


def test_work_of_one_phase_shows_what_came_of_it(capsys: pytest.CaptureFixture[str], now: HeldTime) -> None:
    with Progress("index check", unit="bundles", total=12_000, now=now) as progress:
        progress.reach(500, "1 finding")
        now.seconds += 10
        progress.reach(1_500, "3 findings")
        progress.note("retrying")

    line, note = capsys.readouterr().err.splitlines()
    assert line == "index check: 1,500 of 12,000 bundles, 150 bundles/s, ETA 1:10; 3 findings"
    assert note == "retrying"


def test_the_rest_takes_as_long_as_the_slower_of_files_and_bytes(now: HeldTime) -> None:
    phase = Progress(quiet=True, now=now).phase("fetch", items=100, size=1000 * MB)
    phase.advance(items=1)
    now.seconds += 10
    phase.advance(items=49, size=900 * MB)

    # Half of the files took 10 s, nine tenths of the bytes as well.
    assert phase.seconds_left == pytest.approx(10.0)


def test_a_rate_follows_the_last_half_minute(now: HeldTime) -> None:
    phase = Progress(quiet=True, now=now).phase("fetch", size=1000 * MB)
    for size in [10 * MB] * 60 + [MB] * 40:
        now.seconds += 1
        phase.advance(size=size)

    assert phase.rates[1] == pytest.approx(MB)


def test_what_was_skipped_counts_as_done_and_not_for_the_rate(now: HeldTime) -> None:
    phase = Progress(quiet=True, now=now).phase("stage", items=1000, size=1000 * MB)
    phase.advance(items=0)
    now.seconds += 10
    phase.skip(items=900, size=900 * MB)
    phase.advance(items=10, size=10 * MB)

    assert (phase.done.items, phase.done.size) == (910, 910 * MB)
    assert phase.rates == (pytest.approx(1.0), pytest.approx(MB))
    assert phase.seconds_left == pytest.approx(90.0)


def test_bytes_that_have_to_be_sent_again_are_not_done(now: HeldTime) -> None:
    phase = Progress(quiet=True, now=now).phase("stage", size=100)
    phase.advance(size=80)
    phase.advance(size=-50)

    assert phase.done.size == 30 and phase.fraction == pytest.approx(0.3)


def test_a_phase_without_a_total_has_no_estimate(now: HeldTime) -> None:
    phase = Progress(quiet=True, now=now).phase("list")
    phase.advance(items=500)
    now.seconds += 1
    phase.advance(items=500)

    assert phase_text(phase) == "1,000 files, 1,000 files/s"


def test_a_phase_that_is_complete_has_neither_rate_nor_estimate(now: HeldTime) -> None:
    phase = Progress(quiet=True, now=now).phase("hash", items=1, size=2 * MB)
    now.seconds += 5
    phase.advance(items=1, size=2 * MB)

    assert phase_text(phase) == "1 of 1 files, 2.0 MB of 2.0 MB"


def test_quiet_progress_shows_nothing(capsys: pytest.CaptureFixture[str], now: HeldTime) -> None:
    with Progress("upload", quiet=True, now=now) as progress:
        phase = progress.phase("stage", items=10)
        now.seconds += 10_000
        phase.advance(items=1)
        progress.note("retrying")

    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_for_each_phase_and_notes_above(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")

    with Progress("download") as progress:
        progress.phase("fetch", items=10, size=10 * MB).advance(items=4, size=4 * MB)
        progress.phase("verify", items=10).advance(items=3)
        progress.note("[not markup]")

    shown = terminal.getvalue()
    assert "4 of 10 files, 4.0 MB of 10.0 MB" in shown and "3 of 10 files" in shown
    assert "fetch" in shown and "verify" in shown and "[not markup]" in shown and "━" in shown


def test_a_notebook_gets_one_output_that_holds_the_last_state(notebook: Notebook, now: HeldTime) -> None:
    with Progress("download", now=now) as progress:
        fetch = progress.phase("fetch", items=3)
        for _ in range(3):
            now.seconds += 1
            fetch.advance(items=1)

    (output,) = notebook.outputs
    assert "3 of 3 files" in output["text/plain"] and "3 of 3 files" in output["text/html"]
    assert "\x1b" not in output["text/plain"]
    assert output["text/plain"].count("fetch") == 1, "an old state is left"


def test_frames_of_a_notebook_do_not_pile_up(
    notebook: Notebook, now: HeldTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[io.StringIO] = []

    class Stream(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            streams.append(self)

    monkeypatch.setattr(io, "StringIO", Stream)
    with Progress("download", now=now) as progress:
        fetch = progress.phase("fetch", items=9)
        for _ in range(9):
            now.seconds += 1
            fetch.advance(items=1)

    assert len(notebook.outputs) == 1
    assert streams and not any(stream.getvalue() for stream in streams)


@pytest.mark.parametrize(("asked", "outputs"), [(None, 1), (True, 1), (False, 0)])
def test_a_notebook_shows_progress_unless_asked_not_to(
    notebook: Notebook, asked: bool | None, outputs: int
) -> None:
    with progress_of(asked, "download") as progress:
        progress.phase("fetch", items=1).advance(items=1)

    assert len(notebook.outputs) == outputs


@pytest.mark.parametrize(("asked", "shows"), [(None, False), (True, True), (False, False)])
def test_a_program_shows_progress_only_if_asked(
    capsys: pytest.CaptureFixture[str], asked: bool | None, shows: bool
) -> None:
    with progress_of(asked, "download") as progress:
        progress.note("a note")

    assert (capsys.readouterr().err == "a note\n") == shows


def test_the_progress_of_a_caller_is_neither_started_nor_ended() -> None:
    with Progress(quiet=True) as mine, progress_of(mine, "download") as given:
        assert given is mine


def test_amounts_are_written_for_people() -> None:
    texts = [size_text(size) for size in (0, 999, 1000, 68_200_000, 999_950_000, 5 * 10**18)]
    assert texts == ["0 B", "999 B", "1.0 kB", "68.2 MB", "1.0 GB", "5000.0 PB"]
    assert [seconds_text(seconds) for seconds in (0, 35.4, 3599.6)] == ["0:00", "0:35", "1:00:00"]
