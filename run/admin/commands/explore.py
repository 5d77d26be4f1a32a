"""`dss admin explore`: the catalogues by which people find data by facets."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dss.commands.consent import agree, yes
from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options
from run.admin.commands.runs import start_run

Command = TypeVar("Command", bound=Callable[..., Any])

_CATALOGS = click.option(
    "--catalog", "catalogs", metavar="NAME", multiple=True, help="Only this catalogue; repeatable."
)
_SOURCES = click.option(
    "--source",
    "sources",
    metavar="SPEC",
    multiple=True,
    help="Only catalogues of this source, as /index/catalogs has it; * is any characters; repeatable.",
)
_PREFIX = click.option("--prefix", default="", metavar="HEX", help="Only bundles whose UUIDs begin so.")


def _selection(command: Command) -> Command:
    """Give a command the options that say which catalogues, and which bundles."""
    return _CATALOGS(options.replicas(_SOURCES(_PREFIX(command))))


def _chosen(
    catalogs: tuple[str, ...], replicas: tuple[str, ...], sources: tuple[str, ...], prefix: str
) -> dict[str, Any]:
    return {
        "catalogs": list(catalogs),
        "replicas": list(replicas),
        "sources": list(sources),
        "prefix": prefix,
    }


@click.group()
@json_option
def explore() -> None:
    """Watch, check and fill the catalogues: what people find data by facets in."""


@explore.command(epilog=examples("dss admin explore status"))
@_CATALOGS
@json_option
@click.pass_obj
def status(context: Context, catalogs: tuple[str, ...]) -> int:
    """Show what is in each catalogue, what has failed, and how many events it has not followed yet."""
    from run.admin.explore import show_status

    return show_status(context, catalogs)


@explore.command(epilog=examples("dss admin explore failures --catalog hca --max 20"))
@_CATALOGS
@_PREFIX
@options.at_most("List", 1000)
@json_option
@click.pass_obj
def failures(context: Context, catalogs: tuple[str, ...], prefix: str, at_most: int) -> int:
    """List the bundles that are not in a catalogue, and why. Exit code 1 if there are any."""
    from run.admin.explore import show_failures

    return show_failures(context, catalogs, prefix=prefix, at_most=at_most)


@explore.command(
    epilog=examples(
        "dss admin explore check --names-only",
        "dss admin explore check --catalog hca --remote --wait",
    )
)
@_selection
@click.option("--names-only", is_flag=True, help="Do not read documents: faster, but finds no stale bundles.")
@options.run_options
@click.pass_obj
def check(
    context: Context,
    /,
    catalogs: tuple[str, ...],
    replicas: tuple[str, ...],
    sources: tuple[str, ...],
    prefix: str,
    names_only: bool,
    **run: Any,
) -> int:
    """Compare catalogues with the catalog, and change nothing. Exit code 1 if anything is found.

    `reindex` corrects what it finds.
    """
    chosen = {**_chosen(catalogs, replicas, sources, prefix), "names_only": names_only}
    return start_run(context, "explore-check", chosen, run)


@explore.command(
    epilog=examples(
        "dss admin explore reindex --dry-run            # what a check finds",
        "dss admin explore reindex --failed             # those that have failed",
        "dss admin explore reindex --catalog hca --prefix 0a --from bucket",
        "dss admin explore reindex --catalog hca2 --remote --wait",
    )
)
@_selection
@click.option(
    "--from",
    "read_from",
    type=click.Choice(["documents", "bucket"]),
    default="documents",
    show_default=True,
    help="Read metadata documents, or the manifests and files in the bucket.",
)
@click.option("--failed", is_flag=True, help="Only bundles that have failed.")
@click.option("--only-missing", is_flag=True, help="Leave out what this release has indexed.")
@options.dry_run
@options.run_options
@click.pass_obj
def reindex(
    context: Context,
    /,
    catalogs: tuple[str, ...],
    replicas: tuple[str, ...],
    sources: tuple[str, ...],
    prefix: str,
    read_from: str,
    failed: bool,
    only_missing: bool,
    **run: Any,
) -> int:
    """Index bundles again, while the catalogue serves, and remove what does not belong there.

    A run that was stopped goes on by `dss admin runs resume`, or by the same command with --only-missing.
    Exit code 1 if a bundle has failed.
    """
    chosen = _chosen(catalogs, replicas, sources, prefix)
    chosen |= {"from": read_from, "failed": failed, "only_missing": only_missing}
    return start_run(context, "explore-reindex", chosen, run)


@explore.command(
    epilog=examples(
        "dss admin explore deindex --catalog hca --prefix 0a --dry-run",
        "dss admin explore deindex --source 'https://dss.example.org/v1:/*' --yes",
    )
)
@_selection
@options.dry_run
@yes
@options.run_options
@click.pass_obj
def deindex(
    context: Context,
    /,
    catalogs: tuple[str, ...],
    replicas: tuple[str, ...],
    sources: tuple[str, ...],
    prefix: str,
    yes: bool,
    **run: Any,
) -> int:
    """Remove bundles from a catalogue, until they are indexed again."""
    if not run["dry_run"]:
        what = f"bundles whose UUIDs begin with {prefix}" if prefix else "all bundles"
        agree(f"remove {what} from {', '.join((*catalogs, *sources)) or 'no catalogue'}", yes=yes)
    return start_run(context, "explore-deindex", _chosen(catalogs, replicas, sources, prefix), run)


@explore.command("default", epilog=examples("dss admin explore default hca2 --dry-run"))
@click.argument("catalog")
@options.dry_run
@json_option
@click.pass_obj
def set_default(context: Context, catalog: str, dry_run: bool) -> int:
    """Have everybody who names no catalogue ask this one, from now on.

    This counts more than the order in DSS_CATALOGUES.
    """
    from run.admin.explore import make_default

    return make_default(context, catalog, dry_run=dry_run)


@explore.command(epilog=examples("dss admin explore remove hca --dry-run", "dss admin explore remove hca"))
@click.argument("catalog")
@options.dry_run
@yes
@json_option
@click.pass_obj
def remove(context: Context, catalog: str, dry_run: bool, yes: bool) -> int:
    """Remove a catalogue that DSS_CATALOGUES does not list any more, with all that it holds."""
    from run.admin.explore import remove_catalogue

    if not dry_run:
        agree(f"remove catalogue {catalog} with all that it holds", yes=yes)
    return remove_catalogue(context, catalog, dry_run=dry_run)
