"""The `dss` command.

Exit codes: 0 all was done; 1 something failed, and is listed; 2 the command line is wrong; 130 Ctrl-C.
"""

import os
import sys
import threading

import click

from run.cli import commands
from run.cli.checkout_commands import checkout
from run.cli.collection_commands import collection
from run.cli.context import Context, shared_options
from run.cli.errors import CliError
from run.cli.event_commands import events
from run.cli.subscription_commands import subscription

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


class _Group(click.Group):
    """A group with commands that are loaded when they are asked for.

    A laptop has none of what `local` needs, and no use for `admin`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "admin", "local"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "admin":
            from run.cli.admin import admin

            return admin
        if cmd_name != "local":
            return super().get_command(ctx, cmd_name)
        try:
            from run.local.command import local
        except ImportError as error:
            return _missing(str(error))
        command: click.Command = local
        return command


def _missing(why: str) -> click.Command:
    @click.command("local", help="Run the whole system on this machine (not installed here).")
    @click.argument("ignored", nargs=-1, type=click.UNPROCESSED)
    def local(ignored: tuple[str, ...]) -> None:
        del ignored
        raise CliError(f"`dss local` needs what `pip install 'dss[dev]'` brings: {why}")

    local.context_settings["ignore_unknown_options"] = True
    return local


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
