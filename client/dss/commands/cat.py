"""`dss cat`: files of a bundle on stdout."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from dss.commands.bundle_files import some_files_named
from dss.commands.context import Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput

if TYPE_CHECKING:
    from dss.client import Client


@click.command(
    epilog=examples(
        "dss cat UUID/links.json",
        "dss cat 'UUID/tables/*.csv'",
        "dss cat dss://UUID/raw/reads.fastq.gz | gunzip | head",
    )
)
@click.argument("files", metavar="BUNDLE/NAME...", nargs=-1, required=True)
@bundle_version
@shared_options
@click.pass_obj
def cat(context: Context, files: tuple[str, ...], version: str | None) -> int:
    """Write files of a bundle to stdout, one after the other.

    NAME is that of a file, of a directory, or a pattern. Nothing is written unless every NAME is there.
    A file is verified while it is read: the exit code is 1, at its end, if its sha256 is wrong.
    """
    if context.json:
        raise InvalidInput("--json and the file can't both go to stdout; dss ls --json describes it")
    write_files(context.client(), files, version)
    return 0


def write_files(client: "Client", texts: Iterable[str], version: str | None) -> None:
    """Write the files that texts name to stdout. Raises WrongContent at the end of one that is wrong."""
    from dss.opening import remote_of
    from dss.transfer.single_file import write_file

    for file in [file for text in texts for file in some_files_named(client, text, version)]:
        write_file(remote_of(client, file), sys.stdout.buffer)
