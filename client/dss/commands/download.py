"""`dss download`: fetch the files of a bundle, or those that a manifest names."""

from typing import Any

import click

from dss.commands.context import DIRECTORY, JOBS, Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.reports import DownloadReport


@click.command(
    epilog=examples(
        "dss download UUID --to my/copy",
        "dss download UUID.VERSION --name '*.json' --name 'raw/*'",
        "dss download https://dss.example.org/browse/bundles/UUID",
        "dss download --manifest brain.tsv --to brain     # of dss manifest, or an old client's",
    )
)
@click.argument("bundle", required=False)
@bundle_version
@click.option(
    "--manifest",
    metavar="FILE|URL|-",
    help="Fetch what a manifest names, in any format of `dss manifest`; - is stdin.",
)
@click.option("--catalog", metavar="NAME", help="The catalogue to look up metadata documents in.")
@click.option(
    "--to",
    type=DIRECTORY,
    metavar="DIR",
    help="Directory to fill  [default: ./UUID.VERSION, or the manifest's name without its ending]",
)
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
def download(
    context: Context,
    /,
    bundle: str | None,
    version: str | None,
    manifest: str | None,
    catalog: str | None,
    range_mib: int,
    **options: Any,
) -> int:
    """Fetch and verify the files of a bundle. Run it again to continue after an interruption.

    A pattern that matches no name is an error, and nothing is fetched. `dss verify DIR` compares later on.

    With --manifest, the files that a list names: a table (TSV) with file_uuid and file_name, a configuration
    of curl, a BDBag, PFB, Parquet, or metadata documents. Each goes to DIR/BUNDLE_UUID.VERSION/NAME, or where
    the configuration says; DIR/downloaded.tsv has the path of each. Run again, it verifies all of them.
    """
    if (bundle is None) == (manifest is None):
        raise click.UsageError("give a BUNDLE, or --manifest FILE")
    if manifest is not None and version:
        raise click.UsageError("--manifest: it takes no --version")
    if manifest is None and catalog:
        raise click.UsageError("--catalog: it needs --manifest")
    with context.progress("download") as progress:
        client = context.client(progress)
        options |= {"range_bytes": range_mib * 2**20, "progress": progress}
        report: DownloadReport
        if manifest is not None:
            report = client.download_manifest(manifest, catalog=catalog, **options)
        else:
            report = client.download(str(bundle), version, **options)
    text = (
        f"{report.directory}\n"
        f"{report.downloaded} files downloaded, {report.skipped} there already, "
        f"{report.bytes:,} bytes verified, {report.seconds:.1f} s"
    )
    return context.conclude(report, text)
