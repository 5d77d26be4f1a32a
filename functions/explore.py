"""`explore`: bring bundle versions into the catalogues. Started by `bundle-events` and `bundle-changes`."""

from contextlib import suppress
from functools import cache

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
from shared.catalogue_indexing import Indexer
from shared.errors import DssError, Unavailable
from shared.explore.base import FAILED
from shared.identifiers import Fqid
from shared.messages import BundleChange

_log = structlog.get_logger()


@functions_framework.http
def explore(request: Request) -> Answer:
    """Index the bundle version of an event or a change. Messages may be repeated, and in any order."""
    return handle(system(), request, _indexing())


class Indexing(PushHandler):
    """Indexes bundle versions."""

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer

    def process(self, message: Message) -> None:
        """Index the bundle version that a message is about, as it is now."""
        change = BundleChange.parse(message.attributes)
        fqid = Fqid(change.uuid, change.version)
        outcomes = self._indexer.index(change.replica, fqid)
        for name, outcome in outcomes.items():
            said = {"catalogue": name, "replica": change.replica, "bundle": str(fqid)}
            if outcome.state == FAILED:
                _log.warning("not indexed", **said, reason=outcome.reason)
            else:
                _log.info("indexed", **said, state=outcome.state)

    def give_up(self, message: Message, reason: str, error: Exception | None) -> None:
        """List the bundle version as failed, unless it only waits for something that is away.

        Then the sweep brings it to mind again.
        """
        if isinstance(error, Unavailable):
            return
        # What can't be recorded now waits for the sweep, too.
        with suppress(DssError):
            change = BundleChange.parse(message.attributes)
            self._indexer.fail(change.replica, Fqid(change.uuid, change.version), reason)


@cache
def _indexing() -> Indexing:
    return Indexing(Indexer(system()))
