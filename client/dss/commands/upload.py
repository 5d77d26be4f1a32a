"""`dss upload`: make a directory a bundle."""

from pathlib import Path
from typing import Any

import click

from dss import tokens
from dss.commands.context import DIRECTORY, FILE, JOBS, Context, shared_options


@click.command()
@click.argument("directory", metavar="DIR", type=DIRECTORY)
@click.option("--bundle-uuid", metavar="UUID", help="UUID of the bundle  [default: a new one]")
@click.option("--version", metavar="VERSION", help="Version of the bundle  [default: now]")
@click.option(
    "--staging",
    metavar="URL",
    help="gs://bucket/prefix or s3://bucket/prefix [DSS_GS_STAGING_BUCKET or DSS_S3_STAGING_BUCKET].",
)
@click.option("--creator-uid", type=int, default=0, show_default=True, help="A number that stands for you.")
@click.option("--jobs", type=JOBS, default=8, show_default=True, help="Files to upload at once.")
@click.option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    help="Names to leave out; repeatable. Hidden files: '.*' and '*/.*'.",
)
@click.option("--state", type=FILE, help="File that records what is done  [default: in ~/.cache/dss]")
@click.option("--keep-staged", is_flag=True, help="Do not remove the staged objects.")
@click.option(
    "--checksum", is_flag=True, help="Read every file again, even if its size, times and inode are the same."
)
@shared_options
@click.pass_obj
def upload(context: Context, /, directory: Path, **options: Any) -> int:
    """Make a directory a bundle. Run it again to continue after an interruption."""
    tokens.check_usable(context.token)
    with context.progress("upload") as progress:
        report = context.client(progress).upload(directory, progress=progress, **options)
    verb = "was there already:" if report.already_there else "uploaded:"
    text = (
        f"{report.uuid}.{report.version}\n"
        f"{verb} {report.files} files, {report.bytes:,} bytes, {report.seconds:.1f} s "
        f"({report.put} files put in this run)"
    )
    return context.conclude(report, text)
