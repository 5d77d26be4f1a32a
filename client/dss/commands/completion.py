"""`dss completion`: complete commands and options with the Tab key."""

import click
from click.shell_completion import get_completion_class

from dss.commands.help import examples

# click reads it when a shell asks for completions.
VARIABLE = "_DSS_COMPLETE"


@click.command(
    epilog=examples(
        'eval "$(dss completion bash)"                             # in ~/.bashrc',
        'eval "$(dss completion zsh)"                              # in ~/.zshrc',
        "dss completion fish > ~/.config/fish/completions/dss.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print a script that lets bash, zsh or fish complete `dss` with the Tab key."""
    made = get_completion_class(shell)
    assert made is not None, "click has these shells"
    click.echo(made(ctx.find_root().command, {}, "dss", VARIABLE).source())
    return 0
