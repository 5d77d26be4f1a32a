"""`dss admin events`: events of named bundles are published once, journalled, and listed."""

import os
from collections.abc import Mapping

import pytest

from shared.messages import BUNDLE_EVENTS
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import dss_here
from tests.support.topic_listener import listen_to


@pytest.fixture
def bundle(api: Api, clouds: Clouds) -> Version:
    """A bundle on one replica, where no function publishes its event."""
    return put_bundle(api, "gcp", [put_file(api, clouds.stage("gcp", os.urandom(9))).named("a.bin")])


def test_an_event_is_published_once_journalled_and_listed(
    stack: Mapping[str, str], bundle: Version, admin: Api
) -> None:
    env, key, start = stack, f"bundles/{bundle}", now()
    listing = ("admin", "events", "list", "--replica", "gcp", "--since", start, "--json")

    with listen_to(dict(stack), BUNDLE_EVENTS) as listener:
        dry = dss_here(env, "admin", "events", "record", key, "--replica", "gcp", "--dry-run", "--json")
        before = dss_here(env, *listing)
        done = dss_here(env, "admin", "events", "record", key, "--json")
        again = dss_here(env, "admin", "events", "record", key, "--replica", "gcp", "--json")
        assert (
            admin.delete(f"/v1/bundles/{bundle.uuid}", replica="gcp", json={"reason": "x"}).status_code == 200
        )
        dead = dss_here(env, "admin", "events", "record", f"bundles/{bundle.uuid}.dead", "--replica", "gcp")
        listener.drain()

    listed = dss_here(env, *listing)
    assert (dry.code, dry.json["first"][0]["why"]) == (0, "it would be published")
    assert before.json["events"] == []
    # The other replica does not have it.
    assert (done.code, done.json["published"], done.json["waits"]) == (1, 1, 1)
    assert (again.code, again.json["left"], again.json["first"][0]["why"]) == (0, 1, "it was published")
    assert (dead.code, "TOMBSTONE at " in dead.out) == (0, True)
    assert [(row["type"], row["bundle"]) for row in listed.json["events"]] == [
        ("CREATE", str(bundle)),
        ("TOMBSTONE", str(bundle)),
    ]
    published = [row["eventType"] for row in listener.attributes if row.get("uuid") == bundle.uuid]
    assert published == ["CREATE", "TOMBSTONE"]

    journal = ("admin", "events", "journal", "--replica", "gcp", "--json")
    at_once = {**env, "DSS_JOURNAL_SECONDS": "0"}
    seen = dss_here(at_once, *journal, "--dry-run").json["replicas"][0]
    made = dss_here(at_once, *journal).json["replicas"][0]

    assert (seen["failed"], made["failed"]) == ("", "")
    assert seen["left"] >= 2 and seen["journals"] == 0
    assert (made["events"], made["left"]) == (seen["left"], 0)
    assert made["journals"] >= 1


def test_what_is_unknown_or_malformed_is_said(stack: Mapping[str, str]) -> None:
    key = f"bundles/{new_uuid()}.{now()}"

    unknown = dss_here(stack, "admin", "events", "record", key, "--json")
    wrong = dss_here(stack, "admin", "events", "record", f"files/{new_uuid()}.{now()}")
    time = dss_here(stack, "admin", "events", "list", "--since", "yesterday")

    assert (unknown.code, unknown.json["waits"]) == (1, 2)
    assert (wrong.code, "is no key of a bundle or of its tombstone" in wrong.err) == (1, True)
    assert (time.code, "--since" in time.err) == (1, True)
