"""`dss explore`: find files, samples, projects and bundles in a catalogue by what they are."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput
from dss.explore.columns import (
    Row,
    aligned_lines,
    cell,
    chosen_columns,
    flat,
    late_columns,
    lists_of,
    tsv_lines,
    widths_of,
)
from dss.explore.filters import SYNTAX, parse_filters

if TYPE_CHECKING:
    from dss.explore.entities import Entities

Command = TypeVar("Command", bound=Callable[..., Any])

# Rows of which the widths and the columns of a table are made: those of the first page.
_FIRST_ROWS = 100
_WIDEST = 60
# Columns that are named, of those that a table lacks.
_MOST_LATE = 20
_MOST_TERMS = 10
_TYPES: Mapping[str, tuple[str, Sequence[str]]] = {
    "files": (
        "List files.",
        (
            "dss explore files --filter organ=brain --filter 'fileFormat=fastq.gz|bam'",
            "dss explore files --filter fileSize=1000000.. --sort fileSize --order desc --limit 10",
            "dss explore files -q cortex --fields files --tsv > files.tsv",
        ),
    ),
    "samples": ("List samples.", ("dss explore samples --filter 'organ=brain|null' --limit 20",)),
    "projects": ("List projects.", ("dss explore projects -q 'human cortex' --json",)),
    "bundles": (
        "List bundles.",
        ("dss explore bundles --filter organ=brain --fields bundles.bundleUuid --tsv",),
    ),
}


class _Group(click.Group):
    """Has a command for every type of entities, also for those that plug-ins of a DSS add."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or _listing(cmd_name, f"List {cmd_name}.", ())


@click.group(cls=_Group, epilog=SYNTAX)
@shared_options
def explore() -> None:
    """Find files, samples, projects and bundles in a catalogue by what they are.

    Catalogues may have other types of entities, which are listed like those: `dss explore catalogs` has them.
    """


def question(command: Command) -> Command:
    """Give a command the options that say which entities of which catalogue it is about."""
    for option in (
        click.option("--catalog", metavar="NAME", help="The catalogue to ask  [default: the DSS's default]"),
        click.option("-q", "--words", metavar="WORDS", help="Words that must all occur in titles or names."),
        click.option("-f", "--filter", "filters", metavar="FIELD=VALUE", multiple=True, help=_FILTER_HELP),
    ):
        command = option(command)
    return command


_FILTER_HELP = (
    "A field and its value, as organ=brain; `dss explore --help` has all forms. Repeat it for more."
)
_tsv = click.option("--tsv", is_flag=True, help="Print tab-separated values, uncut, with a header.")


def _listing(entity_type: str, about: str, lines: Sequence[str]) -> click.Command:
    @click.command(entity_type, help=about, short_help=about, epilog=examples(*lines) if lines else None)
    @question
    @click.option("--sort", metavar="FIELD", help="The field to sort by.")
    @click.option("--order", type=click.Choice(["asc", "desc"]), help="Ascending or descending.")
    @click.option("--limit", type=click.IntRange(1), help="List at most this many.")
    @click.option(
        "--fields",
        metavar="NAMES",
        help="Columns, as files.name,files.size; `files` or files.* is all of a list, * is everything.",
    )
    @_tsv
    @shared_options
    @click.pass_obj
    def listing(context: Context, /, fields: str | None, tsv: bool, **asked: Any) -> int:
        _one_form(context, tsv)
        columns = [name.strip() for name in (fields or "").split(",") if name.strip()]
        found = _asked(context, entity_type, fields=lists_of(columns), **asked)
        if context.json:
            hits = list(found)
            context.show({"catalog": found.catalogue.name, "total": found.total, "hits": hits})
            return 0
        shown, late = _print_rows(found, columns, tsv=tsv)
        if shown < found.total:
            context.progress("").note(f"{shown:,} of {found.total:,} {entity_type}")
        if late:
            listed = ", ".join(late[:_MOST_LATE]) + (", …" if len(late) > _MOST_LATE else "")
            context.progress("").note(
                f"without columns that the first {_FIRST_ROWS} rows lack; --fields can name them: {listed}"
            )
        return 0

    return listing


for _name, (_about, _lines) in _TYPES.items():
    explore.add_command(_listing(_name, _about, _lines))


@explore.command(
    "facets",
    epilog=examples(
        "dss explore facets --type samples",
        "dss explore facets organ genusSpecies --filter fileFormat=fastq.gz",
    ),
)
@click.argument("names", metavar="[FACET]...", nargs=-1)
@click.option("--type", "entity_type", default="files", show_default=True, help="What to count.")
@question
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=f"Values of each facet to show  [default: {_MOST_TERMS}; with --tsv or --json all]",
)
@_tsv
@shared_options
@click.pass_obj
def facets(
    context: Context, /, names: tuple[str, ...], entity_type: str, limit: int | None, tsv: bool, **asked: Any
) -> int:
    """Count the values of facets, the most frequent first. A facet's own filter does not limit its values."""
    _one_form(context, tsv)
    found = _asked(context, entity_type, **asked)
    counted = found.term_facets(*names)
    if limit is None and not (tsv or context.json):
        limit = _MOST_TERMS
    for facet in counted.values():
        facet["terms"] = facet["terms"][:limit]
    if context.json:
        context.show({"catalog": found.catalogue.name, "entity_type": entity_type, "termFacets": counted})
        return 0
    rows = [
        [name, f"{term['count']}", "null" if term["term"] is None else cell(term["term"])]
        for name, facet in counted.items()
        for term in facet["terms"]
    ]
    _print_table(["facet", "count", "value"], rows, tsv=tsv)
    return 0


@explore.command("summary", epilog=examples("dss explore summary --filter organ=brain"))
@question
@shared_options
@click.pass_obj
def summary(context: Context, /, **asked: Any) -> int:
    """Print numbers of all that matches: files, their size, and so on, of all types of entities."""
    found = _asked(context, "files", **asked).summary()
    context.show(found, "\n".join(_summary_lines(found)))
    return 0


@explore.command("catalogs", epilog=examples("dss explore catalogs"))
@shared_options
@click.pass_obj
def catalogs(context: Context) -> int:
    """List the catalogues, the default one first, with what can be listed in each."""
    found = context.client().catalogues()
    rows = [[each.name, each.plugin, ", ".join(each.entity_types)] for each in found]
    if context.json:
        names = ("name", "plugin", "entity_types")
        context.show({"catalogs": [{name: getattr(each, name) for name in names} for each in found]})
        return 0
    _print_table(["catalog", "plug-in", "types"], rows, tsv=False)
    return 0


def _asked(context: Context, entity_type: str, *, filters: tuple[str, ...], **asked: Any) -> "Entities":
    return context.client().explore(entity_type, parse_filters(filters), **asked)


def _one_form(context: Context, tsv: bool) -> None:
    if tsv and context.json:
        raise InvalidInput("--json and --tsv: give one of them")


def _print_rows(found: "Entities", columns: Sequence[str], *, tsv: bool) -> tuple[int, list[str]]:
    """Print hits as they come; return how many, and the columns that come too late to be in the header."""
    hits = iter(found)
    first_hits = list(islice(hits, _FIRST_ROWS))
    first = list(map(flat, first_hits))
    header = chosen_columns(found.entity_type, columns, first, {name for hit in first_hits for name in hit})
    counter = _Counter(chain(first, map(flat, hits)))
    rows = ([cell(row.get(name)) for name in header] for row in counter)
    if first:
        _print_table(header, rows, tsv=tsv)
    elif tsv:
        print("\t".join(header))
    return counter.count, late_columns(found.entity_type, columns, header, counter.names)


class _Counter:
    """Counts rows while they are yielded, and keeps the names of what they have."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.count = 0
        self.names: dict[str, None] = {}

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            self.names.update(dict.fromkeys(name for name, value in row.items() if value is not None))
            yield row


def _print_table(header: list[str], rows: Sequence[list[str]] | Iterator[list[str]], *, tsv: bool) -> None:
    if tsv:
        # A file of values is the same everywhere; only a terminal gets escapes.
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")  # type: ignore[union-attr]
        for line in tsv_lines(header, rows):
            print(line)
        return
    rest = iter(rows)
    first = [header, *islice(rest, _FIRST_ROWS)]
    widths = widths_of(first, _WIDEST)
    for line in aligned_lines(chain(first, rest), widths):
        print(line)


def _summary_lines(found: Mapping[str, Any]) -> Iterator[str]:
    width = max(map(len, found), default=0)
    for name, value in found.items():
        parts = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        for part in parts:
            yield f"{name:{width}}  {_summary_text(part)}".rstrip()


def _summary_text(value: Any) -> str:
    if not isinstance(value, dict):
        return cell(value)
    return "  ".join(f"{name} {cell(each)}" for name, each in value.items())
