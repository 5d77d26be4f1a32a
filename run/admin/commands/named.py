"""`dss admin verify`, `repair` and `sync`: work on named objects instead of the whole store."""

from pathlib import Path
from typing import Any

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options

_WITH_FILES = click.option("--with-files", is_flag=True, help="Also the files of bundles, and their blobs.")


@click.command(
    epilog=examples(
        "dss admin verify bundles/UUID.VERSION --with-files",
        "dss admin verify --list keys.txt --report findings.jsonl",
    )
)
@options.named
@_WITH_FILES
@options.replicas
@options.report
@json_option
@click.pass_obj
def verify(
    context: Context,
    /,
    keys: tuple[str, ...],
    list_: Path | None,
    with_files: bool,
    replicas: tuple[str, ...],
    report: Path | None,
) -> int:
    """Say what named objects are on each replica. Exit code 1 if one is not right.

    A KEY is that of an object in a bucket: files/UUID.VERSION, bundles/UUID.VERSION, blobs/…
    """
    from run.admin import named

    return named.verify(context, keys, list_, names=replicas, with_files=with_files, report=report)


@click.command(epilog=examples("dss admin repair bundles/UUID.VERSION --with-files --dry-run"))
@options.named
@_WITH_FILES
@options.replicas
@options.report
@options.dry_run
@json_option
@click.pass_obj
def repair(
    context: Context,
    /,
    keys: tuple[str, ...],
    list_: Path | None,
    with_files: bool,
    replicas: tuple[str, ...],
    report: Path | None,
    dry_run: bool,
) -> int:
    """Repair named objects as `audit --repair` does. Exit code 1 if one is not right at the end."""
    from run.admin import named

    how: dict[str, Any] = {"names": replicas, "with_files": with_files, "report": report}
    return named.repair(context, keys, list_, **how, dry_run=dry_run)


@click.command(epilog=examples("dss admin sync bundles/UUID.VERSION --with-files --wait 300"))
@options.named
@_WITH_FILES
@options.wait_until("all replicas have them")
@options.dry_run
@json_option
@click.pass_obj
def sync(
    context: Context,
    /,
    keys: tuple[str, ...],
    list_: Path | None,
    with_files: bool,
    wait: float,
    dry_run: bool,
) -> int:
    """Have replicas gain named objects that they lack. Exit code 1 if one is nowhere, or not in time."""
    from run.admin import named

    return named.sync(context, keys, list_, with_files=with_files, wait=wait, dry_run=dry_run)
