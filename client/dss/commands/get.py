"""`dss get`: print one bundle's manifest, or fetch one file."""

import sys
from pathlib import Path

import click

from dss.commands.context import JOBS, Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput
from dss.references import resolve


@click.group()
@shared_options
def get() -> None:
    """Print one bundle's manifest, or fetch one file."""


@get.command(
    "file",
    epilog=examples(
        "dss get file UUID --output cells.csv",
        "dss get file drs://dss.example.org/UUID.VERSION | head",
    ),
)
@click.argument("file")
@click.option("--version", metavar="VERSION", help="Version of the file  [default: the newest]")
@click.option("--output", metavar="PATH", default="-", show_default=True, help="File to write; - is stdout.")
@click.option("--jobs", type=JOBS, default=8, show_default=True, help="Ranges to fetch at once.")
@shared_options
@click.pass_obj
def get_file(context: Context, file: str, version: str | None, output: str, jobs: int) -> int:
    """Fetch and verify one file version, by the UUID of the file; dss cat and dss cp take BUNDLE/NAME."""
    from dss.transfer.single_file import fetch_file, stream_file

    if output == "-":
        if context.json:
            raise InvalidInput("--json and the file can't both go to stdout; give --output PATH")
        client = context.client()
        found = resolve(file, version, url=client.url, kind="file")
        stream_file(client, found.uuid, found.version, sys.stdout.buffer)
        return 0
    with context.progress("get file") as progress:
        client = context.client(progress)
        found = resolve(file, version, url=client.url, kind="file")
        target = Path(output)
        report = fetch_file(client, found.uuid, found.version, target, jobs=jobs, progress=progress)
    return context.conclude(report, f"{output}: {report.bytes:,} bytes verified, {report.seconds:.1f} s")


@get.command(
    "bundle",
    epilog=examples(
        "dss get bundle UUID",
        "dss get bundle UUID.VERSION --presigned-urls",
    ),
)
@click.argument("bundle")
@bundle_version
@click.option("--presigned-urls", is_flag=True, help="Include a signed URL for each file.")
@click.option(
    "--direct-urls", is_flag=True, help="Check out, and include a gs:// or s3:// URL for each file."
)
@shared_options
@click.pass_obj
def get_bundle(
    context: Context, bundle: str, version: str | None, presigned_urls: bool, direct_urls: bool
) -> int:
    """Print a bundle's manifest, with all files, as JSON."""
    context.show(context.client().bundle(bundle, version, presigned=presigned_urls, direct=direct_urls))
    return 0
