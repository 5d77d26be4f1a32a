"""Each new or deleted bundle is in the journal once, despite kills, lost or repeated events, compaction."""

import json
import queue
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import requests

from shared.identifiers import version_after
from shared.messages import BUNDLE_EVENTS, OBJECT_EVENTS
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.function_process import FunctionProcess, function_process
from tests.support.journal_reader import JournalEvent, events_of
from tests.support.manual_system import ManualSystem, manual_system_on
from tests.support.replication import OTHER
from tests.support.topic_listener import TopicListener, listen_to
from tests.support.waiting import deadline_after

# Each of the functions that write to the journal is killed in turn.
KILLS, MANY_KILLS = 2, 12
# Deliveries that come to an end between two kills, at most, and those that wait at one moment.
MOST_DELIVERED = 10
MOST_WAITING = 20
SECONDS = 90
REASON = {"reason": "under load"}


@dataclass
class Traffic:
    """What is written, and what is delivered of it: events to `sync`, and with losses to `index`."""

    clouds: Clouds
    functions: dict[str, FunctionProcess]
    prefix: str = field(default_factory=lambda: new_uuid()[:8])
    # By replica: bundle versions that were written there, and those of them that were deleted.
    written: dict[str, set[Version]] = field(default_factory=lambda: defaultdict(set))
    deleted: dict[str, set[Version]] = field(default_factory=lambda: defaultdict(set))
    deliveries: "queue.Queue[tuple[str, str, str]]" = field(default_factory=queue.Queue)
    delivered: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def happened(self, replica: str, key: str) -> None:
        """Have an object's event on its way: to `index` not at all, once or twice."""
        for _ in range(random.choice((0, 1, 1, 1, 2))):
            self.deliveries.put(("index", replica, key))

    def new(self) -> Version:
        """Return the name of a bundle of this test."""
        return Version(self.prefix + new_uuid()[8:], now())

    def deliver(self) -> None:
        """Deliver until it is over; what fails is delivered again."""
        while not self.done.is_set():
            try:
                name, replica, key = self.deliveries.get(timeout=0.1)
            except queue.Empty:
                continue
            if not self.push(name, replica, key):
                self.deliveries.put((name, replica, key))
                time.sleep(0.02)
                continue
            self.delivered += 1
            if name == "sync":
                self.happened(OTHER[replica], key)

    def function(self, name: str) -> FunctionProcess:
        """Return a process of a function; there are two of `index`, as there are many in the cloud."""
        return self.functions[random.choice(("index", "index beside")) if name == "index" else name]

    def push(self, name: str, replica: str, key: str) -> bool:
        """Push an object event to a function; return whether it is acknowledged."""
        attributes = {
            "replica": replica,
            "bucketId": self.clouds.main[replica],
            "objectId": key,
            "eventType": "OBJECT_FINALIZE",
        }
        try:
            return self.function(name).push(attributes).status_code == 204
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            return False


@pytest.fixture
def system(stack: dict[str, str]) -> Iterator[ManualSystem]:
    """A system of its own: the sweep would find all that other tests have never published."""
    with manual_system_on(stack) as system:
        yield system


@pytest.fixture
def traffic(system: ManualSystem) -> Iterator[Traffic]:
    env = system.env
    with (
        function_process("index", env) as index,
        function_process("index", env) as beside,
        function_process("sync", env) as sync,
        function_process("compact", env, DSS_JOURNAL_SECONDS="0") as compact,
        function_process("sweep", env, DSS_SWEEP_SECONDS="0") as sweep,
    ):
        functions = {"index": index, "index beside": beside, "sync": sync}
        yield Traffic(system.clouds, {**functions, "compact": compact, "sweep": sweep})


def write(traffic: Traffic, admin: Api, replica: str, file: Version) -> None:
    """Write bundles of one, two or three versions, and delete some of them as they are, or one of them."""
    while not traffic.stop.is_set():
        first = traffic.new()
        versions = [first, *(Version(first.uuid, now()) for _ in range(random.choice((0, 0, 1, 2))))]
        for bundle in versions:
            put_bundle(admin, replica, [file.named("a.json")], bundle=bundle)
            traffic.written[replica].add(bundle)
            for name in random.sample(("sync", "index"), 2):
                if name == "sync":
                    traffic.deliveries.put(("sync", replica, f"bundles/{bundle}"))
                else:
                    traffic.happened(replica, f"bundles/{bundle}")
        for version in random.choice(([], [], [first.version], [None], [first.version, None])):
            path = f"/v1/bundles/{first.uuid}"
            assert admin.delete(path, replica=replica, version=version, json=REASON).status_code == 200
            traffic.deleted[replica].update([first] if version else versions)
            name = f"{first}.dead" if version else f"{first.uuid}.dead"
            traffic.deliveries.put(("sync", replica, f"bundles/{name}"))
            traffic.happened(replica, f"bundles/{name}")
        # Not faster than events can be published.
        while traffic.deliveries.qsize() > MOST_WAITING and not traffic.stop.is_set():
            time.sleep(0.02)


def follow(traffic: Traffic, api: Api, replica: str, start: str) -> list[JournalEvent]:
    """Return what a reader has seen who began at the start and went on behind the last, all the time."""
    seen: list[JournalEvent] = []
    while True:
        over = traffic.done.is_set()
        query = {"replica": replica, "from_date": start, "per_page": 10}
        for page in api.pages("/v1/events", **query):
            streams = page.json()["event_streams"]
            for stream in streams:
                seen += events_of(stream)
                # The next moment after the last that was seen.
                start = version_after(seen[-1].timestamp)
        if over:
            return seen


def kill_again_and_again(traffic: Traffic, kills: int) -> None:
    """Kill the functions that write to the journal at random moments, and restart them."""
    for number in range(kills):
        wanted = traffic.delivered + random.randint(1, MOST_DELIVERED)
        deadline = deadline_after(SECONDS)
        while traffic.delivered < wanted:
            assert time.monotonic() < deadline, "nothing is delivered any more"
            time.sleep(0.001)
        name = ("index", "compact")[number % 2]
        compacting = threading.Thread(target=_compact, args=(traffic,))
        compacting.start()
        time.sleep(random.random() / 10)
        traffic.functions[name].kill()
        compacting.join()
        traffic.functions[name].start()


def _compact(traffic: Traffic) -> None:
    try:
        traffic.functions["compact"].post("")
    except requests.RequestException:
        assert not traffic.done.is_set()


def settle(traffic: Traffic, listener: TopicListener) -> int:
    """Deliver all, then sweep and deliver until nothing is unpublished; return how many events were lost."""
    deadline = deadline_after(SECONDS)
    while not traffic.deliveries.empty():
        assert time.monotonic() < deadline, f"{traffic.deliveries.qsize()} deliveries are never done"
        time.sleep(0.05)
    lost = 0
    while swept := _swept(traffic, listener):
        for replica, key in swept:
            while not traffic.push("index", replica, key):
                assert time.monotonic() < deadline, f"{key} on {replica} is never published"
                time.sleep(0.05)
        lost += len(swept)
    return lost


def _swept(traffic: Traffic, listener: TopicListener) -> set[tuple[str, str]]:
    """Return what the sweep brings to mind of this test's."""
    listener.attributes.clear()
    count = int(traffic.functions["sweep"].post("").text)
    while len(listener.attributes) < count:
        listener.pull()
    ours = f"bundles/{traffic.prefix}"
    return {
        (one["replica"], one["objectId"]) for one in listener.attributes if one["objectId"].startswith(ours)
    }


def named(event: JournalEvent) -> tuple[str, str]:
    """Return which bundle version an event is about, and its type."""
    document = json.loads(event.content)
    info = document["bundle_info"]
    return f"{info['uuid']}.{info['version']}", document["event_type"]


@pytest.mark.parametrize("kills", [KILLS, pytest.param(MANY_KILLS, marks=pytest.mark.large)])
def test_the_journal_has_exactly_the_committed_events(
    traffic: Traffic, system: ManualSystem, kills: int
) -> None:
    api, clouds = system.api, system.clouds
    start = now()
    files = {}
    for replica in REPLICAS:
        source = clouds.stage(replica, b'{"on": "%s"}' % replica.encode(), content_type="application/json")
        files[replica] = put_file(api, source)
        assert traffic.push("sync", replica, f"files/{files[replica]}")
    with (
        listen_to(system.env, OBJECT_EVENTS) as objects,
        listen_to(system.env, BUNDLE_EVENTS) as live,
        ThreadPoolExecutor() as threads,
    ):
        writers = [
            threads.submit(write, traffic, Api(api.url, system.admin.token), replica, files[replica])
            for replica in REPLICAS * 2
        ]
        couriers = [threads.submit(traffic.deliver) for _ in range(4)]
        readers = {
            replica: threads.submit(follow, traffic, Api(api.url), replica, start) for replica in REPLICAS
        }
        try:
            kill_again_and_again(traffic, kills)
            traffic.stop.set()
            for writer in writers:
                writer.result()
            lost = settle(traffic, objects)
        finally:
            traffic.stop.set()
            traffic.done.set()
        for courier in couriers:
            courier.result()
        assert lost > 0, "no event was lost"
        compact = traffic.functions["compact"]
        assert compact.post("").status_code == 200, compact.log_tail()
        for replica in REPLICAS:
            seen = [read for read in readers[replica].result() if read.content]
            assert_whole(traffic, api, replica, start, seen)
        published = _published(live, traffic)
    for replica in REPLICAS:
        assert set(published[replica]) == {
            named(event) for event in _every(api, replica, start) if _is_ours(traffic, event)
        }
        assert all(len(times) == 1 for times in published[replica].values()), "an event has two timestamps"


def _is_ours(traffic: Traffic, event: JournalEvent) -> bool:
    return named(event)[0].startswith(traffic.prefix)


def _every(api: Api, replica: str, start: str) -> list[JournalEvent]:
    pages = api.pages("/v1/events", replica=replica, from_date=start, per_page=10)
    return [event for page in pages for stream in page.json()["event_streams"] for event in events_of(stream)]


def assert_whole(traffic: Traffic, api: Api, replica: str, start: str, seen: list[JournalEvent]) -> None:
    """Fail unless the journal of a replica, and what a follower saw of it, is what was committed there."""
    events = _every(api, replica, start)
    assert [event.timestamp for event in events] == sorted({event.timestamp for event in events})
    # Who followed it all the time, while it was written and put together, has seen the same.
    assert [(one.timestamp, one.event_id, one.content) for one in seen] == [
        (one.timestamp, one.event_id, one.content) for one in events
    ]
    ours = [event for event in events if _is_ours(traffic, event)]
    journalled = [named(event) for event in ours]
    assert len(journalled) == len(set(journalled)) == len({event.event_id for event in ours})
    for name in {name for name, kind in journalled if kind == "TOMBSTONE"}:
        assert journalled.index((name, "CREATE")) < journalled.index((name, "TOMBSTONE"))
    there, gone = traffic.written[replica], traffic.deleted[replica]
    came, went = traffic.written[OTHER[replica]], traffic.deleted[OTHER[replica]]
    must = {(str(one), "CREATE") for one in there | (came - went)} | {(str(one), "TOMBSTONE") for one in gone}
    # What was hidden on its way here was never to be seen here: either both events, or none.
    may = {one for one in went if (str(one), "CREATE") in journalled}
    expected = must | {(str(one), kind) for one in may for kind in ("CREATE", "TOMBSTONE")}
    assert set(journalled) == expected
    for event in random.sample(ours, 10):
        uuid, _, version = named(event)[0].partition(".")
        answer = api.get(f"/v1/events/{uuid}", replica=replica, version=version)
        if answer.json()["event_type"] == named(event)[1]:
            assert answer.content == event.content + b"\n"


def _published(live: TopicListener, traffic: Traffic) -> dict[str, dict[tuple[str, str], set[str]]]:
    """Return what was published, by replica: the events, each with the times that it was given."""
    live.drain()
    published: dict[str, dict[tuple[str, str], set[str]]] = {name: defaultdict(set) for name in REPLICAS}
    for one in live.attributes:
        if one["uuid"].startswith(traffic.prefix):
            name = f"{one['uuid']}.{one['version']}", one["eventType"]
            published[one["replica"]][name].add(one["timestamp"])
    return published
