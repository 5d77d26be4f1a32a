"""`dss manifest`: a list of the files in a catalogue that match filters, made by the DSS."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from dss.commands.context import Context, shared_options
from dss.commands.explore import question
from dss.commands.help import examples
from dss.errors import InvalidInput
from dss.explore.filters import SYNTAX, parse_filters

if TYPE_CHECKING:
    from dss.manifests.making import Manifest

# What the DSS makes; it says so itself if it has no such format.
_FORMATS: Mapping[str, str] = {
    "compact": "a table (TSV), with a row for each file",
    "full": "a table with all metadata",
    "curl": "for curl --config",
    "terra.bdbag": "a table for Terra, in a BDBag",
    "terra.pfb": "a PFB for Terra",
    "verbatim.jsonl": "the metadata documents, one a line",
    "verbatim.pfb": "the metadata documents as a PFB",
    "parquet": "for pandas, DuckDB, BigQuery",
}
_STDOUT = "-"


def _formats(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    del context, parameter
    return [CompletionItem(name, help=text) for name, text in _FORMATS.items() if name.startswith(begun)]


def _table_of_formats() -> str:
    return "\n".join(["\b", "Formats:", *(f"  {name:14}  {text}" for name, text in _FORMATS.items())])


@click.command(
    epilog="\n\n".join(
        [
            _table_of_formats(),
            SYNTAX,
            examples(
                "dss manifest --filter organ=brain --filter 'fileFormat=fastq.gz|bam' --output brain.tsv",
                "dss manifest --filter organ=brain --format curl --link",
                "dss manifest --filter organ=brain --output - | dss download --manifest - --to brain",
            ),
        ]
    )
)
@question
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    default="compact",
    show_default=True,
    shell_complete=_formats,
    help="What to make; see below.",
)
@click.option(
    "--output", metavar="PATH", help="File to write; - is stdout  [default: the catalogue's name, as hca.tsv]"
)
@click.option("--link", is_flag=True, help="Print a link to the manifest that needs no token; write no file.")
@shared_options
@click.pass_obj
def manifest(
    context: Context, /, format_: str, filters: tuple[str, ...], output: str | None, link: bool, **asked: Any
) -> int:
    """List the files in a catalogue that match filters: as a table, for curl, for Terra, for pandas.

    Waits until the DSS has made the manifest, and saves it. The same question again is answered at once, as
    long as nothing in the catalogue changes. `dss download --manifest` fetches the files.
    """
    if link and output is not None:
        raise InvalidInput("--link and --output: give one of them")
    if output == _STDOUT and context.json:
        raise InvalidInput("--json and the manifest can't both go to stdout; give --output PATH")
    with context.progress("manifest") as progress:
        found = context.client(progress).manifest(parse_filters(filters), format=format_, **asked)
        found.wait(progress=progress)
        if link:
            context.show(_described(found), found.link)
            return 0
        if output == _STDOUT:
            # Who reads a part of it would take that for all.
            with tempfile.TemporaryFile() as copy:
                found.write(copy, progress=progress)
                copy.seek(0)
                shutil.copyfileobj(copy, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return 0
        path = found.save(Path(output or found.name), progress=progress)
    size = path.stat().st_size
    context.show({**_described(found), "output": str(path), "bytes": size}, f"{path}: {size:,} bytes")
    return 0


def _described(found: "Manifest") -> dict[str, Any]:
    return {
        "catalog": found.catalogue.name,
        "format": found.format,
        "link": found.link,
        "commands": dict(found.commands),
    }
