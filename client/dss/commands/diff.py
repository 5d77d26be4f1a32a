"""`dss diff`: what two bundle versions, or a bundle and a directory, have not in common."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dss.commands.context import JOBS, Context, shared_options
from dss.commands.exit_codes import DONE, FAILED
from dss.commands.help import examples
from dss.errors import InvalidInput
from dss.references import parse

if TYPE_CHECKING:
    from dss.transfer.comparison import Comparison

CODES = {DONE: "no difference", FAILED: "there are differences, or an error"}


@click.command(
    epilog=examples(
        "dss diff UUID.VERSION UUID      # what the newest version has changed",
        "dss diff UUID my/data",
        codes=CODES,
    )
)
@click.argument("old", metavar="BUNDLE")
@click.argument("new", metavar="BUNDLE|DIR")
@click.option("--jobs", type=JOBS, default=8, show_default=True, help="Files to read at once.")
@shared_options
@click.pass_obj
def diff(context: Context, old: str, new: str, jobs: int) -> int:
    """List the files that differ between two bundle versions, or a bundle and a directory.

    Each line has a name, after + if only the second one has it, - if only the first one has it, ~ if the
    content differs, by size and sha256.
    """
    with context.progress("diff") as progress:
        comparison = context.client(progress).diff(old, _other(new), jobs=jobs, progress=progress)
    return show_comparison(context, comparison, ok=comparison.equal)


def _other(text: str) -> str | Path:
    try:
        parse(text)
    except InvalidInput:
        if Path(text).is_dir():
            return Path(text)
        raise
    return text


def show_comparison(context: Context, comparison: "Comparison", *, ok: bool) -> int:
    """Print a comparison, and return the exit code."""
    marks = {"-": comparison.removed, "+": comparison.added, "~": comparison.changed}
    lines = [f"{mark} {name}" for mark, names in marks.items() for name in names]
    counts = f"{comparison.same:,} files are the same"
    if lines:
        counts += f", {len(comparison.changed):,} changed, {len(comparison.removed):,} missing"
        counts += f", {len(comparison.added):,} added"
    head = f"{comparison.old} -> {comparison.new}: {counts}"
    context.show(comparison.as_json(), "\n".join([*lines, head]))
    return DONE if ok else FAILED
