"""`sweep`: make up for what was missed, resume or end what was abandoned, and log the backlogs.

Started by Cloud Scheduler.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta

import functions_framework
import structlog
from flask import Request

from functions.push import Answer
from functions.runtime import system, traced
from shared.catalog.attempts import ABANDONED_AFTER
from shared.catalogue_manifests.jobs import resume_abandoned_manifests
from shared.checkouts.jobs import resume_abandoned_checkouts
from shared.checkouts.mails import send_due_mails
from shared.copying.large import resume_abandoned
from shared.copying.uploads import abort_abandoned
from shared.errors import Stopped, Unavailable
from shared.imports.jobs import resume_abandoned_imports
from shared.jobs.purge import start_due_removals
from shared.jobs.steps import end_abandoned
from shared.maintenance.catalogue_backlog import catch_up, forget_values
from shared.maintenance.sweep import backlogs, unjournalled, unpublished
from shared.maintenance.sweep import sweep as sweep_all
from shared.system import Dss

_log = structlog.get_logger()

# The names are those of terraform's metrics.
BACKLOGS = (
    ("replication backlog", backlogs),
    ("event backlog", unpublished),
    ("journal backlog", unjournalled),
)
CATALOGUE_BACKLOG = "catalogue backlog"

# What goes on, or ends, if no step has worked on it for long, and what is said of it.
ABANDONED = (
    ("copies resumed", resume_abandoned),
    ("checkouts resumed", resume_abandoned_checkouts),
    ("manifests resumed", resume_abandoned_manifests),
    ("imports resumed", resume_abandoned_imports),
    ("administrative runs ended", end_abandoned),
)


@functions_framework.http
def sweep(request: Request) -> Answer:
    """Publish events of missing objects again, resume or end abandoned work, and log the backlogs.

    Answers with the number of events, and 503 if a part failed; the others are done nevertheless. While an
    operator has stopped the system, it is 503, and nothing is done.
    """
    if request.method != "POST":
        # Health checks use GET.
        return "use POST to start a sweep", 405
    dss = system()
    try:
        dss.switches.check_running()
    except Stopped as error:
        return error.title, 503
    with traced(dss, request, "sweep"):
        return _swept(dss)


def _swept(dss: Dss) -> Answer:
    published, status = 0, 200
    try:
        published = sweep_all(dss, older_than=timedelta(seconds=dss.settings.sweep_seconds))
    except Unavailable as error:
        _log.warning("events not published again", reason=error.title)
        status = 503
    for part in PARTS:
        try:
            part(dss)
        except Unavailable as error:
            _log.warning("part of a sweep failed", part=part.__name__.strip("_"), reason=error.title)
            status = 503
    return str(published), status


def _resume(dss: Dss) -> None:
    """Resume or end what was abandoned; each kind, even if one of them can't be started now.

    While an operator has the system stopped, nobody can work: nothing is abandoned until it has gone on for
    as long again.
    """
    started = dss.switches.current().started
    if started and dss.clock.now() < started + ABANDONED_AFTER:
        return
    failed: Unavailable | None = None
    for what, resume in ABANDONED:
        try:
            if ids := resume(dss):
                _log.warning(f"abandoned {what}", jobs=ids)
        except Unavailable as error:
            failed = error
    if failed:
        raise failed


def _remove(dss: Dss) -> None:
    """Start the removals for good that are due."""
    if start_due_removals(dss):
        _log.info("removal for good started")


def _mail(dss: Dss) -> None:
    """Send the mails that are due."""
    if sent := send_due_mails(dss):
        _log.info("due mails sent", mails=sent)


def _measure(dss: Dss) -> None:
    """Log the backlogs of each replica, from which terraform makes metrics and alerts."""
    for name, measure in BACKLOGS:
        for backlog in measure(dss):
            _log.info(name, **asdict(backlog))


def _catch_up(dss: Dss) -> None:
    """Have catalogues follow what they have missed, log how far behind they are, and forget unused values."""
    try:
        for backlog in catch_up(dss, older_than=timedelta(seconds=dss.settings.sweep_seconds)):
            _log.info(CATALOGUE_BACKLOG, **asdict(backlog))
        if removed := forget_values(dss):
            _log.info("unused values removed from catalogues", values=removed)
    except Unavailable as error:
        # Nothing else waits for the catalogues' database.
        _log.warning("catalogues not measured", reason=error.title)


def _abort(dss: Dss) -> None:
    """Abort uploads that nobody has finished."""
    if aborted := abort_abandoned(dss):
        _log.warning("abandoned uploads aborted", uploads=aborted)


# What a sweep does beside publishing.
PARTS: Sequence[Callable[[Dss], None]] = (_resume, _remove, _mail, _measure, _catch_up, _abort)
