"""`dss cp`: copy files of a bundle to this machine."""

from pathlib import Path

import click

from dss.commands.bundle_files import some_files_named
from dss.commands.cat import write_files
from dss.commands.context import JOBS, Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput
from dss.listing import BundleFile


@click.command(
    epilog=examples(
        "dss cp UUID/links.json links.json",
        "dss cp 'UUID/*.json' metadata/",
        "dss cp UUID/links.json - | head",
    )
)
@click.argument("files", metavar="BUNDLE/NAME...", nargs=-1, required=True)
@click.argument("destination", metavar="DEST")
@bundle_version
@click.option("--jobs", type=JOBS, default=8, show_default=True, help="Ranges to fetch at once.")
@shared_options
@click.pass_obj
def cp(context: Context, files: tuple[str, ...], destination: str, version: str | None, jobs: int) -> int:
    """Copy files of a bundle to DEST: a file, a directory, or - for stdout.

    A directory is there already, or has / at its end. NAME may be that of a directory, or a pattern. A file
    in DEST gets the last step of its name, once its size and sha256 are verified; one of that name is
    replaced. `dss download` keeps whole names.
    """
    from dss.transfer.single_file import fetch_file

    if destination == "-":
        write_files(context.client(), files, version)
        return 0
    listing = context.client()
    chosen = [file for text in files for file in some_files_named(listing, text, version)]
    targets = _targets(chosen, destination)
    with context.progress("cp") as progress:
        client = context.client(progress)
        for target, file in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            fetch_file(client, file.uuid, file.version, target, jobs=jobs, progress=progress)
    copied = [{"name": file.name, "path": str(target), "size": file.size} for target, file in targets.items()]
    context.show({"copied": copied}, "\n".join(map(str, targets)))
    return 0


def _targets(files: list[BundleFile], destination: str) -> dict[Path, BundleFile]:
    """Return where each file goes. Raises InvalidInput if two would go to one path."""
    path = Path(destination)
    if not (destination.endswith("/") or path.is_dir()):
        if len(files) == 1:
            return {path: files[0]}
        raise InvalidInput(
            f"{len(files)} files can't go to one file; {destination}/ would be a new directory for them"
        )
    targets: dict[Path, BundleFile] = {}
    for file in files:
        target = path / file.name.rstrip("/").rpartition("/")[2]
        if target in targets:
            names = f"{targets[target].name!r} and {file.name!r}"
            raise InvalidInput(f"{names} would both be {target}; dss download keeps whole names")
        targets[target] = file
    return targets
