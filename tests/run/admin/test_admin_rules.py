"""What all commands of `dss admin` have in common, and that an operator finds what each of them needs."""

import re
from collections.abc import Iterator

import click
import pytest

from run.admin.command import admin
from tests.support.terraform_cli import ROOT

# They change nothing, or have another way to show first what they would do.
WITHOUT_DRY_RUN = {
    "access get", "access list", "checkout verify", "dead-letters list",
    "events list", "explore check", "explore failures", "explore status", "group list", "index check",
    "purges", "queues list", "read-only show", "replication", "runs list", "runs show",
    "secrets check", "settings", "subscriptions list", "verify", "who",
}  # fmt: skip


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands(admin))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_json_and_says_what_it_would_do(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}

    assert "--json" in options
    assert ("--dry-run" in options) is (name not in WITHOUT_DRY_RUN)
    assert "dss admin" in (COMMANDS[name].epilog or "")


def test_what_has_no_dry_run_exists() -> None:
    assert set(COMMANDS) >= WITHOUT_DRY_RUN


def test_the_guide_says_what_each_command_needs_in_the_clouds() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    table = guide.split("| command | needs in Google Cloud | needs in AWS |")[1].split("\n\n")[0]
    first = " ".join(row.split("|")[1] for row in table.splitlines() if row)
    named = {word for words in re.findall(r"`([^`]+)`", first) for word in words.split()}

    assert {name.partition(" ")[0] for name in COMMANDS} - named == set()
