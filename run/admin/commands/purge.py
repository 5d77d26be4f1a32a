"""`dss admin purge`, `purges` and `purge-removal`: remove for good what somebody has withdrawn."""

from typing import Any

import click

from dss.commands.consent import agree, yes
from dss.commands.context import Context, json_option
from dss.commands.help import examples
from dss.errors import InvalidInput
from run.admin.commands import options
from run.admin.commands.runs import start_run


@click.command(
    epilog=examples(
        "dss admin purge UUID --reason 'consent withdrawn'              # a preview, with its code",
        "dss admin purge UUID --reason 'consent withdrawn' --email ada@example.org --confirmation CODE",
        "dss admin purge UUID --undo --email ada@example.org --dry-run",
    )
)
@click.argument("name", metavar="UUID[.VERSION]")
@click.option("--reason", metavar="TEXT", help="Why; those who ask for it later can read it.")
@click.option("--with-files", is_flag=True, help="Also the files of its bundles that no other bundle names.")
@click.option("--email", help="The admin who confirms or undoes it.")
@click.option("--confirmation", metavar="CODE", help="The code of the preview; without it, make a preview.")
@click.option("--undo", is_flag=True, help="Give it back, within the grace period.")
@options.dry_run
@options.run_options
@click.pass_obj
def purge(
    context: Context,
    /,
    name: str,
    reason: str | None,
    with_files: bool,
    email: str | None,
    confirmation: str | None,
    undo: bool,
    **run: Any,
) -> int:
    """Remove a file, bundle or collection for good: first make a preview, then confirm it with its code.

    From the confirmation on nobody sees it. It is removed when the grace period is over; until then --undo
    gives it back. The code stands for --yes: nothing is asked. A preview writes a report; --dry-run does not.
    """
    if undo:
        if reason or confirmation or with_files:
            raise InvalidInput("--undo: it takes no --reason, --with-files and --confirmation")
        return start_run(context, "purge-undo", {"name": name, "email": email}, run)
    if not reason:
        raise InvalidInput("--reason: say why; those who ask for it later can read it")
    chosen = {
        "name": name,
        "reason": reason,
        "with_files": with_files,
        "email": email,
        "confirmation": confirmation,
    }
    return start_run(context, "purge", chosen, run)


@click.command(
    "purge-removal",
    epilog=examples("dss admin purge-removal --dry-run", "dss admin purge-removal --remote --yes"),
)
@options.dry_run
@yes
@options.run_options
@click.pass_obj
def purge_removal(context: Context, /, yes: bool, **run: Any) -> int:
    """Remove what was purged and whose grace period is over, now: else the sweep has it removed."""
    if not run["dry_run"]:
        agree("remove everything that was purged and whose grace period is over", yes=yes)
    return start_run(context, "purge-removal", {}, run)


@click.command(epilog=examples("dss admin purges"))
@json_option
@click.pass_obj
def purges(context: Context) -> int:
    """List what is about to be removed for good, or was, and which purges were undone."""
    from run.admin.purges import show_purges

    return show_purges(context)
