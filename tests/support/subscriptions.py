"""Subscriptions as the catalog has them."""

from datetime import UTC, datetime

from shared.catalog import Subscription
from tests.support.api import new_uuid


def new_subscription(owner: str, replica: str = "gcp") -> Subscription:
    """Return a subscription, with a secret, that is not written yet."""
    return Subscription(
        uuid=new_uuid(),
        replica=replica,
        owner=owner,
        callback_url="https://example.org",
        created=datetime.now(UTC),
        signed=True,
    )
