"""`dss upload`: make a directory a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dss import tokens
from dss.commands.consent import dry_run
from dss.commands.context import DIRECTORY, FILE, JOBS, Context, shared_options
from dss.commands.help import examples

if TYPE_CHECKING:
    from dss.reports import UploadReport


@click.command(
    epilog=examples(
        "dss upload my/data --staging gs://my-bucket/staging",
        "dss upload my/data --dry-run",
        "dss upload my/data --update                # changed: a new version of the same bundle",
        "dss upload my/data --bundle-uuid UUID      # a new version of this bundle",
    )
)
@click.argument("directory", metavar="DIR", type=DIRECTORY)
@click.option(
    "--bundle-uuid",
    metavar="UUID",
    help="UUID of the bundle, of which this is a new version  [default: a new one]",
)
@click.option("--version", metavar="VERSION", help="Version of the bundle  [default: now]")
@click.option("--update", is_flag=True, help="Make a new version of the bundle that DIR became last time.")
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
@click.option("--follow-links", is_flag=True, help="Upload also what symbolic links outside of DIR lead to.")
@click.option("--state", type=FILE, help="File that records what is done  [default: in ~/.cache/dss]")
@click.option("--keep-staged", is_flag=True, help="Do not remove the staged objects.")
@click.option(
    "--checksum", is_flag=True, help="Read every file again, even if its size, times and inode are the same."
)
@dry_run
@shared_options
@click.pass_obj
def upload(context: Context, /, directory: Path, **options: Any) -> int:
    """Make a directory a bundle. Run it again to continue after an interruption.

    If DIR was uploaded before and has changed, it is another data set: a new bundle, which shares the files
    that are the same. --update makes a new version of the bundle that DIR became last time, and --bundle-uuid
    one of any bundle. If nothing has changed, nothing is done.
    """
    tokens.check_usable(context.token)
    with context.progress("upload") as progress:
        report = context.client(progress).upload(directory, progress=progress, **options)
    if report.dry_run:
        return context.conclude(report, _would(report))
    verb = "was there already:" if report.already_there else "uploaded:"
    text = (
        f"{report.uuid}.{report.version}\n"
        f"{verb} {report.files} files, {report.bytes:,} bytes, {report.seconds:.1f} s "
        f"({report.put} files put in this run)"
    )
    return context.conclude(report, text)


def _would(report: "UploadReport") -> str:
    """Return what a dry run found, as text."""
    fqid = f"{report.uuid}.{report.version}"
    if report.already_there:
        return f"{fqid} is there already; nothing would be done"
    new = f"a new version of {report.uuid}" if report.uuid else "a new bundle"
    counts = f"{report.files} files, {report.bytes:,} bytes, {report.put} files would be put"
    return f"{fqid if report.version else new} would be made: {counts}"
