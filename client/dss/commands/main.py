"""The `dss` command.

Exit codes: 0 all was done; 1 something failed, and is listed; 2 the command line is wrong; 130 Ctrl-C.
"""

import os
import sys
import threading
from importlib.metadata import entry_points

import click

from dss.commands import basic as commands
from dss.commands.checkout import checkout
from dss.commands.collection import collection
from dss.commands.context import Context, shared_options
from dss.commands.events import events
from dss.commands.subscription import subscription
from dss.errors import CliError

_COMMANDS = (
    commands.upload,
    commands.download,
    commands.get,
    commands.list_bundles,
    commands.search,
    commands.delete,
    checkout,
    collection,
    events,
    subscription,
    commands.token,
)


# Other distributions add commands by entry points of this group. The service adds `admin` and `local`, which
# need what a laptop does not have.
_ENTRY_POINTS = "dss.commands"


class _Group(click.Group):
    """A group with the commands of other distributions beside its own; those are loaded when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=_ENTRY_POINTS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        added = entry_points(group=_ENTRY_POINTS)
        if own or cmd_name not in added.names:
            return own
        try:
            command: click.Command = added[cmd_name].load()
        except ImportError as error:
            return _broken(cmd_name, str(error))
        return command


def _broken(name: str, why: str) -> click.Command:
    @click.command(name, help="Not usable here: what it needs is not installed.")
    @click.argument("ignored", nargs=-1, type=click.UNPROCESSED)
    def broken(ignored: tuple[str, ...]) -> None:
        del ignored
        raise CliError(f"`dss {name}` is installed, and something that it needs is not: {why}")

    broken.context_settings["ignore_unknown_options"] = True
    return broken


@click.group(cls=_Group)
@shared_options
@click.pass_context
def cli(ctx: click.Context) -> None:
    """The Data Storage System: bundles of files, versioned and immutable, in two clouds."""
    ctx.ensure_object(Context)


for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line of this process, and end it."""
    # Signed URLs, reports and names may hold any character; a terminal that can't show one gets a stand-in.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    context = Context(url=os.environ.get("DSS_URL"), token=os.environ.get("DSS_TOKEN"))
    _end(_run(context))


def _run(context: Context) -> int:
    try:
        outcome = cli.main(standalone_mode=False, obj=context)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print("dss: interrupted; the same command again goes on from here", file=sys.stderr)
        return 130
    except CliError as error:
        return context.fail(error)
    except BrokenPipeError:
        # Whoever read our output (head, say) has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return context.fail(CliError(str(error)))
    return outcome if isinstance(outcome, int) else 0


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    waiting = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if code == 130 and any(not thread.daemon for thread in waiting):
        # Threads that hang in a read would keep the process for a minute. What they did is on disk already:
        # every record is one append or one rename.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
