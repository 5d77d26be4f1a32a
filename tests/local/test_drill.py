"""`make drill`, as a person runs it: each disaster ends, and the guide has its steps."""

import re
from pathlib import Path

from local.drill.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (.*?) ?\| (.+?) \| ([\d.]+) \| (.+) \|$", re.MULTILINE)
STEPS = [
    ("" if number else scenario.title, step.title)
    for scenario in SCENARIOS
    for number, step in enumerate(scenario.steps)
]
# Without a repair.
UNFINISHED = """
import sys
from local.drill.command import run
from local.drill.scenarios import PROOF, Scenario, lose_bucket
sys.exit(run([Scenario("not ended", (lose_bucket("aws"), PROOF))]))
"""


def rows(text: str) -> list[tuple[str, str]]:
    """Return the disasters and steps of a table."""
    return [(title, step) for title, step, _, _ in ROW.findall(text)]


def test_the_guide_has_the_times_of_each_step() -> None:
    times = (ROOT / "docs" / "disaster.md").read_text().split("## Times\n")[1]

    assert rows(times) == STEPS


def test_each_disaster_ends(python, tmp_path):
    table = tmp_path / "table.md"
    command = python("-m", "local.drill", "--table", str(table))

    command.process.wait(600)
    command.assert_all_gone()

    assert command.process.returncode == 0, command.output + command.errors
    assert rows(table.read_text()) == STEPS
    assert table.read_text() in command.output


def test_a_disaster_that_did_not_end_is_named(python):
    command = python("-c", UNFINISHED)

    command.process.wait(300)
    command.assert_all_gone()

    assert command.process.returncode == 1, command.output + command.errors
    assert "(prove it) failed" in command.errors
