"""Watch catalogues, make one the default, and remove one, for `dss admin explore`."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.operator import operator_settings
from run.admin.report import table
from shared.catalogue_indexing import RELEASE
from shared.explore.base import FAILED, INDEXED, STATES, by_state
from shared.explore.catalogues import Catalogue
from shared.explore.upkeep import StoredCatalogue
from shared.identifiers import version_of
from shared.maintenance.catalogue_backlog import backlog_of
from shared.maintenance.catalogue_rows import chosen
from shared.system import Dss
from shared.wiring import open_system


def show_status(context: Context, names: Sequence[str]) -> int:
    """Show the named catalogues (default: all). Return 0."""
    with operator_settings() as settings:
        dss = open_system(settings)
        catalogues = chosen(dss, names)
        default = next(iter(dss.catalogues.catalogues()))
        rows = {each.name: _status(dss, each, is_default=each.name == default) for each in catalogues}
        unused = [] if names else [each.name for each in _not_listed(dss)]
    columns = (*STATES, "to be tried again", "waiting", "oldest")
    lines = [["catalogue", *columns]]
    for name, row in rows.items():
        shown = f"{name} (default)" if row["default"] else name
        numbers = [f"{row['bundles'][state]:,}" for state in STATES]
        lines.append(
            [
                shown,
                *numbers,
                f"{row['to_be_tried_again']:,}",
                f"{row['waiting']:,}",
                _age(row["oldest_seconds"]),
            ]
        )
    text = table(lines)
    text += [each.refusal for each in catalogues if each.refusal]
    text += [f"{name}: DSS_CATALOGUES does not list it; `dss admin explore remove {name}`" for name in unused]
    context.show({"catalogs": rows, "not_listed": unused, "release": RELEASE}, "\n".join(text))
    return 0


def _status(dss: Dss, catalogue: Catalogue, *, is_default: bool) -> dict[str, Any]:
    counts = dss.catalogues.upkeep.counts(catalogue)
    backlog = backlog_of(dss, catalogue)
    return {
        "default": is_default,
        "plugin": catalogue.setting.plugin,
        "source": catalogue.source["spec"],
        "replica": catalogue.setting.replica,
        "bundles": by_state(counts),
        "to_be_tried_again": sum(
            count for (state, release), count in counts.items() if state == FAILED and release != RELEASE
        ),
        "not_written": catalogue.refusal,
        "waiting": backlog.objects,
        "oldest_seconds": backlog.oldest_seconds,
    }


def _age(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds else "-"


def show_failures(context: Context, names: Sequence[str], *, prefix: str, at_most: int) -> int:
    """List the failed bundle versions of the named catalogues (default: all). Return 1 if any, else 0."""
    rows: list[dict[str, Any]] = []
    with operator_settings() as settings:
        dss = open_system(settings)
        for catalogue in chosen(dss, names):
            held = dss.catalogues.upkeep.held(catalogue, prefix=prefix, only_failed=True)
            rows += [
                {
                    "catalogue": catalogue.name,
                    "fqid": str(one.fqid),
                    "reason": one.reason,
                    "release": one.release,
                    "since": version_of(one.changed),
                }
                for one in islice(held, at_most)
            ]
    lines = [f"{row['catalogue']}  {row['fqid']}  release {row['release']}: {row['reason']}" for row in rows]
    context.show({"count": len(rows), "failures": rows}, "\n".join([*lines, f"{len(rows):,} failures"]))
    return 1 if rows else 0


def make_default(context: Context, name: str, *, dry_run: bool) -> int:
    """Make a catalogue the default one, and show how it compares with the one before. Return 0."""
    with operator_settings() as settings:
        dss = open_system(settings)
        [catalogue] = chosen(dss, [name])
        before = next(iter(dss.catalogues.catalogues().values()))
        bundles = {each.name: _indexed(dss, each) for each in (before, catalogue)}
        if not dry_run:
            dss.catalogues.upkeep.make_default(name)
    verb = "would be" if dry_run else "is"
    text = f"{name} {verb} the default: {bundles[name]:,} bundles"
    if before.name != name:
        text += f"; {before.name}, until now, has {bundles[before.name]:,}"
    result = {"default": name, "before": before.name, "bundles": bundles, "dry_run": dry_run}
    context.show(result, text)
    return 0


def _indexed(dss: Dss, catalogue: Catalogue) -> int:
    return by_state(dss.catalogues.upkeep.counts(catalogue))[INDEXED]


def remove_catalogue(context: Context, name: str, *, dry_run: bool) -> int:
    """Remove a catalogue that nobody uses any more. Return 0. Raises InvalidInput if somebody may."""
    rows = 0
    with operator_settings() as settings, context.progress("remove", unit="objects") as progress:
        dss = open_system(settings)
        if name in dss.catalogues.catalogues():
            raise InvalidInput(f"{name}: take it out of DSS_CATALOGUES first, in all services")
        found = next((each for each in _not_listed(dss) if each.name == name), None)
        if found is None:
            raise InvalidInput(f"{name}: the database has no such catalogue")
        if found.is_default:
            raise InvalidInput(f"{name}: it is the default one; make another one the default first")
        if not dry_run:
            for removed in dss.catalogues.upkeep.remove(found.number):
                rows += removed
                progress.reach(rows)
    text = f"{name} would be removed" if dry_run else f"{name} is removed: {rows:,} rows"
    context.show({"removed": name, "rows": rows, "dry_run": dry_run}, text)
    return 0


def _not_listed(dss: Dss) -> list[StoredCatalogue]:
    known = dss.catalogues.catalogues()
    if not known:
        raise InvalidInput("DSS_CATALOGUES lists no catalogue")
    return [each for each in dss.catalogues.upkeep.stored() if each.name not in known]
