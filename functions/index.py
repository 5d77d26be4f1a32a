"""`index`: what a replica has gained is journalled, indexed and told. Started by Pub/Sub, `object-events`."""

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, handle
from functions.runtime import system
from shared.events.publishing import publish_event
from shared.messages import BundleEvent, ObjectEvent

_log = structlog.get_logger()


@functions_framework.http
def index(request: Request) -> Answer:
    """Tell of what an object event is about. Every event may come twice, late, and in any order."""
    dss = system()

    def note(event: BundleEvent) -> None:
        _log.info(
            "told",
            replica=event.replica,
            type=event.type,
            bundle=f"{event.uuid}.{event.version}",
            id=event.id,
        )

    def work(message: Message) -> None:
        publish_event(dss, ObjectEvent.parse(message.attributes), note)

    return handle(dss, request, work)
