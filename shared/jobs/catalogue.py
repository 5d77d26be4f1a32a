"""`explore-reindex`, `explore-deindex` and `explore-check`: work on the catalogues, one after the other.

Options of all: `catalogs`, `replicas` and `sources` say which catalogues (all), `prefix` which UUIDs. Of a
check: `names_only` (false), which finds nothing stale. Of a reindexing: `from`, `documents` or `bucket`;
`failed` (false): none but those that have failed; `only_missing` (false): leave out what this release has
indexed. A deindexing needs `catalogs`. A line of the report is a finding, or a bundle version that was
changed, has failed, or could not be read.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from shared.catalog import AdminRun
from shared.errors import IllegalArguments
from shared.explore.base import FAILED
from shared.explore.catalogues import Catalogue
from shared.explore.settings import UUID_PREFIX
from shared.identifiers import Fqid
from shared.jobs.argument import Argument
from shared.jobs.page import Page, Slice
from shared.maintenance import catalogue_check as checking
from shared.maintenance.catalogue_reindex import (
    DOCUMENTS,
    READS,
    RIGHT,
    Reindexed,
    Reindexing,
    deindex,
    reindex,
)
from shared.maintenance.catalogue_rows import chosen
from shared.system import Dss

# Documents at once: parsed, each takes some 30 MiB at most, and the function has 1 GiB.
_THREADS = 8


def check_options(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a check. Raises IllegalArguments."""
    return {**_common(dss, argument), "names_only": argument.flag("names_only")}


def check(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Check from the cursor on; see `JobType`. A reindexing would correct what this finds."""
    for catalogue, after in _from(dss, run):
        tally, part = checking.CatalogueTally(), Slice(page)
        for finding in checking.check_catalogue(
            dss,
            catalogue,
            documents=not run.options.get("names_only"),
            tally=tally,
            prefix=run.options["prefix"],
            after=after,
            enough=part.enough,
            threads=_THREADS,
        ):
            page.report(checking.as_json(finding))
        page.counts.update(_counts_of(catalogue.name, tally))
        if part.after:
            return {"catalog": catalogue.name, "after": part.after}
    return None


def reindex_options(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a reindexing. Raises IllegalArguments."""
    options = _common(dss, argument)
    read_from = argument.text("from", DOCUMENTS)
    if read_from not in READS:
        raise IllegalArguments(f"from: {read_from[:80]!r} is none of {', '.join(READS)}")
    flags = {name: argument.flag(name) for name in ("failed", "only_missing")}
    if all(flags.values()):
        raise IllegalArguments("failed, only_missing: give one of them, not both")
    return {**options, "from": read_from, **flags}


def work_reindex(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Reindex from the cursor on; see `JobType`."""
    how = Reindexing(
        prefix=run.options["prefix"],
        read_from=run.options["from"],
        only_failed=run.options["failed"],
        only_missing=run.options["only_missing"],
    )
    for catalogue, after in _from(dss, run):
        # Events before this moment are of bundles that the reindexing meets.
        begun = run.cursor["begun"] if after else dss.catalog.events.last(catalogue.setting.replica)
        part = Slice(page)
        outcomes = reindex(dss, catalogue, how, after=after, enough=part.enough, threads=_THREADS)
        _report(page, catalogue, outcomes)
        if part.after:
            return {"catalog": catalogue.name, "after": part.after, "begun": begun}
        if how.is_whole and begun:
            dss.catalogues.upkeep.advance(catalogue, begun)
    return None


def preview_reindex(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report what would be corrected, or tried again, from the cursor on; see `JobType`."""
    return _listed(dss, run, page, only_failed=True) if run.options["failed"] else check(dss, run, page)


def deindex_options(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a deindexing. Raises IllegalArguments."""
    return _common(dss, argument, named=True)


def work_deindex(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Deindex from the cursor on; see `JobType`."""
    for catalogue, after in _from(dss, run):
        part = Slice(page)
        outcomes = deindex(
            dss,
            catalogue,
            prefix=run.options["prefix"],
            after=after,
            enough=part.enough,
            threads=_THREADS,
        )
        _report(page, catalogue, outcomes)
        if part.after:
            return {"catalog": catalogue.name, "after": part.after}
    return None


def preview_deindex(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report what would be removed from the cursor on; see `JobType`."""
    return _listed(dss, run, page, only_failed=False)


def _listed(dss: Dss, run: AdminRun, page: Page, *, only_failed: bool) -> dict[str, Any] | None:
    """Report what catalogues hold, or what has failed, from the cursor on."""
    for catalogue, after in _from(dss, run):
        held = dss.catalogues.upkeep.held(
            catalogue, after=after, prefix=run.options["prefix"], only_failed=only_failed
        )
        for one in held:
            reason = {"reason": one.reason} if one.reason else {}
            page.report({"catalogue": catalogue.name, "fqid": str(one.fqid), "state": one.state, **reason})
            page.count(versions=1)
            if page.taken():
                return {"catalog": catalogue.name, "after": str(one.fqid)}
    return None


def _common(dss: Dss, argument: Argument, *, named: bool = False) -> dict[str, Any]:
    """Return the options of all; if they must be `named`, no catalogues stand for all."""
    names, sources = argument.texts("catalogs"), argument.texts("sources")
    if named and not (names or sources):
        raise IllegalArguments("catalogs, sources: name the catalogues from which bundles are to be removed")
    replicas = [dss.replicas.named(name).name for name in argument.texts("replicas")]
    prefix = argument.text("prefix", "")
    if not UUID_PREFIX.fullmatch(prefix):
        raise IllegalArguments(f"prefix: {prefix[:80]!r} is no beginning of a UUID")
    catalogues = [each.name for each in chosen(dss, names, replicas=replicas, sources=sources)]
    return {"catalogs": catalogues, "prefix": prefix}


def _from(dss: Dss, run: AdminRun) -> Iterator[tuple[Catalogue, Fqid | None]]:
    """Yield the catalogues from the cursor on, the first with the bundle version to begin after."""
    names: list[str] = run.options["catalogs"]
    first = run.cursor.get("catalog", names[0])
    after = Fqid.parse(run.cursor["after"]) if run.cursor else None
    # In the order of the run, even if another is the default by now.
    for name in names[names.index(first) :]:
        [catalogue] = chosen(dss, [name])
        yield catalogue, after
        after = None


def _report(page: Page, catalogue: Catalogue, outcomes: Iterator[Reindexed]) -> None:
    for outcome in outcomes:
        if outcome.failed:
            page.count(failed=1)
        else:
            page.counts.update({f"{catalogue.name} {outcome.done}": 1})
            page.count(failed=int(outcome.done == FAILED))
        if outcome.failed or outcome.done != RIGHT:
            said = {"failed": outcome.failed} if outcome.failed else {"done": outcome.done}
            reason = {"reason": outcome.reason} if outcome.reason else {}
            page.report({"catalogue": catalogue.name, "fqid": str(outcome.fqid), **said, **reason})


def _counts_of(name: str, tally: checking.CatalogueTally) -> Counter[str]:
    """Return a tally as named numbers; those of a catalogue begin with its name: `hca stale`."""
    counts = Counter({"findings": tally.findings.total()})
    seen = {"known": tally.known, "held": tally.held, FAILED: tally.failed, "unsettled": tally.unsettled}
    counts.update({f"{name} {what}": number for what, number in seen.items()})
    counts.update({f"{name} {kind}": number for kind, number in tally.findings.items()})
    return counts
