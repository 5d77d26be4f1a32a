"""`dss download`: fetch the files of a bundle."""

from typing import Any

import click

from dss.commands.context import DIRECTORY, JOBS, Context, bundle_version, shared_options
from dss.commands.help import examples


@click.command(
    epilog=examples(
        "dss download UUID --to my/copy",
        "dss download UUID.VERSION --name '*.json' --name 'raw/*'",
        "dss download https://dss.example.org/browse/bundles/UUID",
    )
)
@click.argument("bundle")
@bundle_version
@click.option("--to", type=DIRECTORY, metavar="DIR", help="Directory to fill  [default: ./UUID.VERSION]")
@click.option("--jobs", type=JOBS, default=8, show_default=True, help="Files, and ranges, to fetch at once.")
@click.option("--name", "names", metavar="GLOB", multiple=True, help="Fetch only these names; repeatable.")
@click.option(
    "--range-mib",
    type=click.IntRange(1, 1024),
    default=32,
    show_default=True,
    help="Fetch larger files in parallel ranges of this many MiB.",
)
@shared_options
@click.pass_obj
def download(context: Context, /, bundle: str, version: str | None, range_mib: int, **options: Any) -> int:
    """Fetch and verify the files of a bundle. Run it again to continue after an interruption.

    A pattern that matches no name is an error, and nothing is fetched. `dss verify DIR` compares later on.
    """
    with context.progress("download") as progress:
        client = context.client(progress)
        range_bytes = range_mib * 2**20
        report = client.download(bundle, version, range_bytes=range_bytes, progress=progress, **options)
    text = (
        f"{report.directory}\n"
        f"{report.downloaded} files downloaded, {report.skipped} there already, "
        f"{report.bytes:,} bytes verified, {report.seconds:.1f} s"
    )
    return context.conclude(report, text)
