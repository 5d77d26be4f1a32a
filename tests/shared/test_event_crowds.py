"""However many processes append to a log at once, it keeps up: simulated, with the latency of a cloud.

Each event has a process of its own, which knows nothing of the others. A read and a commit take 70 ms.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from shared.catalog import Database, Event, EventCatalog
from shared.catalog.event_documents import document_of
from shared.errors import Unavailable
from shared.events.publishing import event_of
from shared.identifiers import Fqid, version_of
from tests.support.api import new_uuid
from tests.support.simulated_firestore import SimulatedFirestore, Simulation


@dataclass
class Crowd:
    """Processes that record events, so many a second for so long."""

    rate: float
    seconds: float
    kill: float = 0.0
    read_seconds: float = 0.02
    commit_seconds: float = 0.05
    time: Simulation = field(default_factory=Simulation)
    recorded: list[tuple[Event, float]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    killed: set[str] = field(default_factory=set)
    ended: int = 0

    def __post_init__(self) -> None:
        self.store = SimulatedFirestore(
            self.time,
            read_seconds=self.read_seconds,
            commit_seconds=self.commit_seconds,
            locked_seconds=0.01,
        )

    def run(self) -> "Crowd":
        """Have all events recorded, and a reader follow the log meanwhile."""
        arrivals = int(self.rate * self.seconds)
        at = 0.0
        for _ in range(arrivals):
            # As they come from many writers that know nothing of each other.
            at += random.expovariate(self.rate)
            event = event_of("gcp", Fqid(new_uuid(), version_of(self.time.now())), b"", dead=False)
            self.time.start(at, lambda event=event: self._record(event))  # type: ignore[misc]
        self.time.start(0.0, lambda: self._follow(arrivals))
        self.time.run()
        return self

    def _record(self, event: Event) -> None:
        begun, is_mortal = self.time.seconds, random.random() < self.kill
        store = Mortal(self.store) if is_mortal else self.store
        catalog = EventCatalog(Database(store, replicas=("gcp",), clock=self.time, reads=store))  # type: ignore[arg-type]
        try:
            self.recorded.append((catalog.record(event), self.time.seconds - begun))
        except Killed:
            self.killed.add(event.id)
        self.ended += 1

    def _follow(self, count: int) -> None:
        """Read what comes after the last event that was seen, until all processes have ended."""
        ended = False
        while not ended:
            self.time.sleep(0.03)
            ended = self.ended == count
            # As a query does: what the log has at this moment.
            last = self.seen[-1] if self.seen else ""
            self.seen += [row for row in self.log() if row > last]

    def log(self) -> list[str]:
        """Return the timestamps in the log, in order."""
        return sorted(
            document["timestamp"]
            for path, (_, document) in self.store.documents.items()
            if path[:7] == "events/"
        )

    def p95(self, part: slice = slice(None)) -> float:
        """Return within how many seconds 95 % were recorded, of a part of them in the order of their ends."""
        found = sorted(seconds for _, seconds in self.recorded[part])
        return found[int(len(found) * 0.95)]


class Killed(BaseException):
    """The process is killed."""


class Mortal:
    """A Firestore whose client is killed after it has announced an event, or before it has."""

    def __init__(self, store: SimulatedFirestore) -> None:
        self._store = store
        self._left = random.randrange(4)

    def __getattr__(self, name: str) -> object:
        if name in ("batch", "get_many"):
            self._left -= 1
            if self._left < 0:
                raise Killed
        return getattr(self._store, name)


@pytest.fixture(autouse=True)
def same_each_time() -> Iterator[None]:
    state = random.getstate()
    random.seed(19)
    yield
    random.setstate(state)


def check(crowd: Crowd) -> None:
    """Each event is in the log once, at the time that was returned, and the reader has missed none."""
    log = crowd.log()
    assert len(set(log)) == len(log)
    assert {event.timestamp for event, _ in crowd.recorded} <= set(log)
    assert crowd.seen == log


def test_500_events_a_second_are_recorded_as_they_come() -> None:
    crowd = Crowd(rate=500, seconds=6).run()

    check(crowd)
    count, half = len(crowd.recorded), len(crowd.recorded) // 2
    first, second = crowd.p95(slice(half)), crowd.p95(slice(half, None))
    assert count == 3000
    assert (first < 1, second < 1.25 * first) == (True, True), (first, second)
    # What each costs, with all the looks of those that wait and the attempts that were in vain.
    assert crowd.store.reads / count < 30
    writes = crowd.store.writes
    assert writes["journal_checkpoints/gcp"] / crowd.seconds < 15
    assert max(number for path, number in writes.items() if "event_boxes" in path) / crowd.seconds < 20


def test_one_event_at_a_time_takes_a_read_and_a_commit_and_no_box() -> None:
    crowd = Crowd(rate=1, seconds=20).run()

    check(crowd)
    assert crowd.p95() < 0.08
    assert (crowd.store.reads / len(crowd.recorded), crowd.store.commits) == (3, 20)
    assert not [path for path in crowd.store.documents if "event_boxes" in path]


def test_what_a_killed_process_has_announced_is_appended_once_or_not_at_all() -> None:
    crowd = Crowd(rate=200, seconds=4, kill=0.3).run()

    check(crowd)
    killed = [path for path in crowd.store.documents if path.removeprefix("events/") in crowd.killed]
    assert 0 < len(killed) < len(crowd.killed)
    # And those that were killed hold nobody up.
    assert crowd.p95() < 1
    assert len(crowd.recorded) + len(crowd.killed) == 800


def test_an_announcement_of_long_ago_is_appended_by_nobody() -> None:
    crowd = Crowd(rate=100, seconds=2)
    old = event_of("gcp", Fqid(new_uuid(), version_of(crowd.time.now())), b"", dead=False)
    row = {**document_of(old), "id": old.id, "until": version_of(crowd.time.now())}
    crowd.store.documents["event_boxes/gcp 0"] = (1, {"waiting": [row]})
    crowd.run()

    check(crowd)
    assert f"events/{old.id}" not in crowd.store.documents
    assert row not in crowd.store.documents["event_boxes/gcp 0"][1]["waiting"]


def test_who_cannot_append_for_long_says_so() -> None:
    time = Simulation()
    store = SimulatedFirestore(time, read_seconds=0.02, commit_seconds=0.05, locked_seconds=0.01)
    catalog = EventCatalog(Database(store, replicas=("gcp",), clock=time, reads=store))  # type: ignore[arg-type]
    event = event_of("gcp", Fqid(new_uuid(), version_of(time.now())), b"", dead=False)
    ended: list[float] = []

    def disturb() -> None:
        while not ended:
            version, document = store.documents.get("journal_checkpoints/gcp", (0, {}))
            store.documents["journal_checkpoints/gcp"] = (version + 1, document)
            time.sleep(0.001)

    def record() -> None:
        with pytest.raises(Unavailable, match="journal_checkpoints/gcp"):
            catalog.record(event)
        ended.append(time.seconds)

    time.start(0, disturb)
    time.start(0, record)
    time.run()

    # Before Pub/Sub gives up, and after most crowds have gone.
    assert 10 < ended[0] < 60
