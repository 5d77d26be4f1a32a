"""`dss admin read-only`, `stop` and `start`: switch off writes, or all work in the background."""

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options

_REASON = click.option("--reason", required=True, metavar="TEXT", help="Why; health and errors show it.")


@click.group("read-only")
@json_option
def read_only() -> None:
    """Refuse all writes of the API by 503 with a reason, or allow them again. Reads go on.

    DSS_READ_ONLY_MODE refuses them as well, from the start of a process on, and counts first.
    """


@read_only.command("on", epilog=examples("dss admin read-only on --reason 'the catalog is being rebuilt'"))
@_REASON
@options.dry_run
@json_option
@click.pass_obj
def turn_on(context: Context, reason: str, dry_run: bool) -> int:
    """Refuse writes; returns after five seconds, when every process does."""
    from run.admin.switches import set_read_only

    return set_read_only(context, reason, dry_run=dry_run)


@read_only.command("off", epilog=examples("dss admin read-only off"))
@options.dry_run
@json_option
@click.pass_obj
def turn_off(context: Context, dry_run: bool) -> int:
    """Allow writes again; returns after five seconds, when every process does."""
    from run.admin.switches import set_read_only

    return set_read_only(context, None, dry_run=dry_run)


@read_only.command("show", epilog=examples("dss admin read-only show"))
@json_option
@click.pass_obj
def show(context: Context) -> int:
    """Show whether writes are refused, and whether the system is stopped: since when, by whom, and why."""
    from run.admin.switches import show_switches

    return show_switches(context)


@click.command(epilog=examples("dss admin stop --reason 'a bad release' --dry-run"))
@_REASON
@options.dry_run
@json_option
@click.pass_obj
def stop(context: Context, reason: str, dry_run: bool) -> int:
    """Stop all work in the background: subscriptions, schedules and workflows. The API goes on.

    Messages stay in their queues, and workflows wait before their next step, until `start`. Returns after
    some five seconds, when no function begins anything. Safe to repeat.
    """
    from run.admin.switches import stop as stop_system

    return stop_system(context, reason, dry_run=dry_run)


@click.command(epilog=examples("dss admin start"))
@options.dry_run
@json_option
@click.pass_obj
def start(context: Context, dry_run: bool) -> int:
    """Let everything go on that `stop` has stopped. Safe to repeat."""
    from run.admin.switches import start as start_system

    return start_system(context, dry_run=dry_run)
