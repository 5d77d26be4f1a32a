"""`dss export`: bundles as directories, bags or research object crates, on a disk or in a bucket."""

from typing import Any

import click

from dss.commands.consent import dry_run
from dss.commands.context import JOBS, Context, shared_options
from dss.commands.help import examples

# All failures are listed.
_ALL = 2**31


@click.command(
    epilog=examples(
        "dss export UUID --to my/bags --as bag",
        "dss export UUID UUID.VERSION --to my/crates --as ro-crate --license https://spdx.org/licenses/CC0-1.0",
        "dss export UUID --to gs://my-bucket/to-share --as bag",
        "dss export UUID --to my/bags --as bag --holey        # the files stay in the DSS",
    )
)
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True)
@click.option(
    "--to",
    metavar="DIR|URL",
    required=True,
    help="A directory, or gs://BUCKET[/PREFIX], s3://BUCKET[/PREFIX].",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["bag", "ro-crate", "plain"]),
    required=True,
    help="BagIt, RO-Crate, or the files alone.",
)
@click.option("--holey", is_flag=True, help="A bag that has URLs of its files, in fetch.txt, and no files.")
@click.option(
    "--license", "license_text", metavar="TEXT", help="License of the data, a URL say, for a crate."
)
@click.option("--jobs", type=JOBS, default=8, show_default=True, help="Files to fetch, or copy, at once.")
@dry_run
@shared_options
@click.pass_obj
def export(
    context: Context,
    /,
    bundles: tuple[str, ...],
    to: str,
    form: Any,
    holey: bool,
    license_text: str | None,
    jobs: int,
    dry_run: bool,
) -> int:
    """Export bundles, each to DIR/UUID.VERSION, complete or not at all. Run it again to do what is missing.

    Files come as with `dss download`, verified, and the manifests have the checksums of the DSS. To a bucket
    of yours the DSS copies, as with `dss checkout --to-bucket`, to bundles/UUID.VERSION there; a bag is at
    bags/UUID.VERSION. Your own credentials write what makes it a bag or a crate, and move it to a prefix.
    Prints where each export is.
    """
    with context.progress("export") as progress:
        if "://" in to:
            context.use_cloud_of(to, "--to")
        report = context.client(progress).export(
            *bundles,
            to=to,
            form=form,
            holey=holey,
            license_text=license_text,
            jobs=jobs,
            dry_run=dry_run,
            progress=progress,
        )
    would = "would be exported" if dry_run else "exported"
    text = "\n".join(
        [
            *report.locations,
            f"{report.exported} bundles {would}, {report.already_there} there already: {report.files} files, "
            f"{report.bytes:,} bytes, {report.seconds:.1f} s",
        ]
    )
    return context.conclude(report, text, most=_ALL)
