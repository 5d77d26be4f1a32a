"""`deliver` and `redeliver`: a subscriber hears of an event. Started by Pub/Sub, a lane each.

`deliver` tries once what is new (`deliveries`); `redeliver` tries the rest until it is done, or too old
(`delivery-retries`).
"""

from collections.abc import Callable
from functools import cache

import functions_framework
from flask import Request

from functions.push import Answer, Message, handle
from functions.runtime import system
from shared.webhooks.callbacks import Callbacks, networks_of
from shared.webhooks.delivery import Deliverer
from shared.webhooks.notifications import Notification


@cache
def _deliverer() -> Deliverer:
    dss = system()
    return Deliverer(dss, Callbacks(networks_of(dss.settings.callback_networks)))


@functions_framework.http
def deliver(request: Request) -> Answer:
    """Send a notification for the first time. What fails is tried again in the other lane."""
    return _handled(request, _deliverer().first)


@functions_framework.http
def redeliver(request: Request) -> Answer:
    """Send a notification again. What fails is answered 503, and comes again, until it is too old."""
    return _handled(request, _deliverer().again)


def _handled(request: Request, send: Callable[[Notification], None]) -> Answer:
    def work(message: Message) -> None:
        send(Notification.parse(message.attributes, message.data))

    def give_up(message: Message, reason: str) -> None:
        _deliverer().give_up(Notification.parse(message.attributes, message.data), reason)

    return handle(system(), request, work, give_up=give_up)
