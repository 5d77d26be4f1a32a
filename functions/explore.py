"""`explore`: bring bundle versions into the catalogues. Started by `bundle-events` and `bundle-changes`."""

from functools import cache

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
from shared.catalogue_indexing import Indexer, catalogues_of
from shared.errors import DssError, NotYetThere, Unavailable
from shared.events.readers import publish_change
from shared.explore.base import FAILED
from shared.identifiers import Fqid
from shared.messages import BUNDLE_CHANGES, BundleChange
from shared.system import Dss

_log = structlog.get_logger()


@functions_framework.http
def explore(request: Request) -> Answer:
    """Index the bundle version of an event or a change. Messages may be repeated, and in any order."""
    return handle(system(), request, _indexing())


class Indexing(PushHandler):
    """Indexes bundle versions of a system."""

    def __init__(self, dss: Dss) -> None:
        self._dss = dss
        self._indexer = Indexer(dss)

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

        Then the sweep brings an event to mind again; a change is published anew. Raises Unavailable if that
        is not possible now.
        """
        try:
            change = BundleChange.parse(message.attributes)
        except DssError:
            # It is about no bundle version.
            return
        fqid = Fqid(change.uuid, change.version)
        try:
            if error is None:
                # Perhaps this message was never tried: deliveries that nothing answers count, too.
                self._indexer.doubt(catalogues_of(self._dss, change.replica, fqid), fqid, reason)
            elif not isinstance(error, Unavailable):
                self._indexer.fail(change.replica, fqid, reason)
            elif not isinstance(error, NotYetThere):
                raise error
        except Unavailable:
            # Nobody must go on finding what a change takes from them.
            if message.subscription == BUNDLE_CHANGES:
                publish_change(self._dss, change.replica, fqid)
        except DssError as failure:
            _log.warning("not recorded as failed", bundle=str(fqid), reason=failure.title)


@cache
def _indexing() -> Indexing:
    return Indexing(system())
