"""Other distributions add commands to `dss`; a broken one says so and breaks nothing else."""

from pathlib import Path

import pytest

from local.source_tree import python_path
from tests.support.command_line import Outcome, dss, start

ADDED = """[dss.commands]
hello = added_commands:hello
missing = nowhere_at_all:command
unnamed = added_commands:nothing
number = added_commands:number
failing = added_failing:command
list = added_commands:hello
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A Python path with a distribution that adds commands, of which most are broken."""
    info = tmp_path / "added-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ADDED)
    (tmp_path / "added_commands.py").write_text(
        "import click\nnumber = 5\n@click.command(help='Say hello.')\ndef hello(): print('hello')\n"
    )
    (tmp_path / "added_failing.py").write_text("raise RuntimeError('half installed')\n")
    return {"PYTHONPATH": python_path(str(tmp_path))}


def run(env: dict[str, str], *arguments: str) -> Outcome:
    """Run `dss` in a new process: a forked one has its Python path already."""
    process = start(env, *arguments)
    out, err = process.communicate(timeout=240)
    return Outcome(process.returncode, out, err)


def test_an_added_command_runs_and_is_listed(env: dict[str, str]) -> None:
    listed = run(env, "--help")

    assert run(env, "hello").out == "hello\n"
    assert listed.code == 0
    assert "Say hello." in listed.out
    assert "Not usable: added cannot be loaded." in listed.out


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("missing", "No module named 'nowhere_at_all'"),
        ("unnamed", "has no attribute 'nothing'"),
        ("number", "added_commands:number is not a command"),
        ("failing", "RuntimeError: half installed"),
    ],
)
def test_a_broken_command_names_its_distribution_and_the_reason(
    env: dict[str, str], command: str, why: str
) -> None:
    outcome = run(env, command, "--any", "argument", "--help")

    assert outcome.code == 1
    assert outcome.err.startswith(f"dss: added adds `dss {command}`, which cannot be loaded: ")
    assert why in outcome.err
    assert "Traceback" not in outcome.err


def test_an_added_command_does_not_replace_one_of_the_client(env: dict[str, str]) -> None:
    assert "hello" not in run(env, "list", "--help").out


def test_the_service_adds_admin_and_local() -> None:
    listed = dss({}, "--help").out

    assert "\n  admin " in listed and "\n  local " in listed
