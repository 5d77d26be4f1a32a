"""`dss terra`: tables of bundles and files for workspaces of Terra, and exports that it imports."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from dss.atomic_files import replacing
from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.commands.search import query_of
from dss.errors import InvalidInput

Command = TypeVar("Command", bound=Callable[..., Any])
_HOUR = 3600


def selection(command: Command) -> Command:
    """Give a command the bundles and collections that it is about, or a query."""
    command = click.argument("names", metavar="[BUNDLE|COLLECTION]...", nargs=-1)(command)
    text = "All bundles that an Elasticsearch query finds, as JSON or in a file."
    return click.option("--query", metavar="QUERY|@FILE", help=text)(command)


@click.group()
@shared_options
def terra() -> None:
    """Tables of bundles and files for workspaces of Terra, and exports that Terra imports."""


@terra.command(
    "table",
    epilog=examples(
        "dss terra table UUID --table bundle --output bundle.tsv",
        "dss terra table UUID --output file.tsv",
        "dss terra table --query @mine.json > file.tsv",
    ),
)
@selection
@click.option(
    "--table",
    type=click.Choice(["file", "bundle"]),
    default="file",
    show_default=True,
    help="Table to print. The rows of `file` refer to those of `bundle`: upload `bundle` first.",
)
@click.option("--output", metavar="PATH", default="-", show_default=True, help="File to write; - is stdout.")
@shared_options
@click.pass_obj
def print_table(context: Context, names: tuple[str, ...], query: str | None, table: str, output: str) -> int:
    """Print a data table, as TSV to upload to a workspace: a row for each file, or each bundle."""
    from dss.terra.table import table_lines

    if output == "-" and context.json:
        raise InvalidInput("--json and the table can't both go to stdout; give --output PATH")
    lines = table_lines(context.client(), _selected(names, query), table)
    if output == "-":
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")  # type: ignore[union-attr]
        sys.stdout.writelines(lines)
        return 0
    rows = _write(Path(output), lines) - 1
    context.show({"table": table, "rows": rows, "output": output}, f"{output}: {rows:,} rows")
    return 0


@terra.command(
    "export",
    epilog=examples(
        "dss terra export UUID --to gs://my-bucket/exports",
        "dss terra export UUID --to gs://my-bucket/exports --dry-run",
    ),
)
@selection
@click.option("--to", metavar="URL", required=True, help="Bucket of yours to write to, gs://bucket/prefix.")
@click.option(
    "--seconds",
    type=click.IntRange(1),
    default=_HOUR,
    show_default=True,
    help="How long the link works, at most seven days.",
)
@click.option(
    "--terra", metavar="URL", default="https://app.terra.bio", show_default=True, help="The Terra to use."
)
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
@shared_options
@click.pass_obj
def export_selection(context: Context, /, names: tuple[str, ...], query: str | None, **options: Any) -> int:
    """Write a PFB to a bucket, and print the link by which Terra imports it.

    Your Google application default credentials write and sign; they have to be those of a service account.
    Who has the link can read the rows, names and checksums, but not the content of the files.
    """
    from dss.terra.export import export

    done = export(context.client(), _selected(names, query), **options)
    counts = f"{done.bundles:,} bundles, {done.files:,} files, {done.bytes:,} bytes"
    if options["dry_run"]:
        context.show(done.as_json(), f"would be written below {options['to']}: {counts}")
        return 0
    context.progress("").note(f"{done.url}: {counts}")
    context.show(done.as_json(), done.link)
    return 0


def _selected(names: tuple[str, ...], query: str | None) -> Any:
    from dss.terra.selection import Selection

    return Selection(names=names, query=None if query is None else query_of(query))


def _write(path: Path, lines: Iterator[str]) -> int:
    """Write lines to a file, which is there as a whole or as it was; return how many."""
    count = 0
    with replacing(path) as stream:
        for line in lines:
            stream.write(line.encode())
            count += 1
    return count
