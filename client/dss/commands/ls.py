"""`dss ls`: the files of a bundle."""

from dataclasses import asdict

import click

from dss.commands.bundle_files import files_named
from dss.commands.context import Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.listing import BundleFile


@click.command(
    epilog=examples(
        "dss ls UUID",
        "dss ls -l UUID     # size, type and UUID.VERSION, too",
        "dss ls 'UUID/*.json'",
        "dss ls --json drs://dss.example.org/UUID",
    )
)
@click.argument("bundle", metavar="BUNDLE[/NAME]")
@bundle_version
@click.option("-l", "--long", "long_", is_flag=True, help="Also size in bytes, type and UUID.VERSION.")
@shared_options
@click.pass_obj
def ls(context: Context, bundle: str, version: str | None, long_: bool) -> int:
    """List the files of a bundle, one name a line.

    NAME is that of a file, of a directory, or a pattern like 'raw/*.json', which matches across directories.
    """
    listed, files = files_named(context.client(), bundle, version)
    if context.json:
        rows = list(map(asdict, files))
        context.show({"uuid": listed.uuid, "version": listed.version, "files": rows})
        return 0
    width = max((len(f"{file.size}") for file in files), default=0)
    for file in files:
        print(_line(file, width) if long_ else file.name)
    return 0


def _line(file: BundleFile, width: int) -> str:
    return f"{file.size:>{width}}  {file.uuid}.{file.version}  {file.content_type or '-'}  {file.name}"
