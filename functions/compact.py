"""`compact`: events that have come by are put into journals of many. Started by Cloud Scheduler."""

import functions_framework
import structlog
from flask import Request

from functions.push import Answer
from functions.runtime import system
from shared.clock import Deadline
from shared.errors import DssError
from shared.events.journal import compact as compact_replica

_log = structlog.get_logger()
# Seconds after which no further journal is begun. What is left is for the next run.
_SECONDS = 240


@functions_framework.http
def compact(request: Request) -> Answer:
    """Make the journals that are due on all replicas; a replica that fails keeps no other one waiting."""
    if request.method != "POST":
        # Whoever only looks whether the function is there starts nothing.
        return "a compaction is started by POST", 405
    dss = system()
    deadline = Deadline(dss.clock, _SECONDS)
    made, failed = 0, ""
    for replica in dss.replicas:
        try:
            for journal in compact_replica(dss, replica):
                made += 1
                _log.info("journal made", replica=replica.name, id=journal.id, events=len(journal.entries))
                if deadline.passed:
                    break
        except DssError as error:
            _log.warning("compaction failed", replica=replica.name, reason=error.title)
            failed = error.title
    return (failed, 503) if failed else (str(made), 200)
