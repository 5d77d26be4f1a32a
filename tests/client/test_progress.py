"""Progress: a bar on a terminal, lines in a log, nothing if quiet."""

import io
import sys

import pytest

from dss.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass between two lines."""
    monkeypatch.setattr("dss.progress._LINE_SECONDS", -1)


@pytest.mark.usefixtures("hurry")
def test_a_log_gets_lines_with_done_total_and_unit(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("index check", unit="bundles", total=12_000) as progress:
        progress.reach(1_500, "3 findings")
        progress.note("retrying")

    assert capsys.readouterr().err == "index check: 1,500 of 12,000 bundles; 3 findings\nretrying\n"


@pytest.mark.usefixtures("hurry")
def test_a_transfer_counts_bytes_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("upload")
    progress.expect(2_000, files=2)
    progress.advance(1_500)
    progress.advance(-500)
    progress.file_done()

    assert capsys.readouterr().err.splitlines()[-1] == "upload: 1,000 of 2,000 bytes; 1/2 files"


def test_lines_are_seconds_apart(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("upload")
    for _ in range(1000):
        progress.advance(1)

    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("hurry")
def test_quiet_progress_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("upload", quiet=True) as progress:
        progress.expect(10, files=1)
        progress.advance(10)
        progress.note("retrying")

    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_and_notes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")

    with Progress("audit", unit="objects", total=10) as progress:
        progress.reach(4, "2 findings")
        progress.note("[not markup]")

    shown = terminal.getvalue()
    assert "4/10" in shown and "2 findings" in shown and "[not markup]" in shown
