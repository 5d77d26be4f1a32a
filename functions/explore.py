"""`explore`: bring bundle versions into the catalogues. Started by `bundle-events` and `bundle-changes`."""

from functools import cache

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
from shared.catalogue_indexing import Indexer
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
        states = self._indexer.index(change.replica, fqid)
        if states:
            _log.info("indexed", replica=change.replica, bundle=str(fqid), **states)


@cache
def _indexing() -> Indexing:
    return Indexing(Indexer(system()))
