"""`compact`, as a process: events that are put together are the same events, also when it is killed."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from dss.client import Client
from shared.faults import FAULT_POINTS
from tests.support.api import Api, Version, assert_problem, new_uuid, now
from tests.support.clouds import REPLICAS, Clouds
from tests.support.command_line import dss
from tests.support.dss import firestore_client
from tests.support.function_process import FunctionProcess, function_process
from tests.support.journal_reader import JournalEvent, read_events
from tests.support.replication import new_bundle, new_file, object_event_attributes
from tests.support.topic_listener import TopicListener

POINTS = [point for point in FAULT_POINTS if point.startswith("compact: ")]


@pytest.fixture(scope="module")
def compact(stack: dict[str, str]) -> Iterator[FunctionProcess]:
    """The function, for which everything is old enough."""
    with function_process("compact", stack, DSS_JOURNAL_SECONDS="0") as process:
        yield process


class Line:
    """The events of this test on a replica: adds events, reads them, and has the expected documents."""

    def __init__(self, index: FunctionProcess, admin: Api, clouds: Clouds, replica: str) -> None:
        self._index = index
        self._admin = admin
        self._clouds = clouds
        self.replica = replica
        self.start = now()
        self.bundles: list[Version] = []

    def grow(self, count: int) -> None:
        """Create some bundles, delete the first, and publish their events."""
        file = new_file(self._admin, self._clouds, self.replica, b"content")
        made = [new_bundle(self._admin, self.replica, file) for _ in range(count)]
        self.bundles += made
        path = f"/v1/bundles/{made[0].uuid}"
        gone = self._admin.delete(path, replica=self.replica, json={"reason": "wrong"})
        assert gone.status_code == 200
        for key in (*map(str, made), f"{made[0].uuid}.dead"):
            event = object_event_attributes(self._clouds, self.replica, f"bundles/{key}")
            assert self._index.push(event).status_code == 204

    def read(self, **query: object) -> list[JournalEvent]:
        """Return the events since this test began."""
        return list(read_events(self._admin, self.replica, from_date=self.start, **query))

    def pages(self) -> list[requests.Response]:
        """Return the pages of the list of these events."""
        return list(self._admin.pages("/v1/events", replica=self.replica, from_date=self.start))

    def documents(self) -> list[bytes]:
        """Return the documents that are kept of the bundles."""
        keys = [
            key for bundle in self.bundles for key in self._clouds.keys(self.replica, f"documents/{bundle}")
        ]
        return [self._clouds.read(self.replica, key) for key in keys]


@pytest.fixture
def line(index: FunctionProcess, admin: Api, clouds: Clouds, replica: str) -> Line:
    return Line(index, admin, clouds, replica)


def listed(line: Line) -> list[dict[str, Any]]:
    """Return the events since this test began, as they are listed; none is read."""
    pages = line.pages()
    return [event for page in pages for stream in page.json()["event_streams"] for event in stream["events"]]


def what(events: list[JournalEvent]) -> list[tuple[str, str, bytes]]:
    """Return events without the journals that they were in."""
    return [(event.timestamp, event.event_id, event.content) for event in events]


def test_events_are_the_same_before_and_after_compaction(
    line: Line, compact: FunctionProcess, listener: TopicListener
) -> None:
    line.grow(4)

    alone = line.read(per_page=3)
    assert compact.post("").status_code == 200
    together = line.read()

    assert what(together) == what(alone) == sorted(what(alone))
    assert sorted(event.content for event in alone) == sorted(line.documents())
    assert len(alone) == 5
    assert len({event.timestamp for event in alone}) == len({event.journal_id for event in alone}) == 5
    assert len({event.journal_id for event in together}) == 1
    published = {one["eventId"]: one["timestamp"] for one in listener.attributes}
    while not {event.event_id for event in alone} <= published.keys():
        listener.pull()
        published = {one["eventId"]: one["timestamp"] for one in listener.attributes}
    assert all(published[event.event_id] == event.timestamp for event in alone)
    # Only what was asked for, of one journal, too.
    second, fourth = together[1].timestamp, together[3].timestamp
    line.start = second
    assert what(line.read(to_date=fourth)) == what(together[1:3])
    assert line.read(to_date=second) == []


@pytest.mark.parametrize("compacted_after", [1, 3])
def test_a_reader_meets_each_event_once_while_events_are_compacted(
    line: Line, compact: FunctionProcess, admin: Api, compacted_after: int
) -> None:
    line.grow(3)
    expected = what(line.read())

    found = []
    for number, event in enumerate(read_events(admin, line.replica, from_date=line.start), start=1):
        found.append(event)
        if number == compacted_after:
            assert compact.post("").status_code == 200

    assert what(found) == expected
    assert len(expected) == 4


@pytest.mark.parametrize("point", POINTS)
def test_a_compaction_that_is_killed_at_any_step_is_finished_by_the_next(
    stack: dict[str, str],
    index: FunctionProcess,
    compact: FunctionProcess,
    admin: Api,
    clouds: Clouds,
    point: str,
) -> None:
    assert compact.post("").status_code == 200
    line = Line(index, admin, clouds, REPLICAS[POINTS.index(point) % 2])
    line.grow(2)
    expected = what(line.read())

    with (
        function_process("compact", stack, DSS_FAULT_POINT=point, DSS_JOURNAL_SECONDS="0") as mortal,
        pytest.raises(requests.ConnectionError),
    ):
        mortal.post("")
    assert what(line.read()) == expected
    # Of what was claimed, the next journal is made, and no other.
    line.grow(1)
    assert compact.post("").status_code == 200

    found = line.read(per_page=10)
    assert what(found)[:3] == expected
    assert len({event.journal_id for event in found[:3]}) == 1
    assert sorted(event.content for event in found) == sorted(line.documents())
    journals = {event.journal_id for event in found}
    kept = {key.removeprefix("journals/") for key in clouds.keys(line.replica, "journals/")}
    assert {f"{journal}{ending}" for journal in journals for ending in ("", ".json")} <= kept


@pytest.mark.parametrize("how", ["lost", "wrong"])
def test_no_journal_is_written_if_a_document_has_changed_since_it_was_published(
    line: Line, compact: FunctionProcess, clouds: Clouds, how: str
) -> None:
    line.grow(2)
    expected = what(line.read())
    key = f"documents/{line.bundles[0]}"
    document = clouds.read(line.replica, key)
    # What S3 puts together has no checksum that follows from its parts'; there it has to be too short.
    wrong = document.replace(b"CREATE", b"create") if line.replica == "gcp" else document[:-1]
    bucket = clouds.main[line.replica]
    if how == "wrong":
        clouds.stage(line.replica, wrong, bucket=bucket, key=key, metadata={})
    elif line.replica == "gcp":
        clouds.gcs.bucket(bucket).blob(key).delete()
    else:
        clouds.s3.delete_object(Bucket=bucket, Key=key)

    assert compact.post("").status_code == 503
    assert len({event["event_id"] for event in listed(line)}) == len(expected)
    clouds.stage(line.replica, document, bucket=bucket, key=key, metadata={})
    assert compact.post("").status_code == 200

    found = line.read()
    assert what(found) == expected
    assert len({event.journal_id for event in found}) == 1


def test_an_event_that_lost_its_checksum_is_reported_and_stops_no_other_replica(
    stack: dict[str, str], index: FunctionProcess, compact: FunctionProcess, admin: Api, clouds: Clouds
) -> None:
    first, other = (Line(index, admin, clouds, name) for name in REPLICAS)
    for line in (first, other):
        line.grow(2)
    expected = what(first.read())
    event_id = expected[0][1]
    with closing(firestore_client(stack)) as client:
        event = client.collection("events").document(event_id)
        crc32c = event.get().get("crc32c")
        event.update({"crc32c": ""})
        try:
            failed = compact.post("")
        finally:
            event.update({"crc32c": crc32c})

    assert (failed.status_code, event_id in failed.text) == (503, True), failed.text
    assert len({row.journal_id for row in other.read()}) == 1
    assert what(first.read()) == expected
    assert compact.post("").status_code == 200
    assert len({row.journal_id for row in first.read()}) == 1
    assert what(first.read()) == expected


def test_events_that_are_new_and_few_are_not_compacted(line: Line, stack: dict[str, str]) -> None:
    line.grow(2)
    with function_process("compact", stack) as patient:
        assert patient.post("").text == "0"
    assert len({event.journal_id for event in line.read()}) == 3


def test_an_impossible_range_is_refused(api: Api, replica: str) -> None:
    def asked(**query: object) -> requests.Response:
        return api.get("/v1/events", replica=replica, **query)

    early, late = now(), now()
    assert_problem(asked(from_date=late, to_date=early), 400, "bad_request", "from_date", "to_date")
    assert_problem(asked(from_date="yesterday"), 400, "illegal_version", "from_date")
    assert_problem(asked(to_date="2026-02-30T000000.000000Z"), 400, "illegal_version", "to_date")
    for token in ("x", "eA==", "%"):
        assert_problem(asked(token=token), 400, "illegal_token", "token")
    for count in (0, 11):
        assert_problem(asked(per_page=count), 400, "illegal_arguments", "per_page")
    empty = asked(from_date=late)
    assert (empty.status_code, empty.json()) == (200, {"event_streams": []})
    missing = api.get(f"/v1/events/{new_uuid()}", replica=replica, version=early)
    assert_problem(missing, 404, "not_found")
    assert_problem(api.get(f"/v1/events/{new_uuid()}", replica=replica), 400, "illegal_arguments", "version")


def test_a_client_reads_each_event_once_and_continues_with_new_ones(
    line: Line, compact: FunctionProcess, api: Api, stack: dict[str, str]
) -> None:
    line.grow(2)
    expected = what(line.read())
    client = Client(api.url, replica=line.replica)

    seen = []
    for event in client.events(line.start, follow=True, interval=0.05):
        seen.append((event.timestamp, event.event_id, event.document))
        if len(seen) == 2:
            # Both events seen are now in one journal with one that is not, and with others that are new.
            line.grow(1)
            assert compact.post("").status_code == 200
        if len(seen) == 5:
            break

    assert seen == what(line.read())
    assert seen[:3] == expected
    until = seen[4][0]
    assert [event.event_id for event in client.events(line.start, until)] == [row[1] for row in seen[:4]]
    listed = dss(stack, "events", "--replica", line.replica, "--from", line.start)
    kinds = [row.split()[1] for row in listed.out.splitlines()]
    assert (listed.code, kinds) == (0, ["CREATE", "CREATE", "TOMBSTONE", "CREATE", "TOMBSTONE"])
    first = dss(
        stack, "events", "--json", "--replica", line.replica, "--from", line.start, "--to", seen[1][0]
    )
    assert first.json["document"] == json.loads(seen[0][2])
    assert dss(stack, "events", "--from", "yesterday").code == 2
