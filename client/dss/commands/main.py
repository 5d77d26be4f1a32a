"""The `dss` command. Its exit codes are in `dss/commands/exit_codes.py`."""

import os
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

import click

from dss.commands.cat import cat
from dss.commands.checkout import checkout
from dss.commands.collection import collection
from dss.commands.completion import VARIABLE, completion
from dss.commands.context import Context, shared_options
from dss.commands.copy_bundles import copy_bundles
from dss.commands.cp import cp
from dss.commands.delete import delete
from dss.commands.diff import diff
from dss.commands.download import download
from dss.commands.events import events
from dss.commands.exit_codes import EXIT_CODES, FAILED, INTERRUPTED
from dss.commands.explore import explore
from dss.commands.export import export
from dss.commands.get import get
from dss.commands.help import examples
from dss.commands.importing import import_objects
from dss.commands.list import list_bundles
from dss.commands.login import login
from dss.commands.logout import logout
from dss.commands.ls import ls
from dss.commands.manifest import manifest
from dss.commands.search import search
from dss.commands.stat import stat
from dss.commands.subscription import subscription
from dss.commands.terra import terra
from dss.commands.token import token
from dss.commands.upload import upload
from dss.commands.verify import verify
from dss.commands.whoami import whoami
from dss.errors import ClientError, OperationFailed

_COMMANDS = (
    upload,
    import_objects,
    download,
    verify,
    ls,
    cat,
    cp,
    stat,
    diff,
    get,
    list_bundles,
    search,
    explore,
    manifest,
    delete,
    checkout,
    export,
    copy_bundles,
    collection,
    events,
    subscription,
    terra,
    login,
    logout,
    whoami,
    token,
    completion,
)

# Other distributions add commands by entry points of this group: the service adds `admin` and `local`, which
# need packages that a laptop does not have.
_ENTRY_POINTS = "dss.commands"


class _Group(click.Group):
    """A group of its own commands and those of other distributions, which are loaded when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=_ENTRY_POINTS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own:
            return own
        added = entry_points(group=_ENTRY_POINTS, name=cmd_name)
        return _loaded(next(iter(added))) if added else None


def _loaded(entry: EntryPoint) -> click.Command:
    try:
        command = entry.load()
    except Exception as error:  # noqa: BLE001 (one broken distribution must not break `dss --help`)
        return _broken(entry, f"{type(error).__name__}: {error}")
    return (
        command if isinstance(command, click.Command) else _broken(entry, f"{entry.value} is not a command")
    )


def _broken(entry: EntryPoint, why: str) -> click.Command:
    source = entry.dist.name if entry.dist else entry.value

    @click.command(entry.name, help=f"Not usable: {source} cannot be loaded.", add_help_option=False)
    @click.argument("ignored", nargs=-1, type=click.UNPROCESSED)
    def broken(ignored: tuple[str, ...]) -> None:
        del ignored
        raise OperationFailed(f"{source} adds `dss {entry.name}`, which cannot be loaded: {why}")

    broken.context_settings["ignore_unknown_options"] = True
    return broken


@click.group(
    cls=_Group,
    # Commands below have them, too.
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "dss upload my/data             # prints UUID.VERSION of the new bundle",
        "dss ls UUID",
        "dss download UUID --to my/copy",
        "dss COMMAND --help             # options, and more examples",
        codes=EXIT_CODES,
    ),
)
@click.version_option(package_name="dss-client", prog_name="dss", message="%(prog)s %(version)s")
@shared_options
@click.pass_context
def cli(ctx: click.Context) -> None:
    """The Data Storage System: bundles of files, versioned and immutable, in two clouds.

    A bundle is named by UUID (its newest version), UUID.VERSION, dss://UUID.VERSION, drs://HOST/UUID.VERSION,
    or the URL of its page. A file of it is named by /NAME behind that.
    """
    ctx.ensure_object(Context)


for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line of this process, and exit."""
    # Signed URLs, reports and names may hold any character; a terminal that can't show one gets an escape.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    _exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, that of the process unless given, and return the exit code."""
    context = Context()
    try:
        outcome = cli.main(
            arguments, prog_name="dss", complete_var=VARIABLE, standalone_mode=False, obj=context
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print("dss: interrupted; run the same command again to continue", file=sys.stderr)
        return INTERRUPTED
    except ClientError as error:
        return context.fail(error)
    except BrokenPipeError:
        # The program that read our output (head, say) has ended.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return context.fail(ClientError(str(error)))
    return outcome if isinstance(outcome, int) else 0


def _exit(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if code == INTERRUPTED and any(not thread.daemon for thread in others):
        # Threads that hang in a read would keep the process for a minute. What they did is on disk already:
        # every record is one append or one rename.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
