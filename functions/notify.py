"""`notify`: publish a delivery per match of an event. Started by Pub/Sub, `bundle-events` and `replays`."""

from functools import cache

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
from shared.messages import BundleEvent
from shared.webhooks.evaluation import EvaluatorPool
from shared.webhooks.fanout import DeferredEvent, Notifier
from shared.webhooks.replays import Replayer, ReplayPage

_log = structlog.get_logger()


@functions_framework.http
def notify(request: Request) -> Answer:
    """Publish the deliveries of an event, or of a page of a replay. Both may be repeated, in any order."""
    return handle(system(), request, _fan_out())


class FanOut(PushHandler):
    """Publishes the deliveries of events and of pages of replays."""

    def __init__(self, notifier: Notifier, replayer: Replayer) -> None:
        self._notifier = notifier
        self._replayer = replayer

    def process(self, message: Message) -> None:
        """Publish the deliveries of a message: a page of a replay, a deferred event, or an event."""
        if "replay" in message.attributes:
            page = ReplayPage.parse(message.attributes)
            matched = self._replayer.publish_page(page)
            _log.info("replayed", replay=page.id, subscription=page.subscription, matched=matched)
        elif "deferredSince" in message.attributes:
            deferred = DeferredEvent.parse(message.attributes, message.data)
            matched = self._notifier.notify_deferred(deferred)
            _log.info("matched", id=deferred.event.id, replica=deferred.event.replica, matched=matched)
        else:
            event = BundleEvent.parse(message.attributes)
            matched = self._notifier.notify(event)
            _log.info("matched", id=event.id, replica=event.replica, matched=matched)


@cache
def _fan_out() -> FanOut:
    evaluators = EvaluatorPool()
    return FanOut(Notifier(system(), evaluators), Replayer(system(), evaluators))
