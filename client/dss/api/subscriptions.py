"""What a client asks of subscriptions; a part of `dss.client.Client`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from dss.api.calls import Calls

KINDS = ("jmespath", "elasticsearch")


class SubscriptionCalls(Calls):
    """Subscriptions of whoever asks: standing requests to be notified of a replica's events."""

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return all subscriptions of whoever asks, of both kinds, the oldest first within each."""
        found: list[dict[str, Any]] = []
        for kind in KINDS:
            found += self._answered(self._call("GET", "subscriptions", subscription_type=kind))[
                "subscriptions"
            ]
        return found

    def subscription(self, uuid: str, kind: str = "jmespath") -> dict[str, Any]:
        """Return a subscription of a kind, `jmespath` or `elasticsearch`, without its secret."""
        call = self._call("GET", f"subscriptions/{quote(uuid)}", subscription_type=kind)
        found: dict[str, Any] = self._answered(call)
        return found

    def subscribe(self, callback_url: str, **wanted: Any) -> str:
        """Have a URL called with every event that matches, and return the subscription's UUID.

        `wanted` is what else PUT /subscriptions takes: `jmespath_query` or `es_query`, `attachments`,
        `method`, `encoding`, `form_fields`, `payload_form_field`, `hmac_secret_key`, `hmac_key_id`. Repeated,
        this makes another one; what is sent again because there was no answer does not.
        """
        call = self._call("PUT", "subscriptions", {"callback_url": callback_url, **wanted})
        call = replace(call, headers={"Idempotency-Key": str(uuid4())})
        return str(self._answered(call, 201)["uuid"])

    def unsubscribe(self, uuid: str, kind: str = "jmespath") -> None:
        """End a subscription."""
        self._answered(self._call("DELETE", f"subscriptions/{quote(uuid)}", subscription_type=kind))

    def deliveries(self, uuid: str) -> Iterator[Mapping[str, Any]]:
        """Yield what was sent to a subscription in the last days, and what became of it; the newest first."""
        call = self._call("GET", f"subscriptions/{quote(uuid)}/deliveries", per_page=500)
        for page in self._pages(call):
            yield from page["deliveries"]

    def send_sample(self, uuid: str) -> str:
        """Have a sample sent to a subscription, and return the id of its delivery."""
        return str(
            self._answered(self._call("POST", f"subscriptions/{quote(uuid)}/test"), 202)["delivery_id"]
        )

    def replay(self, uuid: str, from_date: str) -> str:
        """Have all events since a time (a version) sent again that match, and return the replay's id."""
        call = self._call("POST", f"subscriptions/{quote(uuid)}/replay", from_date=from_date)
        return str(self._answered(call, 202)["replay_id"])
