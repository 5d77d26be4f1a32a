"""`sweep`: what has been missing too long is brought to mind again. Started by Cloud Scheduler."""

from dataclasses import asdict
from datetime import timedelta

import functions_framework
import structlog
from flask import Request

from functions.push import Answer
from functions.runtime import system
from shared.checkouts.jobs import resume_abandoned_checkouts
from shared.checkouts.mails import send_due_mails
from shared.copying.large import resume_abandoned
from shared.copying.uploads import abort_abandoned
from shared.errors import Unavailable
from shared.jobs.steps import end_abandoned
from shared.maintenance.sweep import backlogs, unjournalled, unpublished
from shared.maintenance.sweep import sweep as sweep_all
from shared.system import Dss

_log = structlog.get_logger()

# By the names that terraform's metrics look for.
BACKLOGS = (
    ("replication backlog", backlogs),
    ("event backlog", unpublished),
    ("journal backlog", unjournalled),
)


@functions_framework.http
def sweep(request: Request) -> Answer:
    """Publish again what was lacked for too long, resume or end what was left half-done, log the backlogs."""
    if request.method != "POST":
        # Whoever only looks whether the function is there starts nothing.
        return "a sweep is started by POST", 405
    dss = system()
    try:
        published = sweep_all(dss, older_than=timedelta(seconds=dss.settings.sweep_seconds))
        resumed = resume_abandoned(dss)
        if resumed:
            _log.warning("copies resumed that nobody worked on", jobs=resumed)
        if checkouts := resume_abandoned_checkouts(dss):
            _log.warning("checkouts resumed that nobody worked on", jobs=checkouts)
        if ended := end_abandoned(dss):
            _log.warning("administrative runs ended that nobody worked on", runs=ended)
        if told := send_due_mails(dss):
            _log.info("mails sent that were due", mails=told)
        _measure(dss)
        # Last, for it asks the stores, which may refuse: what went before is done by then.
        if aborted := abort_abandoned(dss):
            _log.warning("uploads aborted that nobody will finish", uploads=aborted)
    except Unavailable as error:
        return error.title, 503
    return str(published), 200


def _measure(dss: Dss) -> None:
    """Log the backlogs of each replica: what metrics and alerts are made of."""
    for what, measured in BACKLOGS:
        for backlog in measured(dss):
            _log.info(what, **asdict(backlog))
