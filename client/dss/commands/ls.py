"""`dss ls`: the files of a bundle."""

from dataclasses import asdict
from fnmatch import fnmatchcase

import click

from dss.commands.context import Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.errors import NoSuchName
from dss.listing import BundleFile, BundleFiles
from dss.references import resolve
from dss.suggestions import suggestion


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
    client = context.client()
    found = resolve(bundle, version, url=client.url, named=True)
    listed = client.files(found.fqid)
    files = matching(listed, found.name) if found.name else list(listed)
    if context.json:
        rows = list(map(asdict, files))
        context.show({"uuid": listed.uuid, "version": listed.version, "files": rows})
        return 0
    width = max((len(f"{file.size}") for file in files), default=0)
    for file in files:
        print(_line(file, width) if long_ else file.name)
    return 0


def matching(files: BundleFiles, name: str) -> list[BundleFile]:
    """Return the files with this name, in a directory of this name, or that it matches as a pattern.

    Raises NoSuchName, which suggests others, if there are none.
    """
    below = name.rstrip("/") + "/"
    exact = [file for file in files if file.name == name or file.name.startswith(below)]
    found = exact or [file for file in files if fnmatchcase(file.name, name)]
    if not found:
        hint = suggestion(name, [file.name for file in files])
        raise NoSuchName(f"bundle {files.fqid} has no file {name!r}, of {len(files)} files{hint}")
    return found


def _line(file: BundleFile, width: int) -> str:
    return f"{file.size:>{width}}  {file.uuid}.{file.version}  {file.content_type or '-'}  {file.name}"
