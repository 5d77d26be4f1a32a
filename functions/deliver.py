"""`deliver` and `redeliver`: send notifications to subscribers. Started by Pub/Sub, a topic each.

`deliver` sends each new notification once (`deliveries`); `redeliver` sends those that failed until they are
delivered or too old (`delivery-retries`).
"""

from functools import cache

import functions_framework
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
from shared.webhooks.callbacks import Callbacks, networks_of
from shared.webhooks.delivery import Deliverer
from shared.webhooks.notifications import Notification


@functions_framework.http
def deliver(request: Request) -> Answer:
    """Send a new notification. If the call fails, the notification goes to the retry queue."""
    return handle(system(), request, FirstDelivery(_deliverer()))


@functions_framework.http
def redeliver(request: Request) -> Answer:
    """Send a notification of the retry queue. If the call fails, Pub/Sub retries until it is too old."""
    return handle(system(), request, Redelivery(_deliverer()))


class _Delivery(PushHandler):
    def __init__(self, deliverer: Deliverer) -> None:
        self._deliverer = deliverer

    def give_up(self, message: Message, reason: str, error: Exception | None) -> None:
        """Save that the notification is a dead letter, for the subscription's owner to see."""
        del error
        self._deliverer.give_up(_notification(message), reason)


class FirstDelivery(_Delivery):
    """Sends new notifications."""

    def process(self, message: Message) -> None:
        """Send a notification, or move it to the retry queue."""
        self._deliverer.deliver(_notification(message))


class Redelivery(_Delivery):
    """Sends the notifications of the retry queue."""

    def process(self, message: Message) -> None:
        """Send a notification."""
        self._deliverer.redeliver(_notification(message))


def _notification(message: Message) -> Notification:
    return Notification.parse(message.attributes, message.data)


@cache
def _deliverer() -> Deliverer:
    dss = system()
    return Deliverer(dss, Callbacks(networks_of(dss.settings.callback_networks)))
