"""`dss cat`: files of a bundle on stdout."""

import shutil
import sys
from typing import BinaryIO

import click

from dss.commands.context import Context, bundle_version, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput


@click.command(
    epilog=examples(
        "dss cat UUID/links.json",
        "dss cat dss://UUID/raw/reads.fastq.gz | gunzip | head",
    )
)
@click.argument("files", metavar="BUNDLE/NAME...", nargs=-1, required=True)
@bundle_version
@shared_options
@click.pass_obj
def cat(context: Context, files: tuple[str, ...], version: str | None) -> int:
    """Write files of a bundle to stdout, one after the other.

    A file is verified while it is read: the exit code is 1, at its end, if its sha256 is wrong.
    """
    if context.json:
        raise InvalidInput("--json and the file can't both go to stdout; dss ls --json describes it")
    for file in files:
        write_file(context, file, version, sys.stdout.buffer)
    return 0


def write_file(context: Context, file: str, version: str | None, output: BinaryIO) -> None:
    """Write a file of a bundle, given as BUNDLE/NAME. Raises WrongContent at its end if that is wrong."""
    with context.client().open(file, version=version) as source:
        shutil.copyfileobj(source, output, 1024 * 1024)
    output.flush()
