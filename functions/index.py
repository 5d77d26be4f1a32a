"""`index`: journal, index and publish events of new bundles. Started by Pub/Sub, topic `object-events`."""

from contextlib import suppress

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
from shared.errors import IllegalArguments
from shared.events.publishing import publish_event
from shared.maintenance.sweep import leave_alone, publication_on
from shared.messages import BundleEvent, ObjectEvent
from shared.system import Dss

_log = structlog.get_logger()


@functions_framework.http
def index(request: Request) -> Answer:
    """Publish the events of a new manifest or tombstone. Object events may be repeated, and in any order."""
    return handle(system(), request, EventPublication(system()))


class EventPublication(PushHandler):
    """Publishes the bundle events that follow from an object event."""

    traced_by_object = True

    def __init__(self, dss: Dss) -> None:
        self._dss = dss

    def process(self, message: Message) -> None:
        """Publish the events of the manifest or tombstone, and log each."""
        publish_event(self._dss, ObjectEvent.parse(message.attributes), _log_published)

    def give_up(self, message: Message, reason: str, error: Exception | None) -> None:
        """Have sweeps leave the event alone."""
        del reason
        with suppress(IllegalArguments):
            event = ObjectEvent.parse(message.attributes)
            leave_alone(self._dss, event, publication_on(event.replica), error)


def _log_published(event: BundleEvent) -> None:
    bundle = f"{event.uuid}.{event.version}"
    _log.info("published", replica=event.replica, type=event.type, bundle=bundle, id=event.id)
