"""Runbooks as tests walk them: what they look by, what they do, and how they say that it is over."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.command_line import Outcome, dss_here

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"


def look(name: str, line: str) -> str:
    """Return a line, if a runbook looks by it."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (FOLDER / f"{name}.md").read_text(), re.MULTILINE | re.DOTALL)
    assert line in "".join(blocks).splitlines(), f"{name} does not look by {line}"
    return line


def remedy(name: str, seen: str, *commands: str) -> None:
    """Check that a runbook names these commands for what is seen."""
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (FOLDER / f"{name}.md").read_text(), re.MULTILINE)
    [do] = [do for what, do in rows if seen in what]
    assert [command for command in commands if command not in do] == [], do


def over(name: str) -> str:
    """Return how a runbook says that it is over."""
    return (FOLDER / f"{name}.md").read_text().split("## Over\n\n")[1]


def run(env: Mapping[str, str], line: str, *more: object, codes: tuple[int, ...] = (0,)) -> Outcome:
    """Run a line of a runbook."""
    outcome = dss_here(env, *line.split()[1:], *more)
    assert outcome.code in codes, (line, outcome.out, outcome.err)
    return outcome


def shell(line: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a runbook that asks the API at a URL."""
    environment = {"DSS_URL": url, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", line], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
