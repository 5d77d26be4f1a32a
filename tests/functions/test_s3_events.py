"""Events of S3 become object events; nobody but SNS, and no topic but ours, is listened to."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Request
from werkzeug.test import EnvironBuilder

from functions import s3_events
from functions.push import Answer
from functions.sns import SigningKeys
from shared.config import Settings
from shared.errors import Unavailable
from shared.messages import OBJECT_EVENTS
from shared.replicas import Replica, Replicas
from tests.functions.test_sns import CONFIRMATION, NOTIFICATION, Sns, sns
from tests.support.api import new_uuid
from tests.support.function_process import FunctionProcess, function_process
from tests.support.replication import RecordingPublisher
from tests.support.topic_listener import listen_to

__all__ = ["sns"]

TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
STORE: Any = None
REPLICAS = Replicas(
    Replica(name="gcp", open_store=lambda: STORE, bucket="gs-main", checkout_bucket="gs-checkout"),
    Replica(name="aws", open_store=lambda: STORE, bucket="s3-main", checkout_bucket="s3-checkout"),
)


def record(key: str, *, bucket: str = "s3-main", event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """Return what S3 says of one object."""
    said = {"key": quote_plus(key, safe="/"), "size": 1, "eTag": "00a1", "sequencer": "00A1"}
    return {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": said}}


def notification(*records: dict[str, Any]) -> dict[str, Any]:
    """Return an unsigned message of SNS with these records."""
    return {**NOTIFICATION, "TopicArn": TOPIC, "Message": json.dumps({"Records": list(records)})}


def post(body: Any, publisher: RecordingPublisher, *, keys: SigningKeys | None = None) -> Answer:
    """Return the function's answer; signatures count where keys are given."""
    settings = SimpleNamespace(sns_topics=(TOPIC,), sns_signatures=keys is not None)
    dss: Any = SimpleNamespace(settings=settings, replicas=REPLICAS, publisher=publisher)
    data = body if isinstance(body, bytes) else json.dumps(body)
    request = Request(EnvironBuilder(method="POST", data=data, content_type="text/plain").get_environ())
    return s3_events.handle(dss, request, keys or SigningKeys())


@pytest.mark.parametrize(
    "key",
    ["files/plain", "files/with space", "files/a+b", "files/%41", "files/ünïcödé 漢字 🧬", "files/a=b&c"],
)
@pytest.mark.parametrize("event", ["ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"])
def test_an_event_has_the_one_shape(key: str, event: str) -> None:
    published = RecordingPublisher()
    assert post(notification(record(key, event=event)), published)[1] == 200
    assert published.messages == [
        (
            OBJECT_EVENTS,
            {
                "replica": "aws",
                "bucketId": "s3-main",
                "objectId": key,
                "eventType": "OBJECT_FINALIZE",
                "objectGeneration": "00a1",
            },
        )
    ]


def test_all_records_of_a_message_count() -> None:
    published = RecordingPublisher()
    assert post(notification(*(record(f"files/{n}") for n in range(3))), published) == ("3", 200)
    assert [attributes["objectId"] for _, attributes in published.messages] == [
        f"files/{n}" for n in range(3)
    ]


@pytest.mark.parametrize(
    "message",
    [
        notification(record("files/a", bucket="of-somebody-else")),
        notification(record("files/a", event="ObjectRemoved:Delete")),
        notification(),
        {**notification(), "Message": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})},
        {**NOTIFICATION, "TopicArn": TOPIC, "Type": "UnsubscribeConfirmation"},
    ],
    ids=["other bucket", "removed", "empty", "test event", "unsubscribed"],
)
def test_events_of_other_buckets_are_ignored(message: dict[str, Any]) -> None:
    published = RecordingPublisher()
    assert post(message, published)[1] == 200
    assert published.messages == []


def test_sns_retries_if_pub_sub_fails() -> None:
    assert post(notification(record("files/a")), RecordingPublisher(error=Unavailable("busy")))[1] == 503


JUNK = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b'"text"',
    b"[" * 100_000,
    {},
    {"Type": "Other", "TopicArn": TOPIC},
    {"Type": ["Notification"], "TopicArn": TOPIC},
    {"Type": "Notification"},
    {**notification(), "TopicArn": [TOPIC]},
    {**notification(), "TopicArn": TOPIC + "x"},
    *(
        {**notification(), "Message": message}
        for message in (
            *(None, 5, "", "null", "[]", "5", '{"Records": null}', '{"Records": 5}', '{"Records": [{}]}'),
            *('{"Records": [5]}', '{"Records": {"a": 1}}', "[" * 100_000),
            '{"Records": [{"eventName": 5, "s3": {"bucket": {"name": "s3-main"}, "object": {"key": "a"}}}]}',
            '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "s3-main"}}}]}',
            '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "s3-main"},'
            ' "object": {"key": 5}}}]}',
            json.dumps({"Records": [record("files/a"), {}]}),
        )
    ),
]


@pytest.mark.parametrize("body", JUNK, ids=lambda body: str(body)[:60])
def test_junk_is_refused_and_not_published(body: Any) -> None:
    published = RecordingPublisher()
    assert post(body, published)[1] in (400, 403)
    assert published.messages == []


@pytest.mark.parametrize(
    "url", ["http://sns.us-east-1.amazonaws.com/", "https://evil.org/", "https://[", "", 5]
)
def test_no_subscription_is_confirmed_anywhere_else(sns: Sns, url: Any) -> None:
    message = sns.signed({**CONFIRMATION, "TopicArn": TOPIC, "SubscribeURL": url})
    assert post(message, RecordingPublisher(), keys=SigningKeys(sns.fetch))[1] == 403


def test_no_subscription_to_another_topic_is_confirmed(sns: Sns) -> None:
    message = sns.signed({**CONFIRMATION, "TopicArn": TOPIC + "x"})
    assert post(message, RecordingPublisher(), keys=SigningKeys(sns.fetch))[1] == 403


def test_only_signed_events_are_published(sns: Sns) -> None:
    keys, published = SigningKeys(sns.fetch), RecordingPublisher()
    message = notification(record("files/a"))

    assert post(message, published, keys=keys)[1] == 403
    assert post({**sns.signed(message), "Message": json.dumps({})}, published, keys=keys)[1] == 403
    assert published.messages == []
    assert post(sns.signed(message), published, keys=keys) == ("1", 200)
    assert len(published.messages) == 1


def test_a_deployment_cannot_switch_signatures_off(stack: dict[str, str]) -> None:
    deployed = {name: value for name, value in stack.items() if name != "AWS_ENDPOINT_URL"}
    with pytest.raises(ValueError, match="DSS_SNS_SIGNATURES"):
        Settings.from_environment({**deployed, "DSS_SNS_SIGNATURES": "false"})
    assert Settings.from_environment(deployed).sns_signatures


@pytest.fixture(scope="module")
def function(stack: dict[str, str]) -> Iterator[FunctionProcess]:
    """The function as it is deployed: it believes in signatures only."""
    with function_process("s3_events", stack, DSS_SNS_TOPICS=TOPIC) as process:
        yield process


def test_a_forged_message_does_nothing(stack: dict[str, str], function: FunctionProcess) -> None:
    forger = Sns(rsa.generate_private_key(65537, 2048))
    name = f"files/{new_uuid()}"
    forged = notification(record(name, bucket=stack["DSS_S3_BUCKET"]))
    elsewhere = {**forger.signed(forged), "SigningCertURL": "https://evil.org/key.pem"}
    with listen_to(stack, OBJECT_EVENTS) as listener:
        for message in (forged, elsewhere, {**CONFIRMATION, "TopicArn": TOPIC}):
            assert function.post(json.dumps(message)).status_code == 403
        for junk in (b"", b"{", b"[" * 100_000, b"\xff"):
            assert function.post(junk).status_code == 400
        listener.drain()
        assert listener.attributes == []
    assert len(function.logged("refused")) == 3
