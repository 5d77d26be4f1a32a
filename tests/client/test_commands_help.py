"""Help texts are documentation: every command has examples, and they are command lines that it takes."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dss.commands.context import Context
from dss.commands.exit_codes import EXIT_CODES
from dss.commands.help import EXAMPLES
from dss.commands.main import cli
from dss.references import parse
from local.source_tree import ROOT
from tests.client.test_references import UUID, VERSION
from tests.support.command_line import dss


def leaves(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Yield each command that is no group, with the words that call it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        here = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from leaves(command, here)
        else:
            yield here.command_path, command


COMMANDS = dict(leaves(cli, click.Context(cli, info_name="dss")))


def examples_of(command: click.Command) -> list[list[str]]:
    """Return the words of each example in a help text, up to a pipe or a redirection."""
    lines = (command.epilog or "").partition(EXAMPLES)[2].partition("\n\n")[0].strip().splitlines()
    found = []
    for line in lines:
        words = shlex.split(line.replace("UUID", UUID).replace("VERSION", VERSION), comments=True)
        found.append(words[: next((at for at, word in enumerate(words) if word in ("|", ">")), len(words))])
    return found


def parsed(words: list[str]) -> list[click.Context]:
    """Return the contexts of a command line and its groups, as click makes them, and run nothing."""
    context = cli.make_context("dss", words[1:], obj=Context())
    made = [context]
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None
        context = command.make_context(name, rest, parent=context)
        made.append(context)
    return made


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_examples_that_it_takes(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.json", "links.json", "mine.tsv"):
        Path(name).write_text("{}")
    Path("my/data").mkdir(parents=True)
    found = examples_of(COMMANDS[path])

    assert found
    for words in found:
        assert " ".join(words).startswith(path) or words[0] == "eval"
        if words[0] == "eval":
            continue
        last = parsed(words)[-1]
        assert last.command is COMMANDS[path]
        for name in ("bundle", "file", "collection", "old"):
            if isinstance(last.params.get(name), str):
                parse(last.params[name])


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_a_short_help_option_and_a_help_text(path: str) -> None:
    command = COMMANDS[path]
    context = click.Context(
        command, parent=click.Context(cli, info_name="dss", help_option_names=["-h", "--help"])
    )

    assert "-h, --help" in command.get_help(context)
    assert command.get_short_help_str()


def test_the_first_page_of_help_and_the_readme_have_the_exit_codes() -> None:
    page = dss({}, "-h").out
    readme = (ROOT / "client/README.md").read_text()

    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in page
        assert f"| {code} | {meaning} |" in readme


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert dss({}, "--version").out == f"dss {version('dss-client')}\n"


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "#compdef dss"), ("fish", "complete --")]
)
def test_a_shell_gets_a_script_that_completes(shell: str, word: str) -> None:
    outcome = dss({}, "completion", shell)

    assert (outcome.code, word in outcome.out) == (0, True)
    asked = {"_DSS_COMPLETE": "bash_complete", "COMP_WORDS": "dss get bundle --pre", "COMP_CWORD": "3"}
    assert dss(asked).out == "plain,--presigned-urls\n"
    assert dss({}, "completion", "tcsh").code == 2
