"""The state of the system, for operators: parts, each with the command and the page of the docs that help.

Everybody sees what `/internal/health` and `GET /health` tell everybody: which back ends answer, and how far
catalogues are behind.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice

from flask import Flask, current_app

from run.api.bounded_reads import BoundedReads, Unknown
from run.api.call import Call
from run.api.service import BACK_ENDS, BackEnds
from run.browse.operations import HOME
from run.browse.texts import number_text, short
from shared.access import Action, Resource
from shared.catalog import AdminRun, JobState
from shared.errors import Unavailable
from shared.explore.base import FAILED, STATES, by_state
from shared.jobs import steps
from shared.maintenance.sweep import Backlog, backlogs, unjournalled, unpublished
from shared.system import Dss

# The key of an application's reads in its `extensions`.
_READS = "dss.browse_status"
# Seconds that a page waits for back ends, and for which it keeps what they said.
_SECONDS, _KEPT_SECONDS = 7.0, 15.0
# Objects of a kind that are counted for a replica, a read for each thousand.
_MOST_COUNTED = 100_000
# Runs that are looked at, and shown; failures that are shown of each catalogue.
_LOOKED_AT, _SHOWN_RUNS, _SHOWN_FAILURES = 50, 10, 5
# What operators alone see, in refusals.
STATE_OF_SYSTEM = Resource(name="the state of the system")
# The runs that check something, as operations.md asks for once a week.
_CHECKS = ("audit", "index-check", "explore-check")


@dataclass(frozen=True)
class Sources:
    """What parts are read from; the back ends by the checks of `/internal/health`."""

    dss: Dss
    back_ends: BackEnds


@dataclass(frozen=True)
class Cell:
    """A text, and perhaps the page that it leads to."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Row:
    """Cells of a row, and whether somebody has to act."""

    cells: Sequence[Cell]
    is_bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the page: how it is read, and the command and the page of the documentation that help.

    Cells of a row are as many as `heads`. `is_public` is whether everybody sees it.
    """

    title: str
    heads: Sequence[str]
    read: Callable[[Sources], Iterator[Row]]
    command: str
    help: str
    is_public: bool = False


@dataclass(frozen=True)
class Seen:
    """A part, its rows, and why there are none if that is not known."""

    part: Part
    rows: Sequence[Row]
    unknown: str = ""


def install_status(app: Flask) -> None:
    """Keep the reads of an application."""
    app.extensions[_READS] = BoundedReads[Sequence[Row]](len(PARTS), seconds=_SECONDS, kept=_KEPT_SECONDS)


def is_operator(call: Call) -> bool:
    """Return whether the caller may see how the system is; not if it can't be found out who that is.

    Of an admin that costs nothing, so that the page is there when back ends are away.
    """
    try:
        return call.dss.policy.decide(call.reader, Action.ADMINISTER, STATE_OF_SYSTEM).is_allowed
    except Unavailable:
        return False


def parts_seen(call: Call, *, everything: bool) -> list[Seen]:
    """Return the parts with what they say now, or those that everybody sees; after some seconds at most."""
    reads: BoundedReads[Sequence[Row]] = current_app.extensions[_READS]
    sources = Sources(call.dss, current_app.extensions[BACK_ENDS])
    parts = [each for each in PARTS if everything or each.is_public]
    found = reads.ask({each.title: partial(_rows, each, sources) for each in parts})
    return [_seen(each, found[each.title]) for each in parts]


def run_url(run: AdminRun) -> str:
    """Return the page of a run."""
    return f"{HOME}/status/runs/{run.id}"


def _rows(part: Part, sources: Sources) -> Sequence[Row]:
    return list(part.read(sources))


def _seen(part: Part, found: Sequence[Row] | Unknown) -> Seen:
    return Seen(part, (), found.why) if isinstance(found, Unknown) else Seen(part, found)


def _back_ends(sources: Sources) -> Iterator[Row]:
    for name, why in sources.back_ends.states().items():
        yield Row([Cell(name), Cell(why or "answers")], is_bad=bool(why))


def _waiting(sources: Sources) -> Iterator[Row]:
    known = sources.dss.catalogues.catalogues()
    stored = {each.name: each.waiting for each in sources.dss.catalogues.upkeep.stored()} if known else {}
    for name, catalogue in known.items():
        waiting = stored.get(name)
        texts = ("not measured yet", "", "")
        if waiting:
            texts = number_text(waiting.events), _age(waiting.oldest_seconds), _moment(waiting.at)
        yield Row([Cell(name), *map(Cell, texts)], is_bad=bool(catalogue.refusal))


def _replication(sources: Sources) -> Iterator[Row]:
    return map(_backlog, backlogs(sources.dss, most=_MOST_COUNTED))


def _events(sources: Sources) -> Iterator[Row]:
    return map(_backlog, unpublished(sources.dss, most=_MOST_COUNTED))


def _backlog(found: Backlog) -> Row:
    more = "" if found.is_all else " or more"
    texts = (found.replica, number_text(found.objects) + more, _age(found.oldest_seconds))
    return Row(
        [*map(Cell, texts), Cell(number_text(found.left_alone) + more if found.left_alone else "none")],
        is_bad=found.left_alone > 0,
    )


def _journals(sources: Sources) -> Iterator[Row]:
    for each in unjournalled(sources.dss):
        yield Row(list(map(Cell, (each.replica, number_text(each.objects), _age(each.oldest_seconds)))))


def _catalogues(sources: Sources) -> Iterator[Row]:
    for name, catalogue in sources.dss.catalogues.catalogues().items():
        counts = by_state(sources.dss.catalogues.upkeep.counts(catalogue))
        numbers = [number_text(counts[state]) for state in STATES]
        yield Row(
            list(map(Cell, (name, *numbers, catalogue.refusal))),
            is_bad=bool(counts[FAILED] or catalogue.refusal),
        )


def _failures(sources: Sources) -> Iterator[Row]:
    for name, catalogue in sources.dss.catalogues.catalogues().items():
        for held in islice(sources.dss.catalogues.upkeep.held(catalogue, only_failed=True), _SHOWN_FAILURES):
            bundle = Cell(str(held.fqid), f"{HOME}/bundles/{held.fqid.uuid}?version={held.fqid.version}")
            yield Row([Cell(name), bundle, Cell(short(held.reason, 300)), Cell(_moment(held.changed))])


def _jobs(sources: Sources) -> Iterator[Row]:
    catalog = sources.dss.catalog
    for name, jobs in (
        ("large copies", catalog.jobs),
        ("checkouts", catalog.checkouts),
        ("imports", catalog.imports),
        ("manifests", catalog.manifests),
        ("runs", catalog.runs),
    ):
        yield Row([Cell(name), Cell(number_text(jobs.under_way()))])


def _runs(sources: Sources) -> Iterator[Row]:
    for run in sources.dss.catalog.runs.newest(_SHOWN_RUNS):
        cells = (run.kind, _state(run), _counts(run), _moment(run.created))
        yield Row([Cell(run.id, run_url(run)), *map(Cell, cells)], is_bad=is_bad(run))


def _checks(sources: Sources) -> Iterator[Row]:
    newest = sources.dss.catalog.runs.newest(_LOOKED_AT)
    for kind in _CHECKS:
        run = next((each for each in newest if each.kind == kind), None)
        if run:
            texts = _moment(run.created), _state(run), _counts(run)
            yield Row([Cell(kind, run_url(run)), *map(Cell, texts)], is_bad=is_bad(run))
        else:
            texts = f"not among the last {_LOOKED_AT} runs", "", ""
            yield Row([Cell(kind), *map(Cell, texts)], is_bad=True)


def is_bad(run: AdminRun) -> bool:
    """Return whether an operator has to act on a run."""
    return run.state is JobState.FAILED or steps.has_problems(run.counts, run.result)


def _state(run: AdminRun) -> str:
    return f"{run.state.value}: {short(run.cause, 200)}" if run.cause else run.state.value


def _counts(run: AdminRun) -> str:
    return ", ".join(f"{number_text(number)} {name}" for name, number in sorted(run.counts.items()))


def _age(seconds: float) -> str:
    """Return an age in its largest unit of which there are two, or in seconds; empty for none."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} seconds" if seconds else ""


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


_OPERATIONS, _EXPLORE = "docs/operations.md", "docs/explore-operations.md"
PARTS: Sequence[Part] = (
    Part(
        title="Back ends",
        heads=("Back end", "State"),
        read=_back_ends,
        command="curl --include $DSS_URL/internal/health",
        help=f"{_OPERATIONS}#what-is-wrong",
        is_public=True,
    ),
    Part(
        title="Catalogues: events that they have not followed",
        heads=("Catalogue", "Events", "Age of the oldest", "As measured at"),
        read=_waiting,
        command="dss admin explore status",
        help=f"{_EXPLORE}#backlog",
        is_public=True,
    ),
    Part(
        title="Replication: what replicas lack",
        heads=("Replica", "Objects", "Age of the oldest", "Of these, dead letters"),
        read=_replication,
        command="dss admin replication; dss admin dead-letters list",
        help=f"{_OPERATIONS}#replication",
    ),
    Part(
        title="Events that are not published",
        heads=("Replica", "Events", "Age of the oldest", "Of these, dead letters"),
        read=_events,
        command="dss admin replication; dss admin dead-letters list",
        help=f"{_OPERATIONS}#events",
    ),
    Part(
        title="Events that are in no journal",
        heads=("Replica", "Events", "Age of the oldest"),
        read=_journals,
        command="dss admin audit",
        help=f"{_OPERATIONS}#events",
    ),
    Part(
        title="Catalogues: bundle versions",
        heads=("Catalogue", *(state.capitalize() for state in STATES), "Refusal"),
        read=_catalogues,
        command="dss admin explore status",
        help=f"{_EXPLORE}#status",
    ),
    Part(
        title="Catalogues: failures",
        heads=("Catalogue", "Bundle", "Reason", "Since"),
        read=_failures,
        command="dss admin explore failures",
        help=f"{_EXPLORE}#failures",
    ),
    Part(
        title="Jobs that run",
        heads=("Jobs", "Running"),
        read=_jobs,
        command="dss admin runs list",
        help=f"{_OPERATIONS}#runs",
    ),
    Part(
        title="Last checks",
        heads=("Check", "Begun", "State", "Counts"),
        read=_checks,
        command="dss admin audit --remote --wait",
        help=f"{_OPERATIONS}#audit",
    ),
    Part(
        title="Last runs",
        heads=("Run", "Kind", "State", "Counts", "Begun"),
        read=_runs,
        command="dss admin runs list",
        help=f"{_OPERATIONS}#runs",
    ),
)
