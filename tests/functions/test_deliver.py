"""`deliver` and `redeliver`, as processes: both queues, backoff, kills, and dead letters."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from requests_http_signature import HTTPSignatureAuth

from local.issuer.client import request_token
from shared.bindings import change_binding
from shared.catalog import Subscription
from shared.identifiers import Fqid
from shared.messages import DEAD_LETTERS, DELIVERY_RETRIES, BundleEvent
from shared.purges.records import declare, new_purge
from shared.system import Dss
from shared.webhooks.notifications import Notification, notification_of
from tests.support.api import Api, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.dss import firestore_client, open_dss_for_threads
from tests.support.function_process import FunctionProcess, function_process
from tests.support.subscriber import Subscriber, subscriber
from tests.support.topic_listener import TopicListener, listen_to

REPLICA = "gcp"
LOOPBACK = {"DSS_CALLBACK_NETWORKS": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def server() -> Iterator[Subscriber]:
    """A subscriber."""
    with subscriber() as running:
        yield running


@pytest.fixture(scope="module")
def retries(stack: dict[str, str]) -> Iterator[TopicListener]:
    """The retry queue."""
    with listen_to(stack, DELIVERY_RETRIES) as found:
        yield found


@pytest.fixture(scope="module")
def letters(stack: dict[str, str]) -> Iterator[TopicListener]:
    """The dead letters."""
    with listen_to(stack, DEAD_LETTERS) as found:
        yield found


@pytest.fixture(scope="module")
def first(stack: dict[str, str], retries: TopicListener) -> Iterator[FunctionProcess]:
    """The function of new notifications; the topic that it publishes to exists."""
    assert retries.attributes == []
    with function_process("deliver", stack, **LOOPBACK) as process:
        yield process


@pytest.fixture(scope="module")
def second(stack: dict[str, str], letters: TopicListener) -> Iterator[FunctionProcess]:
    """The function of the retry queue; the topic that it publishes to exists."""
    assert letters.attributes == []
    with function_process("redeliver", stack, **LOOPBACK) as process:
        yield process


def subscribed(api: Api, server: Subscriber, path: str, **wanted: Any) -> Subscription:
    """Return a new subscription of a path of the subscriber."""
    body = {"callback_url": server.url(path), **wanted}
    uuid = api.put("/v1/subscriptions", replica=REPLICA, json=body).json()["uuid"]
    return Subscription(
        uuid=uuid, replica=REPLICA, owner="", callback_url=body["callback_url"], created=datetime.now(UTC)
    )


def new_notification(subscription: Subscription) -> Notification:
    """Return a notification of a new event."""
    event = BundleEvent(
        id=new_uuid(), replica=REPLICA, type="CREATE", uuid=new_uuid(), version=now(), timestamp=now()
    )
    return notification_of("https://dss.example.org", subscription, event, {})


def pushed(function: FunctionProcess, notification: Notification, **more: Any) -> int:
    """Return the status that a notification's message is answered with; 0 where the function is killed."""
    try:
        return function.push(notification.attributes, data=notification.data, **more).status_code
    except requests.ConnectionError:
        return 0


def shown(api: Api, notification: Notification) -> dict[str, Any]:
    """Return what the owner sees of a notification."""
    path = f"/v1/subscriptions/{notification.subscription}/deliveries"
    rows = api.get(path, replica=REPLICA).json()["deliveries"]
    found: dict[str, Any] = next((row for row in rows if row["delivery_id"] == notification.id), {})
    return found


def is_queued_for_retry(retries: TopicListener, notification: Notification) -> bool:
    """Return whether a notification is in the retry queue."""
    retries.drain()
    return notification.id in {one.get("deliveryId") for one in retries.attributes}


def test_a_notification_is_delivered_once(
    api: Api, first: FunctionProcess, second: FunctionProcess, server: Subscriber, retries: TopicListener
) -> None:
    path = f"/ok/{new_uuid()}"
    notification = new_notification(subscribed(api, server, path))
    for function in (first, first, second):
        assert pushed(function, notification) == 204
    [call] = server.calls_of(path)
    assert call.json == {**notification.payload, "attempt": 1}
    assert shown(api, notification)["state"] == "delivered"
    assert not is_queued_for_retry(retries, notification)


def test_a_notification_of_what_was_purged_is_dropped(
    api: Api, dss: Dss, first: FunctionProcess, second: FunctionProcess, server: Subscriber
) -> None:
    path = f"/ok/{new_uuid()}"
    notification = new_notification(subscribed(api, server, path))
    declare(dss, new_purge(dss, notification.event.uuid, "", reason="withdrawn", by="admin@example.org"))
    assert (pushed(first, notification), pushed(second, notification)) == (204, 204)
    assert server.calls_of(path) == []


def test_attachments_are_withheld_once_files_were_removed_for_good(
    api: Api,
    clouds: Clouds,
    dss: Dss,
    first: FunctionProcess,
    second: FunctionProcess,
    server: Subscriber,
) -> None:
    path = f"/ok/{new_uuid()}"
    bundle = put_bundle(api, REPLICA, [put_file(api, clouds.stage(REPLICA, b"{}")).named("a.json")])
    attached = {"name": {"type": "jmespath", "expression": "files"}}
    sent = []
    for function in (first, second):
        subscription = replace(subscribed(api, server, path), attachments=attached)
        event = replace(new_notification(subscription).event, uuid=bundle.uuid, version=bundle.version)
        sent.append(
            (function, notification_of("https://dss.example.org", subscription, event, {"name": "it"}))
        )
    dss.catalog.bindings.expect_to_lack_files(Fqid(bundle.uuid, bundle.version))

    assert [pushed(function, notification) for function, notification in sent] == [204, 204]
    for call in server.calls_of(path):
        assert call.json["attachments"] == {
            "_errors": "Attachments: files of the bundle were removed for good"
        }
        assert call.json["match"]["bundle_uuid"] == bundle.uuid
    assert len(server.calls_of(path)) == 2


def test_access_is_checked_again_when_a_notification_is_sent(
    stack: dict[str, str], api: Api, first: FunctionProcess, second: FunctionProcess, server: Subscriber
) -> None:
    dss = open_dss_for_threads(stack, publishes=False)
    path, broken = f"/ok/{new_uuid()}", f"/500/{new_uuid()}"
    unseen = new_notification(subscribed(api, server, path))
    failing = new_notification(subscribed(api, server, broken))
    assert pushed(first, failing) == 204
    calls = len(server.calls_of(broken))
    for notification in (unseen, failing):
        change_binding(
            dss,
            notification.event.uuid,
            "operator@example.org",
            lambda before: replace(before, readers=frozenset(("lab",))),
        )

    for function in (first, second):
        assert (pushed(function, unseen), pushed(function, failing)) == (204, 204)
    assert (server.calls_of(path), len(server.calls_of(broken))) == ([], calls)
    # Who has not heard of the bundle does not hear of it by the list of deliveries.
    assert shown(api, unseen) == {}
    assert shown(api, failing)["state"] == "withheld"


def test_a_paused_subscription_is_not_called_and_says_so(
    stack: dict[str, str], admin: Api, first: FunctionProcess, second: FunctionProcess, server: Subscriber
) -> None:
    dss = open_dss_for_threads(stack, publishes=False)
    owner = Api(admin.url, request_token(stack, f"{new_uuid()}@example.org", "dss"))
    path = f"/ok/{new_uuid()}"
    notification = new_notification(subscribed(owner, server, path))
    known = dss.catalog.subscriptions.get(notification.subscription)
    assert known
    long_ago = datetime.now(UTC) - timedelta(days=91)
    dss.catalog.subscriptions.save_sign_in([replace(known, signed_in=long_ago)])

    assert (pushed(first, notification), pushed(second, notification)) == (204, 204)
    assert server.calls_of(path) == []
    row = shown(owner, notification)
    assert (row["state"], row["attempts"]) == ("paused", 0) and "sign in" in row["reason"]
    # That was a sign-in.
    assert pushed(second, notification) == 204
    assert len(server.calls_of(path)) == 1


def test_a_deleted_subscription_gets_no_more_notifications(
    api: Api, first: FunctionProcess, second: FunctionProcess, server: Subscriber
) -> None:
    path = f"/ok/{new_uuid()}"
    notification = new_notification(subscribed(api, server, path))
    ended = api.delete(f"/v1/subscriptions/{notification.subscription}", replica=REPLICA)
    assert ended.status_code == 200
    assert (pushed(first, notification), pushed(second, notification)) == (204, 204)
    assert server.calls_of(path) == []


def test_a_signed_subscription_gets_nothing_unsigned(
    stack: dict[str, str], api: Api, first: FunctionProcess, second: FunctionProcess, server: Subscriber
) -> None:
    path = f"/ok/{new_uuid()}"
    notification = new_notification(subscribed(api, server, path, hmac_secret_key="secret"))
    # As where a subscription ends between two reads of a delivery.
    firestore_client(stack).document(f"subscription_secrets/{notification.subscription}").delete()
    assert (pushed(first, notification), pushed(second, notification)) == (503, 503)
    assert server.calls_of(path) == []


def test_a_secret_is_stored_encrypted_and_signs_notifications(
    stack: dict[str, str], api: Api, first: FunctionProcess, server: Subscriber
) -> None:
    path, secret = f"/ok/{new_uuid()}", new_uuid()
    notification = new_notification(subscribed(api, server, path, hmac_secret_key=secret))
    stored = firestore_client(stack).document(f"subscription_secrets/{notification.subscription}").get()
    assert secret not in str(stored.to_dict())
    assert pushed(first, notification) == 204
    [call] = server.calls_of(path)
    received = requests.PreparedRequest()
    received.prepare(method="POST", url=server.url(path), headers=dict(call.headers), data=call.body)
    HTTPSignatureAuth.verify(received, key_resolver=lambda **_: secret.encode())


def test_a_backoff_expires(
    stack: dict[str, str], api: Api, first: FunctionProcess, server: Subscriber
) -> None:
    notification = new_notification(subscribed(api, server, f"/500/{new_uuid()}"))
    assert pushed(first, notification) == 204
    # A call that is under way when its subscription ends writes this for nobody.
    backoff = firestore_client(stack).document(f"subscriber_backoffs/{notification.subscription}").get()
    assert backoff.get("expires") > datetime.now(UTC) + timedelta(days=7)


def test_one_failure_delays_all_notifications_until_one_succeeds(
    api: Api, first: FunctionProcess, second: FunctionProcess, server: Subscriber, retries: TopicListener
) -> None:
    path = f"/ok/{new_uuid()}"
    subscription = subscribed(api, server, path)
    server.answers[path] = 503
    one, other, third = (new_notification(subscription) for _ in range(3))

    assert pushed(first, one) == 204
    assert is_queued_for_retry(retries, one)
    assert (shown(api, one)["state"], shown(api, one)["status"]) == ("failing", 503)
    # The next one is not even tried, and keeps nobody waiting.
    assert pushed(first, other) == 204
    assert is_queued_for_retry(retries, other)
    assert shown(api, other)["state"] == "waiting"
    assert shown(api, other)["attempts"] == 0
    assert len(server.calls_of(path)) == 1

    # In the retry queue it fails again, and then nothing is sent for a moment.
    server.wait(lambda: len(server.calls_of(path)) == 2 or pushed(second, other) != 503)
    assert pushed(second, one) == 503
    assert len(server.calls_of(path)) == 2

    del server.answers[path]
    server.wait(lambda: pushed(second, one) == 204)
    assert (pushed(second, other), pushed(first, third)) == (204, 204)
    assert {shown(api, each)["state"] for each in (one, other, third)} == {"delivered"}
    assert [call.json["attempt"] for call in server.calls_of(path)] == [1, 1, 2, 2, 1]
    attempts = shown(api, one)["last_attempts"]
    assert [attempt.get("status") for attempt in attempts] == [503, 200]
    assert ["reason" in attempt for attempt in attempts] == [True, False]
    assert [attempt["time"] for attempt in attempts] == sorted(attempt["time"] for attempt in attempts)
    assert all(0 < attempt["seconds"] < 5 for attempt in attempts)


def test_the_last_ten_attempts_of_a_delivery_are_kept(
    stack: dict[str, str], api: Api, first: FunctionProcess, second: FunctionProcess, server: Subscriber
) -> None:
    path = f"/500/{new_uuid()}"
    subscription = subscribed(api, server, path)
    notification = new_notification(subscription)
    backoff = firestore_client(stack).document(f"subscriber_backoffs/{subscription.uuid}")
    assert pushed(first, notification) == 204
    for _ in range(11):
        backoff.update({"next_try": datetime.now(UTC)})
        calls = len(server.calls_of(path))
        server.wait(lambda calls=calls: pushed(second, notification) and len(server.calls_of(path)) > calls)
    row = shown(api, notification)
    assert (row["attempts"], len(row["last_attempts"])) == (12, 10)
    assert row["last_attempts"][-1]["time"] == row["last_attempt"]


def test_a_subscriber_that_hangs_takes_one_call_at_a_time(
    api: Api, first: FunctionProcess, server: Subscriber
) -> None:
    path = f"/hang/{new_uuid()}"
    subscription = subscribed(api, server, path)
    assert pushed(first, new_notification(subscription)) == 204
    for _ in range(5):
        assert pushed(first, new_notification(subscription)) == 204
    assert len(server.calls_of(path)) == 1


def test_a_forbidden_address_is_not_called(
    stack: dict[str, str], api: Api, server: Subscriber, retries: TopicListener
) -> None:
    path = f"/ok/{new_uuid()}"
    notification = new_notification(subscribed(api, server, path))
    with function_process("deliver", stack) as strict:
        assert pushed(strict, notification) == 204
    assert is_queued_for_retry(retries, notification)
    assert server.calls_of(path) == []
    assert "127.0.0.1 is not public" in shown(api, notification)["reason"]


def test_a_notification_is_a_dead_letter_after_seven_days(
    api: Api, second: FunctionProcess, server: Subscriber, letters: TopicListener
) -> None:
    path = f"/500/{new_uuid()}"
    subscription = subscribed(api, server, path)
    notification, waiting = new_notification(subscription), new_notification(subscription)
    at = {"subscription": DELIVERY_RETRIES}
    week_old = datetime.now(UTC) - timedelta(days=7, seconds=1)

    assert pushed(second, notification, published=week_old + timedelta(hours=1), **at) == 503
    # What was never tried, since others failed, is given up as well.
    assert pushed(second, waiting, published=week_old, **at) == 200
    server.wait(lambda: pushed(second, notification, published=week_old, **at) == 200)

    letter = letters.wait(lambda one: one.get("deliveryId") == notification.id)
    assert letter["deadSubscription"] == DELIVERY_RETRIES
    assert shown(api, notification)["state"] == shown(api, waiting)["state"] == "dead"
    assert "500" in shown(api, notification)["reason"]
    assert "next_try" not in shown(api, notification)
    # An operator's replay tries again.
    server.answers[path] = 200
    server.wait(lambda: pushed(second, notification, **at) == 204)
    assert shown(api, notification)["state"] == "delivered"


@pytest.mark.parametrize("message", [{}, {"deliveryId": "x"}])
def test_a_message_without_a_notification_is_retried_and_crashes_nothing(
    first: FunctionProcess, message: dict[str, str]
) -> None:
    answer = first.push(message, data=b"{")
    assert (answer.status_code, "not a notification" in answer.text) == (503, True)


@pytest.mark.parametrize(
    ("point", "path", "calls"), [("delivery: answered", "/ok", 2), ("delivery: put off", "/500", 1)]
)
def test_a_kill_loses_nothing(
    stack: dict[str, str],
    api: Api,
    server: Subscriber,
    second: FunctionProcess,
    retries: TopicListener,
    point: str,
    path: str,
    calls: int,
) -> None:
    path = f"{path}/{new_uuid()}"
    notification = new_notification(subscribed(api, server, path))
    with function_process("deliver", stack, DSS_FAULT_POINT=point, **LOOPBACK) as mortal:
        assert pushed(mortal, notification) == 0
        mortal.kill()
        mortal.start(DSS_FAULT_POINT="")
        assert pushed(mortal, notification) == 204
    assert len(server.calls_of(path)) == calls
    if path.startswith("/500"):
        # Queued for retry twice, and delivered once.
        server.answers[path] = 200
        server.wait(lambda: pushed(second, notification) == 204)
        assert pushed(second, notification) == 204
        assert len(server.calls_of(path)) == calls + 1
        assert is_queued_for_retry(retries, notification)
    assert shown(api, notification)["state"] == "delivered"
