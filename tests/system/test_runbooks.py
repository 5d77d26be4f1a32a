"""Runbooks lead to commands that exist and run, and from what is found to what mends it."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from dss.commands.main import cli
from tests.support.api import Api, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import dss_here
from tests.support.waiting import wait_until

RUNBOOKS = sorted((Path(__file__).parents[2] / "docs" / "runbooks").glob("*.md"))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def looks_of(text: str) -> list[str]:
    """Return the lines that somebody runs as they are, to see what is the matter."""
    return [line for kind, block in _BLOCK.findall(text) if kind == "sh" for line in block.splitlines()]


ALL_LOOKS = sorted({line for path in RUNBOOKS for line in looks_of(path.read_text())})


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_says_what_it_means_where_to_look_what_to_do_and_when_it_is_over(path: Path) -> None:
    text = path.read_text()

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Look", "Do", "Over"]
    assert re.match(r"# .+\n\n\w", text)
    assert looks_of(text)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_command_of_a_runbook_exists_with_its_options(path: Path) -> None:
    text = path.read_text()
    lines = [line for _, block in _BLOCK.findall(text) for line in block.splitlines()]
    inline = re.findall(r"`(dss [^`]*)`", _BLOCK.sub("", text))
    found = [line.split() for line in (*lines, *inline) if line.startswith("dss ")]
    if path.stem not in ("api-slow",):
        assert found

    for words in found:
        command: click.Command = cli
        context = click.Context(cli)
        rest = words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            after = command.get_command(context, rest[0])
            assert after, " ".join(words)
            command, rest = after, rest[1:]
        known = {name for option in command.params for name in option.opts}
        assert {word for word in rest if word.startswith("--")} <= known, " ".join(words)
        assert not isinstance(command, click.Group) or command.invoke_without_command or not rest


@pytest.mark.parametrize("line", ALL_LOOKS)
def test_what_a_runbook_looks_at_is_there_on_one_machine(whole_system: dict[str, str], line: str) -> None:
    if line.startswith("dss "):
        seen = dss_here(whole_system, *line.split()[1:])
        # 1 says that something was found.
        assert seen.code in (0, 1), seen.err
        assert seen.out.strip(), seen.err
    else:
        url = {"DSS_URL": whole_system["DSS_URL"], "PATH": "/usr/local/bin:/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", line], env=url, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout


def test_a_replica_that_lags_because_somebody_stopped_the_system_is_mended_as_its_runbook_says(
    whole_system: dict[str, str],
) -> None:
    text = next(path for path in RUNBOOKS if path.stem == "replication-age").read_text()
    look, mend = "dss admin read-only show", "dss admin start"
    assert look in looks_of(text)
    assert f"| `stopped: since …` | somebody has stopped the system: `{mend}`" in text
    clouds, api = Clouds(whole_system), Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])

    assert dss_here(whole_system, "admin", "stop", "--reason", "a try of the runbook").code == 0
    try:
        file = put_file(api, clouds.stage("gcp", b"content of the runbook"))
        assert "stopped: since" in dss_here(whole_system, *look.split()[1:]).out
        assert missing(whole_system) >= 1
    finally:
        assert dss_here(whole_system, *mend.split()[1:]).code == 0

    def is_there() -> bool:
        path = f"/v1/files/{file.uuid}"
        return api.head(path, replica="aws", version=file.version).status_code == 200

    wait_until(is_there, "the file on aws", seconds=240)
    assert "stopped: no" in dss_here(whole_system, *look.split()[1:]).out


def missing(env: dict[str, str]) -> int:
    """Return how many objects aws lacks."""
    found = dss_here(env, "admin", "replication", "--seconds", "0", "--json").json
    return int(found["replicas"]["aws"]["missing"])
