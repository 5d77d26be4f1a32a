"""`dss import`: make objects that are in a cloud already files and bundles."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dss import tokens
from dss.commands.consent import yes
from dss.commands.context import Context, shared_options
from dss.commands.exit_codes import DONE, FAILED, NOT_FOUND
from dss.commands.help import examples
from dss.errors import OperationFailed
from dss.progress import Phase

if TYPE_CHECKING:
    from dss.api.imports import Import

_CODES = {
    DONE: "it was listed, started, or all went in",
    FAILED: "it failed, or not all can go in, or went in; stderr says what and why",
    NOT_FOUND: "there is no such import",
}
# Lines of the report that are printed; `--json` prints all.
_LISTED = 20
_ID = "00000000-0000-4000-8000-000000000000"


@click.command(
    "import",
    epilog=examples(
        "dss import gs://lab/run-7                       # what it would do, and cost; asks first",
        "dss import gs://lab/run-7 --yes --wait          # each folder in run-7 becomes a bundle",
        "dss import s3://lab/run-7 --depth 0 --yes       # all of it is one bundle",
        "dss import --table samples.tsv --owner-group lab          # columns source_url, bundle, name",
        f"dss import --status {_ID} --wait",
        f"dss import --resume {_ID} --wait",
        codes=_CODES,
    ),
)
@click.argument("source", required=False)
@click.option(
    "--table",
    metavar="FILE|URL",
    help="A table of objects: source_url, bundle and name; tabs between them. URLs may be https.",
)
@click.option(
    "--depth",
    type=click.IntRange(0, 20),
    default=1,
    show_default=True,
    help="How many folders below SOURCE name a bundle; 0: all of it is one.",
)
@click.option(
    "--metadata",
    metavar="GLOB",
    multiple=True,
    help="Names of JSON files that are indexed; repeatable  [default: *.json]",
)
@click.option("--owner-group", metavar="GROUP", help="A group of yours that is to own the bundles.")
@click.option("--creator-uid", type=int, default=0, show_default=True, help="A number that stands for you.")
@click.option("--whole", is_flag=True, help="Leave out bundles of which a file doesn't go in.")
@click.option(
    "--staging",
    metavar="URL",
    help="Where a table is put [DSS_GS_STAGING_BUCKET or DSS_S3_STAGING_BUCKET].",
)
@click.option("--status", "shown", metavar="ID", help="Show an import that was begun earlier.")
@click.option("--resume", "resumed", metavar="ID", help="Start one that is listed, or go on after a failure.")
@click.option("--cancel", "cancelled", metavar="ID", help="End one that is running; what is in stays.")
@click.option("--wait", is_flag=True, help="Wait until it ends, and show how far it has come.")
@yes
@shared_options
@click.pass_obj
def import_objects(
    context: Context,
    /,
    source: str | None,
    table: str | None,
    shown: str | None,
    resumed: str | None,
    cancelled: str | None,
    wait: bool,
    yes: bool,
    **options: Any,
) -> int:
    """Make the objects of SOURCE, a folder gs://BUCKET/FOLDER or s3://BUCKET/FOLDER, files and bundles.

    They don't pass this machine: the DSS lists them, reads them once, and has their cloud copy them. First
    it says what it would do, and what that costs; nothing is done before you agree. What is in already is not
    done again: run the same command to bring what is new. Prints the id of the import.
    """
    given = [one for one in (source, table, shown, resumed, cancelled) if one is not None]
    if len(given) != 1:
        raise click.UsageError("give one of SOURCE, --table, --status, --resume and --cancel")
    tokens.check_usable(context.token)
    client = context.client()
    if cancelled is not None:
        return _show(context, client.find_import(cancelled).cancel())
    if shown is not None:
        found = client.find_import(shown)
        if wait:
            _wait(context, found)
        return _show(context, found)
    if resumed is not None:
        found = client.find_import(resumed)
        if not found.details["ready"]:
            raise OperationFailed(f"import {resumed} is not listed to its end; begin another one")
    else:
        options["metadata"] = options["metadata"] or ("*.json",)
        found = client.plan_import(source, table=table, **options)
        _wait(context, found)
        if not _agreed(context, found, yes=yes):
            return _show(context, found)
    found.start()
    if wait:
        _wait(context, found)
    return _show(context, found)


def _agreed(context: Context, found: "Import", *, yes: bool) -> bool:
    """Return whether to import what is listed: asks on a terminal unless `yes`."""
    if yes:
        return True
    if context.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print("\n".join(_preview(found)), file=sys.stderr)
    _print_report(list(found.report()))
    return click.confirm("Import it?", err=True)


def _wait(context: Context, found: "Import") -> None:
    with context.progress(f"import {found.id}") as progress:
        phases = {"list": progress.phase("list"), "import": progress.phase("import")}
        found.wait(notify=lambda details: _notify(phases, details))
        _notify(phases, found.details)


def _notify(phases: Mapping[str, Phase], details: Mapping[str, Any]) -> None:
    listed, done = details["listed"], details["done"]
    objects, size = listed.get("objects", 0), listed.get("bytes", 0)
    if details["stage"] == "list":
        _reach(phases["list"], objects, size)
        return
    phases["import"].expect(items=objects, size=size)
    items = sum(done.get(name, 0) for name in ("files", "files_there", "failed"))
    _reach(phases["import"], items, done.get("bytes", 0) + done.get("bytes_there", 0))


def _reach(phase: Phase, items: int, size: int) -> None:
    phase.advance(items=items - phase.done.items, size=size - phase.done.size)


def _show(context: Context, found: "Import") -> int:
    """Print an import, with what did not go in; return the exit code."""
    details = found.details
    report = [] if details["status"] == "RUNNING" else list(found.report())
    text = found.id
    if details["stage"] == "list" and details["status"] == "SUCCEEDED":
        text = "\n".join([*_preview(found), f"dss import --resume {found.id} imports it"])
    elif details["stage"] == "import":
        text = "\n".join([found.id, *_done(details)])
    context.show({**details, "report_lines": report}, text)
    if details["status"] == "FAILED":
        print(f"dss: import {found.id} failed: {details.get('cause', 'no cause is given')}", file=sys.stderr)
    _print_report(report)
    return FAILED if report or details["status"] == "FAILED" else DONE


def _preview(found: "Import") -> list[str]:
    listed, cost = found.details["listed"], found.details.get("cost", {})
    lines = [
        f"{listed.get('objects', 0):,} objects, {listed.get('bytes', 0):,} bytes, "
        f"{listed.get('bundles', 0):,} bundles",
    ]
    if listed.get("there"):
        lines.append(
            f"{listed['there']:,} of the objects, {listed.get('bytes_there', 0):,} bytes, are in already"
        )
    if listed.get("wrong"):
        lines.append(f"{listed['wrong']:,} objects or rows can't be imported")
    if cost:
        lines.append(
            f"about {cost['usd_once']:,.2f} USD once, and {cost['usd_a_month']:,.2f} USD a month, by list "
            f"prices of {cost['prices_of']}; --json has them with their sources"
        )
    return lines


def _done(details: Mapping[str, Any]) -> list[str]:
    done = details["done"]
    counts = {
        name: done.get(name, 0) for name in ("files", "files_there", "bundles", "bundles_there", "copying")
    }
    lines = [
        f"{details['status']}: {counts['files']:,} files and {counts['bundles']:,} bundles are new, "
        f"{counts['files_there']:,} and {counts['bundles_there']:,} were there"
    ]
    if counts["copying"]:
        lines.append(f"{counts['copying']:,} large objects are being copied")
    return lines


def _print_report(report: Sequence[Mapping[str, Any]]) -> None:
    if not report:
        return
    print(f"dss: {len(report):,} objects or bundles did not go in as they are:", file=sys.stderr)
    for line in report[:_LISTED]:
        what = line.get("object") or line.get("bundle")
        print(f"  {what}: {line.get('failed') or line.get('incomplete')}", file=sys.stderr)
    if len(report) > _LISTED:
        print(f"  … and {len(report) - _LISTED:,} more (--json lists all)", file=sys.stderr)
