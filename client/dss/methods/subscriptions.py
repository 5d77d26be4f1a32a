"""What a client can do with subscriptions."""

from collections.abc import Iterator, Mapping
from typing import Any

from dss.api import subscriptions
from dss.api.session import Session


class SubscriptionMethods(Session):
    """Subscriptions: have a URL of yours called when a bundle appears or is hidden."""

    def subscribe(
        self,
        callback_url: str,
        *,
        jmespath_query: str | None = None,
        es_query: Mapping[str, Any] | None = None,
        attachments: Mapping[str, Any] | None = None,
        method: str | None = None,
        encoding: str | None = None,
        form_fields: Mapping[str, str] | None = None,
        payload_form_field: str | None = None,
        hmac_secret_key: str | None = None,
        hmac_key_id: str | None = None,
    ) -> str:
        """Have a URL called with every event that matches a query; return the subscription's UUID::

            hook = client.subscribe("https://example.org/hook", jmespath_query="event_type == 'CREATE'")

        Without a query every event matches. Each call makes another subscription.
        """
        definition = {name: value for name, value in locals().items() if name != "self"}
        given = {name: value for name, value in definition.items() if value is not None}
        return subscriptions.subscribe(self, given)

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return all your subscriptions on the replica: JMESPath first, the oldest first::

        for row in client.subscriptions():
            print(row["uuid"], row["callback_url"])
        """
        return subscriptions.subscriptions(self)

    def subscription(self, uuid: str, kind: str = "jmespath") -> dict[str, Any]:
        """Return a subscription, without its secret; `kind` is `jmespath` or `elasticsearch`::

        print(client.subscription(hook)["jmespath_query"])
        """
        return subscriptions.subscription(self, uuid, kind)

    def deliveries(self, uuid: str) -> Iterator[Mapping[str, Any]]:
        """Yield a subscription's notifications of the last 14 days and their state, the newest first::

        for row in client.deliveries(hook):
            print(row["created"], row["state"], row["attempts"])
        """
        return subscriptions.deliveries(self, uuid)

    def send_sample(self, uuid: str) -> str:
        """Send a sample notification to a subscription, and return the id of its delivery::

        delivery = client.send_sample(hook)
        """
        return subscriptions.send_sample(self, uuid)

    def replay(self, uuid: str, from_date: str) -> str:
        """Send all matching events since a version (a time) again, and return the replay's id::

        replay = client.replay(hook, "2026-01-12T093000.000000Z")
        """
        return subscriptions.replay(self, uuid, from_date)

    def unsubscribe(self, uuid: str, kind: str = "jmespath") -> None:
        """End a subscription; `kind` is `jmespath` or `elasticsearch`::

        client.unsubscribe(hook)
        """
        subscriptions.unsubscribe(self, uuid, kind)
