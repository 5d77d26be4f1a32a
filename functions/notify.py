"""`notify`: who is to hear of an event gets a delivery. Started by Pub/Sub, `bundle-events` and `replays`."""

from functools import cache

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, handle
from functions.runtime import system
from shared.messages import BundleEvent
from shared.webhooks.evaluation import Evaluation
from shared.webhooks.matching import Notifier, ReplayPage

_log = structlog.get_logger()


@cache
def _notifier() -> Notifier:
    return Notifier(system(), Evaluation())


@functions_framework.http
def notify(request: Request) -> Answer:
    """Publish the deliveries of an event, or of a page of a replay. Both may come twice, and in any order."""

    def work(message: Message) -> None:
        if "replay" in message.attributes:
            page = ReplayPage.parse(message.attributes)
            matched = _notifier().replay_page(page)
            _log.info("replayed", replay=page.id, subscription=page.subscription, matched=matched)
        else:
            event = BundleEvent.parse(message.attributes)
            matched = _notifier().notify(event)
            _log.info("matched", id=event.id, replica=event.replica, matched=matched)

    return handle(system(), request, work)
