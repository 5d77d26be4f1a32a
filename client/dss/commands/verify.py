"""`dss verify`: compare a directory with the bundle that it holds."""

from pathlib import Path

import click

from dss.commands.context import DIRECTORY, JOBS, Context, bundle_version, shared_options
from dss.commands.diff import CODES, show_comparison
from dss.commands.help import examples


@click.command(
    epilog=examples(
        "dss verify my/copy        # what `dss download UUID --to my/copy` fetched, or `dss upload` sent",
        "dss verify my/copy --bundle UUID",
        codes=CODES,
    )
)
@click.argument("directory", metavar="DIR", type=DIRECTORY)
@click.option("--bundle", metavar="BUNDLE", help="Compare with this bundle  [default: the one it is from]")
@bundle_version
@click.option("--jobs", type=JOBS, default=8, show_default=True, help="Files to read at once.")
@shared_options
@click.pass_obj
def verify(context: Context, directory: Path, bundle: str | None, version: str | None, jobs: int) -> int:
    """Compare a directory with the bundle that was downloaded to it, or that it became.

    Every size and sha256 is compared. Missing (-) and changed (~) files are listed; files that the bundle
    does not have (+) are, too, but are no error. If only some files were downloaded, others are not missed.
    """
    with context.progress("verify") as progress:
        client = context.client(progress)
        comparison = client.verify(directory, bundle, version, jobs=jobs, progress=progress)
    return show_comparison(context, comparison, ok=not (comparison.removed or comparison.changed))
