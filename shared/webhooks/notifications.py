"""Notifications: what a subscriber receives for an event, and the message that carries it.

A notification follows from the event and the subscription alone, but for the number of the attempt: a
repeated notification is equal to the first.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from shared.api_path import api_url
from shared.catalog import Delivery, DeliveryState, Subscription
from shared.errors import IllegalArguments
from shared.messages import BundleEvent

# The namespace of the ids of deliveries, which must never change.
_NAMES = uuid.UUID("6d7a5d1e-2a53-5f0b-8f0e-51c1f5f1f0a4")
# The event type of a sample; those of events are in the contract.
SAMPLE = "TEST"


@dataclass(frozen=True, kw_only=True)
class Notification:
    """A notification of one subscriber of one event. `replay` is the id of its replay, if any.

    `payload` is the content that is sent, without `attempt`.
    """

    id: str
    subscription: str
    event: BundleEvent
    payload: Mapping[str, Any]
    replay: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of its message."""
        replay = {"replay": self.replay} if self.replay else {}
        return {
            **self.event.attributes,
            "deliveryId": self.id,
            "subscription": self.subscription,
            **replay,
        }

    @property
    def data(self) -> bytes:
        """The data of its message."""
        return json.dumps(self.payload).encode()

    @classmethod
    def parse(cls, attributes: Mapping[str, str], data: bytes) -> "Notification":
        """Return the notification of a message. Raises IllegalArguments if it is not one."""
        try:
            return cls(
                id=attributes["deliveryId"],
                subscription=attributes["subscription"],
                event=BundleEvent.parse(attributes),
                payload=json.loads(data),
                replay=attributes.get("replay", ""),
            )
        except (KeyError, ValueError) as error:
            raise IllegalArguments(f"this is not a notification: {error}") from error


def delivery_id(subscription: Subscription, event: BundleEvent) -> str:
    """Return the id of the delivery of an event to a subscription, the same each time."""
    return str(uuid.uuid5(_NAMES, f"{subscription.uuid}/{event.id}"))


def new_delivery(
    event: BundleEvent, *, delivery_id: str, subscription: str, created: datetime, replay: str = ""
) -> Delivery:
    """Return the delivery of an event to a subscription, before its first attempt."""
    return Delivery(
        id=delivery_id,
        subscription=subscription,
        event_id=event.id,
        event_type=event.type,
        bundle_uuid=event.uuid,
        bundle_version=event.version,
        state=DeliveryState.WAITING,
        created=created,
        replay=replay,
    )


def notification_of(
    base_url: str,
    subscription: Subscription,
    event: BundleEvent,
    attachments: Mapping[str, Any],
    *,
    replay: str = "",
) -> Notification:
    """Return the notification of an event that matches a subscription."""
    delivery = delivery_id(subscription, event)
    api = api_url(base_url)
    query = urlencode({"replica": event.replica, "version": event.version})
    payload: dict[str, Any] = {
        "transaction_id": delivery,
        "subscription_id": subscription.uuid,
        "event_id": event.id,
        "event_type": event.type,
        "event_timestamp": event.timestamp,
        "dss_api": api,
        "bundle_url": f"{api}/bundles/{event.uuid}?{query}",
        "match": {"bundle_uuid": event.uuid, "bundle_version": event.version},
    }
    if subscription.es_query is not None:
        payload["es_query"] = subscription.es_query
    if subscription.jmespath_query is not None:
        payload["jmespath_query"] = subscription.jmespath_query
    if subscription.attachments:
        payload["attachments"] = dict(attachments)
    return Notification(
        id=delivery, subscription=subscription.uuid, event=event, payload=payload, replay=replay
    )


def sample_of(base_url: str, subscription: Subscription, timestamp: str) -> Notification:
    """Return a notification of an invented event of an invented bundle, to test a subscription."""
    event = BundleEvent(
        id=str(uuid.uuid4()),
        replica=subscription.replica,
        type=SAMPLE,
        uuid=str(uuid.uuid4()),
        version=timestamp,
        timestamp=timestamp,
    )
    return notification_of(base_url, subscription, event, dict.fromkeys(subscription.attachments))
