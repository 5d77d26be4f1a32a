"""`compact`: compact events into journals, and save subscriptions to the buckets.

Started by Cloud Scheduler.
"""

import functions_framework
import structlog
from flask import Request

from functions.push import Answer
from functions.runtime import system, traced
from shared.clock import Deadline
from shared.errors import DssError, Stopped
from shared.events.journal import compact as compact_replica
from shared.system import Dss
from shared.webhooks.saved_subscriptions import save_subscriptions

_log = structlog.get_logger()
# Seconds after which no further journal is started. The next run continues.
_SECONDS = 240


@functions_framework.http
def compact(request: Request) -> Answer:
    """Write the journals that are due on all replicas, and save subscriptions that have changed.

    A replica that fails does not stop the others. Answers with the number of journals, or 503 and why.
    """
    if request.method != "POST":
        # Health checks use GET.
        return "use POST to start a compaction", 405
    dss = system()
    try:
        dss.switches.check_running()
    except Stopped as error:
        return error.title, 503
    with traced(dss, request, "compact"):
        return _compacted(dss)


def _compacted(dss: Dss) -> Answer:
    deadline = Deadline(dss.clock, _SECONDS)
    written, failure = 0, ""
    for replica in dss.replicas:
        try:
            for journal in compact_replica(dss, replica):
                written += 1
                _log.info("journal written", replica=replica.name, id=journal.id, events=len(journal.entries))
                if deadline.passed:
                    break
        except DssError as error:
            _log.warning("compaction failed", replica=replica.name, reason=error.title)
            failure = error.title
    failure = _saved(dss) or failure
    return (failure, 503) if failure else (str(written), 200)


def _saved(dss: Dss) -> str:
    """Save the subscriptions of all replicas; return what failed, or nothing."""
    failure = ""
    for replica in dss.replicas:
        try:
            if buckets := save_subscriptions(dss, replica.name):
                _log.info("subscriptions saved", replica=replica.name, buckets=buckets)
        except DssError as error:
            _log.warning("subscriptions not saved", replica=replica.name, reason=error.title)
            failure = error.title
    return failure
