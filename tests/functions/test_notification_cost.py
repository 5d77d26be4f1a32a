"""The exact cost of a notification in Firestore, which does not depend on the number of subscriptions."""

from collections.abc import Iterator

import pytest

from shared.catalog import BundleHead, Subscription
from shared.identifiers import Fqid
from shared.messages import DEAD_LETTERS, DELIVERIES, DELIVERY_RETRIES, REPLAYS, BundleEvent
from shared.webhooks.notifications import Notification
from tests.functions.test_deliver import LOOPBACK, new_notification, pushed, subscribed
from tests.functions.test_notify import PUBLIC_URL, happened
from tests.support.api import Api, new_uuid
from tests.support.clouds import Clouds
from tests.support.dss import open_dss_for_threads
from tests.support.firestore_proxy import FirestoreProxy
from tests.support.function_process import FunctionProcess, function_process
from tests.support.subscriber import Subscriber, subscriber
from tests.support.topic_listener import listen_to

REPLICA = "gcp"


@pytest.fixture(scope="module")
def server() -> Iterator[Subscriber]:
    """A subscriber."""
    with subscriber() as running:
        yield running


@pytest.fixture(scope="module")
def firestore(stack: dict[str, str]) -> Iterator[FirestoreProxy]:
    """What counts; the topics of the functions are there."""
    with (
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy,
        listen_to(stack, DELIVERIES),
        listen_to(stack, DELIVERY_RETRIES),
        listen_to(stack, REPLAYS),
        listen_to(stack, DEAD_LETTERS),
    ):
        yield proxy


def counted(stack: dict[str, str], firestore: FirestoreProxy) -> dict[str, str]:
    """Return the environment of a function all of whose calls of Firestore are counted."""
    return {**stack, "FIRESTORE_EMULATOR_HOST": firestore.address}


def bill(firestore: FirestoreProxy) -> tuple[int, int]:
    """Return the reads and writes that were counted since this was called last."""
    calls = list(firestore.calls)
    assert all(call.ended.wait(timeout=10) for call in calls)
    firestore.forget()
    return sum(call.reads for call in calls), sum(call.writes for call in calls)


def known(stack: dict[str, str], event: BundleEvent) -> None:
    """Let the catalog know the bundle version of an event."""
    fqid = Fqid(event.uuid, event.version)
    catalog = open_dss_for_threads(stack, publishes=False).catalog
    catalog.bundles.create(BundleHead(fqid=fqid, creator_uid=0, file_count=0, digest=""))


def made(stack: dict[str, str], subscription: Subscription) -> Notification:
    """Return a notification of an event whose bundle version the catalog knows."""
    notification = new_notification(subscription)
    known(stack, notification.event)
    return notification


def test_an_event_costs_two_reads_with_any_number_of_subscriptions(
    stack: dict[str, str], api: Api, clouds: Clouds, server: Subscriber, firestore: FirestoreProxy
) -> None:
    for _ in range(20):
        subscribed(api, server, "/ok", jmespath_query="nothing")
    with function_process("notify", counted(stack, firestore), **PUBLIC_URL) as notify:

        def cost() -> tuple[int, int]:
            event = happened(clouds, REPLICA)
            known(stack, event)
            bill(firestore)
            assert notify.push(event.attributes).status_code == 204
            return bill(firestore)

        assert cost()[0] > 20
        assert [cost(), cost()] == [(2, 0), (2, 0)]
        subscribed(api, server, "/ok", jmespath_query="nothing")
        # All are read again, once.
        assert cost()[0] > 21
        assert cost() == (2, 0)


def test_an_attempt_costs_four_reads_and_a_write(
    stack: dict[str, str], api: Api, server: Subscriber, firestore: FirestoreProxy
) -> None:
    path = f"/ok/{new_uuid()}"
    plain, signed = subscribed(api, server, path), subscribed(api, server, path, hmac_secret_key="secret")
    with function_process("deliver", counted(stack, firestore), **LOOPBACK) as first:

        def cost(function: FunctionProcess, notification: Notification) -> tuple[int, int]:
            bill(firestore)
            assert pushed(function, notification) in (204, 503)
            return bill(firestore)

        notification = made(stack, plain)
        assert cost(first, notification) == (4, 1)
        # It comes twice, and nothing is done.
        assert cost(first, notification) == (4, 0)
        assert cost(first, made(stack, signed)) == (5, 1)
        server.answers[path] = 500
        # The backoff is written, too.
        failed = made(stack, plain)
        assert cost(first, failed) == (4, 2)
        # Moved to the retry queue without a call.
        assert cost(first, made(stack, plain)) == (4, 1)
        with function_process("redeliver", counted(stack, firestore), **LOOPBACK) as second:
            # A try that fails claims its turn, and puts off the next one.
            server.wait(lambda: cost(second, failed) == (5, 3))
            reads, writes = cost(second, failed)
            assert (reads <= 4, writes) == (True, 0)
            # Not its turn yet, as the process knows by now.
            assert cost(second, failed) == (0, 0)
