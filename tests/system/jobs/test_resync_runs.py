"""A resync: events are published again, for a list of keys or for a prefix."""

import os
from collections.abc import Callable, Iterator

import pytest

from shared.catalog import JobState
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.purges.records import declare, new_purge
from tests.support.admin_system import AdminSystem, put_list
from tests.support.api import new_uuid, now, put_file
from tests.support.manual_system import World
from tests.support.topic_listener import listen_to

Published = Callable[[], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def worlds(system: AdminSystem) -> dict[str, World]:
    """Things that are in `gcp` alone, in `aws` alone, and in both."""
    alone = {name: system.world(name, os.urandom(100)) for name in ("gcp", "aws")}
    return {**alone, "both": system.replicated_world("gcp", os.urandom(100))}


@pytest.fixture
def published(system: AdminSystem) -> Iterator[Published]:
    """Return what has been published since the last call: replicas and keys, in order of key."""
    with listen_to(system.env, OBJECT_EVENTS) as listener:

        def drained() -> list[tuple[str, str]]:
            listener.drain()
            events = [ObjectEvent.parse(attributes) for attributes in listener.attributes]
            listener.attributes.clear()
            return sorted(((event.replica, event.key) for event in events), key=lambda one: one[1])

        yield drained


def test_the_keys_of_a_list_are_published_from_a_replica_that_has_them(
    system: AdminSystem, worlds: dict[str, World], published: Published
) -> None:
    nowhere = f"files/{new_uuid()}.{now()}"
    keys = [key for world in worlds.values() for key in world.documents]
    url = put_list(system, [*keys[:5], "", *keys[5:], nowhere])

    run = system.run(kind="resync", list=url, page=3)

    assert run.parts > len(keys) / 3
    outcomes = {line["key"]: line["outcome"] for line in system.report_lines(run)}
    assert [line["key"] for line in system.report_lines(run)] == [*keys, nowhere]
    assert outcomes[nowhere] == "not published: no replica has it"
    for name, world in worlds.items():
        source = "gcp" if name == "both" else name
        assert {outcomes[key] for key in world.documents} == {f"published, from {source}"}
    expected = [("aws" if key in worlds["aws"].documents else "gcp", key) for key in keys]
    assert published() == sorted(expected, key=lambda one: one[1])
    assert run.counts == {"keys": len(keys) + 1, "published": len(keys)}


def test_a_prefix_is_published_once_and_what_is_everywhere_may_be_left_out(
    system: AdminSystem, worlds: dict[str, World], published: Published
) -> None:
    run = system.run(kind="resync", prefix="files/", page=1)
    everything = published()
    missing = system.run(kind="resync", prefix="files/", only_missing=True)
    lacking = published()
    one = f"bundles/{worlds['both'].seen.uuid}"
    system.run(kind="resync", prefix=one, replicas=["aws"])

    files = {name: f"files/{world.file}" for name, world in worlds.items()}
    assert {("gcp", files["gcp"]), ("aws", files["aws"]), ("gcp", files["both"])} <= set(everything)
    own = [key for _, key in everything if key in files.values()]
    assert (len(own), run.counts["published"]) == (3, len(everything))
    assert {key for _, key in lacking} >= {files["gcp"], files["aws"]}
    assert files["both"] not in {key for _, key in lacking}
    assert {"key": files["both"], "outcome": "not published: all replicas have it"} in system.report_lines(
        missing
    )
    assert published() == [("aws", f"bundles/{worlds['both'].seen}")]


def test_what_is_withheld_is_published_once(system: AdminSystem, published: Published) -> None:
    file = put_file(system.api, system.clouds.stage("gcp", os.urandom(50)))
    key = f"files/{file}"
    system.replicate("gcp", key)
    declare(system.dss, new_purge(system.dss, file.uuid, "", reason="withdrawn", by="admin@example.org"))

    system.run(kind="resync", prefix=key)

    assert published() == [("gcp", key)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "list, prefix: give one of them, not both"),
        ({"list": "gs://a/b", "prefix": "files/"}, "list, prefix: give one of them, not both"),
        ({"prefix": "blobs/"}, "must begin with one of files/, bundles/, collections/"),
        ({"list": "s3://a/b"}, "does not have the form gs://bucket/key"),
        ({"list": "gs://dss-local-gs-reports/lists/none"}, "gs://dss-local-gs-reports/lists/none"),
        ({"list": "gs://nowhere/list"}, "gs://nowhere/list"),
    ],
)
def test_a_list_that_is_not_there_is_named_at_once(
    system: AdminSystem, options: dict[str, str], words: str
) -> None:
    assert words in system.run_and_fail(kind="resync", **options)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"files/nonsense", "line 3: 'files/nonsense' is not the key of a manifest or tombstone"),
        (b"\xff\xfe", "line 3: it is not UTF-8"),
        (b"x" * 5000, "line 3: it is longer than 4096 bytes"),
    ],
)
def test_a_malformed_line_ends_the_run_and_is_named(
    system: AdminSystem, worlds: dict[str, World], line: bytes, words: str
) -> None:
    key = f"files/{worlds['both'].file}".encode()
    url = put_list(system, b"\n".join([key, key, line, key]))

    name = system.start(kind="resync", list=url, page=2)
    system.wait_for_end(name)
    run = system.get_run(name)

    assert (run.state, run.cause) == (JobState.FAILED, f"{url}, {words}")
    # What came before it, in an earlier slice, is done and reported.
    assert len(system.report_lines(run)) == 2
    assert system.summary(run, "failed-1")["cause"] == run.cause


def test_a_list_that_is_replaced_under_way_ends_the_run(
    system: AdminSystem, worlds: dict[str, World]
) -> None:
    keys = [*worlds["both"].documents]
    url = put_list(system, keys)
    system.front.rules[""] = lambda body: 422 if body["step"] == "work" else None
    name = system.start(kind="resync", list=url)
    system.wait_for_end(name)
    del system.front.rules[""]
    put_list(system, keys[::-1], key=url.split("/", 3)[3])

    assert system.run_and_fail(resume=name.rpartition("/")[2]) == f"{url} was replaced since this run began"
