"""`dss admin dead-letters`: what could not be handled is seen, and replayed, and never lost on the way."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from flask import Flask, request

from functions.push import Message, PushHandler, handle
from local.components import pubsub
from local.components.events import subscriptions, topics
from local.stack import Stack
from shared.catalog import Switches
from shared.clock import SystemClock
from shared.config import Settings
from shared.errors import Unavailable
from shared.maintenance.dead_letters import look_through, replay
from shared.messages import (
    BUNDLE_CHANGES,
    DEAD_LETTERS,
    OBJECT_EVENTS,
    BundleChange,
    ObjectEvent,
    PullSubscription,
)
from shared.pubsub import PubSub
from shared.tracing import Tracer
from shared.wiring import open_subscription
from tests.support.api import new_uuid, now
from tests.support.command_line import Outcome, dss_here
from tests.support.topic_listener import TopicListener, listen_to

# What the command needs to be set, though it does not use it.
UNUSED = ("DSS_GS_BUCKET", "DSS_S3_BUCKET", "DSS_GS_CHECKOUT_BUCKET", "DSS_S3_CHECKOUT_BUCKET")
SIGN_IN = {"OIDC_ISSUER": "http://nobody", "OIDC_AUDIENCE": "nobody", "DSS_SIGN_IN_CLIENTS": ""}


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    """Pub/Sub alone, with the topics and subscriptions of the system."""
    with Stack(port=0, table=(pubsub, topics)).running() as env:
        yield {**env, **dict.fromkeys(UNUSED, "unused"), **SIGN_IN, "DSS_SNS_SIGNATURES": ""}


@pytest.fixture
def publisher(env: dict[str, str]) -> Iterator[PubSub]:
    """Publishes to the topics."""
    with mock.patch.dict(os.environ, env):
        yield PubSub(env["GOOGLE_CLOUD_PROJECT"])


@pytest.fixture(autouse=True)
def letters(env: dict[str, str]) -> Iterator[PullSubscription]:
    """The subscription of dead letters, empty at the beginning."""
    with mock.patch.dict(os.environ, env):
        letters = open_subscription(Settings.from_environment(), DEAD_LETTERS)
        while pulled := letters.pull(100, seconds=0.5):
            letters.acknowledge(pulled)
        yield letters


def admin(env: Mapping[str, str], *arguments: object) -> Outcome:
    return dss_here(env, "admin", "dead-letters", *arguments, "--wait", 1, "--json")


@pytest.fixture
def die(publisher: PubSub) -> Callable[[str], str]:
    """Return what makes a dead letter, as a function does at its last attempt, and returns its key."""

    def dead(reason: str) -> str:
        key = f"files/{new_uuid()}"
        attributes = ObjectEvent(replica="gcp", bucket="bucket", key=key).attributes

        class Failing(PushHandler):
            def process(self, message: Message) -> None:
                raise Unavailable(reason)

        parts: Any = SimpleNamespace(
            settings=SimpleNamespace(project="p", pubsub_prefix=""),
            publisher=publisher,
            catalog=SimpleNamespace(last_attempts=SimpleNamespace(begin=lambda *_: None)),
            clock=SystemClock(),
            switches=mock.Mock(current=Switches),
            tracer=Tracer(),
        )
        body = {
            "message": {
                "attributes": attributes,
                "data": "Ynl0ZXM=",
                "messageId": "1",
                "publishTime": (datetime.now(UTC) - timedelta(days=2)).isoformat(),
            },
            "subscription": "projects/p/subscriptions/sync",
        }
        with Flask("test").test_request_context(json=body):
            assert handle(parts, request, Failing())[1] == 200
        return key

    return dead


@pytest.fixture
def listener(env: dict[str, str]) -> Iterator[TopicListener]:
    """Hears what is published to `object-events`."""
    with listen_to(env, OBJECT_EVENTS) as listener:
        yield listener


def test_a_listed_letter_stays(env: dict[str, str], die: Callable[[str], str]) -> None:
    key = die("aws: the bucket is gone")

    first, second = admin(env, "list"), admin(env, "list")

    assert (first.code, second.code) == (0, 0)
    assert first.json["count"] == second.json["count"] == 1
    [row] = second.json["letters"]
    shown = {name: row[name] for name in ("key", "replica", "subscription", "reason")}
    assert shown == {
        "key": key,
        "replica": "gcp",
        "subscription": "sync",
        "reason": "aws: the bucket is gone",
    }
    assert abs(row["tried_seconds"] - 2 * 24 * 3600) < 120
    assert 0 <= row["age_seconds"] < 120
    assert row["id"] == first.json["letters"][0]["id"]
    text = dss_here(env, "admin", "dead-letters", "list", "--wait", 1).out
    assert key in text
    assert "sync, tried for 172," in text
    assert text.endswith("1 dead letters\n")


def test_a_replay_publishes_the_original_message(
    env: dict[str, str], die: Callable[[str], str], listener: TopicListener
) -> None:
    key = die("a reason")

    outcome = admin(env, "replay", "--all")

    assert (outcome.code, outcome.err) == (0, "")
    [row] = outcome.json["replayed"]
    assert row["topic"] == OBJECT_EVENTS
    event = ObjectEvent(replica="gcp", bucket="bucket", key=key)
    assert listener.wait(lambda _: True) == event.attributes
    assert admin(env, "list").json["count"] == 0


def test_only_the_selected_letters_are_replayed(
    env: dict[str, str], die: Callable[[str], str], listener: TopicListener
) -> None:
    keys = {die("a reason") for _ in range(4)}
    [chosen, *_] = rows = admin(env, "list").json["letters"]
    assert {row["key"] for row in rows} == keys

    refused = dss_here(env, "admin", "dead-letters", "replay")
    dry = admin(env, "replay", "--id", chosen["id"], "--dry-run")
    unknown = admin(env, "replay", "--id", "12345", "--dry-run")
    both = admin(env, "replay", "--max", 2, "--dry-run")
    one = admin(env, "replay", "--id", chosen["id"])
    absent = admin(env, "replay", "--id", "12345")
    two = admin(env, "replay", "--max", 2)

    assert "--id, --max or --all" in refused.err
    assert (dry.code, [row["key"] for row in dry.json["letters"]]) == (0, [chosen["key"]])
    assert (unknown.code, unknown.json["absent"], len(both.json["letters"])) == (1, ["12345"], 2)
    assert [row["attributes"]["objectId"] for row in one.json["replayed"]] == [chosen["key"]]
    assert (absent.code, absent.json["absent"], absent.json["replayed"]) == (1, ["12345"], [])
    assert len(two.json["replayed"]) == 2
    assert admin(env, "list").json["count"] == 1
    listener.drain()
    assert len(listener.attributes) == 3
    assert {attributes["objectId"] for attributes in listener.attributes} < keys


def test_the_letters_of_a_subscription_are_dumped_and_fed_back(
    env: dict[str, str], publisher: PubSub, die: Callable[[str], str], tmp_path: Path
) -> None:
    change = BundleChange(replica="gcp", uuid=new_uuid(), version=now()).attributes
    dead = {"deadSubscription": "bundle-changes", "deadReason": "the plug-in has failed"}
    publisher.publish(DEAD_LETTERS, {**change, **dead}, b"\xff")
    die("a reason")
    file, broken = tmp_path / "letters", tmp_path / "broken"
    broken.write_text("{}\n")

    listed = admin(env, "list", "--subscription", "bundle-changes")
    would = admin(env, "dump", file, "--subscription", "bundle-changes", "--remove", "--dry-run")
    assert (would.code, would.json["count"], file.exists()) == (0, 1, False)
    kept = admin(env, "dump", tmp_path / "all")
    moved = admin(env, "dump", file, "--subscription", "bundle-changes", "--remove")
    again = admin(env, "dump", file)
    rest = admin(env, "list")

    assert [row["reason"] for row in listed.json["letters"]] == ["the plug-in has failed"]
    assert (kept.json["count"], moved.json["count"], again.code) == (2, 1, 1)
    assert [row["subscription"] for row in rest.json["letters"]] == ["sync"]

    fed, dry, wrong = (
        dss_here(env, "admin", "dead-letters", "feed", *arguments, "--json")
        for arguments in ([file], [file, "--dry-run"], [broken])
    )

    assert dry.json["letters"][0]["attributes"] == change
    assert (fed.code, [row["topic"] for row in fed.json["published"]]) == (0, [BUNDLE_CHANGES])
    assert (wrong.code, f"{broken}:1: it is no line of a dump" in wrong.err) == (1, True)


def test_a_letter_without_a_topic_stays(env: dict[str, str], publisher: PubSub) -> None:
    publisher.publish(DEAD_LETTERS, {"objectId": "a", "deadSubscription": "no such"})
    publisher.publish(DEAD_LETTERS, {"objectId": "b"})

    outcome = admin(env, "replay", "--all")

    assert (outcome.code, outcome.json["replayed"]) == (1, [])
    assert sorted(row["why"] for row in outcome.json["left"]) == [
        "it does not say which subscription could not deliver it",
        "subscription 'no such' does not exist any more, or has no topic",
    ]
    assert admin(env, "list").json["count"] == 2


def test_letters_of_pub_sub_itself_are_replayed(
    env: dict[str, str], publisher: PubSub, listener: TopicListener
) -> None:
    prefix = "CloudPubSubDeadLetterSource"
    added = {
        f"{prefix}Subscription": "sync",
        f"{prefix}DeliveryCount": "100",
        f"{prefix}SubscriptionProject": "x",
    }
    publisher.publish(DEAD_LETTERS, {"objectId": "a key", **added})

    [row] = admin(env, "list").json["letters"]
    outcome = admin(env, "replay", "--id", row["id"])

    assert (row["subscription"], row["tried_seconds"]) == ("sync", None)
    assert "did not answer" in row["reason"]
    assert outcome.code == 0
    assert listener.wait(lambda _: True) == {"objectId": "a key"}


def test_a_failed_replay_loses_nothing(letters: PullSubscription, die: Callable[[str], str]) -> None:
    key = die("a reason")

    class Failing:
        def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
            raise Unavailable(f"{topic} does not answer")

    with pytest.raises(Unavailable):
        list(replay(letters, Failing(), at_most=10, seconds=1))

    [letter] = look_through(letters, at_most=10, seconds=1)
    assert letter.attributes["objectId"] == key
    assert letter.message.data == b"bytes"


def test_each_of_many_letters_is_listed_once(
    letters: PullSubscription, publisher: PubSub, die: Callable[[str], str]
) -> None:
    keys = sorted(die("a reason") for _ in range(150))

    seen = [letter.attributes["objectId"] for letter in look_through(letters, at_most=1000, seconds=1)]
    some = list(look_through(letters, at_most=120, seconds=1))
    replayed = list(replay(letters, publisher, at_most=1000, seconds=1))

    assert sorted(seen) == keys
    assert len(some) == 120
    assert sorted(one.letter.attributes["objectId"] for one in replayed) == keys
    assert list(look_through(letters, at_most=10, seconds=1)) == []


def test_every_push_subscription_has_a_topic_to_replay_to(letters: PullSubscription) -> None:
    for row in subscriptions():
        assert letters.topic_of(row["name"]) == row["topic"]
