"""Backlogs are counted, not read: what a measurement costs hardly grows with them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.cloud.firestore import DELETE_FIELD

from shared.catalog import Catalog, Database, Purge
from shared.identifiers import Fqid, Kind, version_of
from shared.kinds import KINDS
from shared.maintenance.migrations import MIGRATIONS
from shared.maintenance.sweep import Backlog, backlogs, sweep, unpublished
from shared.messages import ObjectEvent
from shared.replicas import Replica, Replicas
from shared.system import Dss
from tests.support.apart import catalog_apart
from tests.support.api import new_uuid
from tests.support.dss import firestore_client
from tests.support.firestore_proxy import FirestoreProxy

NOW = datetime(2026, 1, 12, tzinfo=UTC)
FILES, BUNDLES = KINDS[Kind.FILE, False], KINDS[Kind.BUNDLE, False]
NOTHING = (0, 0.0, 0)


class Clock:
    """A clock that stands."""

    time = NOW

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class World:
    """A catalog of its own behind a proxy that counts, and a publisher that keeps keys."""

    def __init__(self, env: dict[str, str], proxy: FirestoreProxy) -> None:
        self.proxy = proxy
        self.clock = Clock()
        self.client = firestore_client({**catalog_apart(env), "FIRESTORE_EMULATOR_HOST": proxy.address})
        self.catalog = Catalog(Database(self.client, replicas=("gcp", "aws"), clock=self.clock))
        self.published: list[str] = []
        replicas = [
            Replica(
                name=name, open_store=lambda: cast(Any, None), bucket=name, checkout_bucket=f"{name}-checkout"
            )
            for name in ("gcp", "aws")
        ]
        self.dss = cast(
            Dss,
            SimpleNamespace(
                catalog=self.catalog,
                clock=self.clock,
                replicas=Replicas(*replicas),
                publisher=SimpleNamespace(publish=self._publish),
            ),
        )

    def _publish(self, _: str, attributes: dict[str, str]) -> None:
        self.published.append(ObjectEvent.parse(attributes).key)

    def add(
        self, count: int, *available: str, published: Sequence[str] = (), kind: Any = FILES, age: float = 0
    ) -> list[str]:
        """Write heads that some replicas have, claimed so many seconds ago; return the keys."""
        before, self.clock.time = self.clock.time, self.clock.time - timedelta(seconds=age)
        heads = [self._head(kind, available, published) for _ in range(count)]
        self.clock.time = before
        for start in range(0, count, 500):
            batch = self.client.batch()
            for head in heads[start : start + 500]:
                batch.create(
                    self.client.document(f"{kind.collection}/{head['uuid']}.{head['version']}"), head
                )
            batch.commit()
        return [kind.name(head["uuid"], head["version"]).key for head in heads]

    def _head(self, kind: Any, available: Sequence[str], published: Sequence[str]) -> dict[str, Any]:
        database = self.catalog.database
        head = {"uuid": new_uuid(), "version": version_of(self.clock.now()), **database.new_head()}
        head["available"] = list(available)
        head["missing"] = [name for name in head["missing"] if name not in available]
        if kind.published:
            head["unpublished"] = [name for name in ("gcp", "aws") if name not in published]
        return head

    def measured(self) -> dict[str, tuple[tuple[int, float, int], tuple[int, float, int]]]:
        """Return objects, age and dead letters of what each replica lacks, and has not published."""
        pairs = zip(backlogs(self.dss), unpublished(self.dss), strict=True)
        return {one.replica: (_numbers(one), _numbers(other)) for one, other in pairs}

    def price(self) -> tuple[int, int]:
        """Return how many documents a measurement reads, and how many requests it makes."""
        self.proxy.forget()
        self.measured()
        return sum(call.reads for call in self.proxy.calls), len(self.proxy.calls)


def _numbers(found: Backlog) -> tuple[int, float, int]:
    assert found.is_all
    return found.objects, found.oldest_seconds, found.left_alone


@pytest.fixture
def world(stack: dict[str, str]) -> Iterator[World]:
    with FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy:
        yield World(stack, proxy)


def test_a_measurement_reads_a_document_for_each_thousand_and_the_oldest(world: World) -> None:
    assert world.measured() == {"gcp": (NOTHING, NOTHING), "aws": (NOTHING, NOTHING)}
    prices = {0: world.price()}
    missing = 0
    for size in (10, 1000, 10_000):
        world.add(size - missing, "gcp", age=size)
        missing = size
        prices[size] = world.price()
        assert world.measured()["aws"] == ((size, float(size), 0), NOTHING)

    _, requests = prices[10]
    # The oldest of a queue that has something costs one request more than an empty one.
    assert prices[0][1] == requests - 1
    assert {size: one[1] for size, one in prices.items() if size} == dict.fromkeys(
        (10, 1000, 10_000), requests
    )
    assert prices[1000] == prices[10]
    assert prices[10_000][0] - prices[10][0] == 9
    assert prices[10][0] < 60


def test_each_head_is_in_the_queues_that_it_belongs_to(world: World) -> None:
    world.add(1, age=300)  # A claim is no backlog.
    world.add(2, "gcp", age=200)
    world.add(3, "aws", age=100)
    world.add(4, "gcp", "aws", age=400)
    world.add(5, "gcp", kind=BUNDLES, age=50)
    world.add(6, "gcp", "aws", kind=BUNDLES, age=40, published=["gcp"])
    world.add(7, "aws", kind=BUNDLES, age=30, published=["aws"])

    assert world.measured() == {
        "gcp": ((3 + 7, 100.0, 0), (5, 50.0, 0)),
        "aws": ((2 + 5, 200.0, 0), (6, 40.0, 0)),
    }
    cut = [(one.objects, one.is_all) for one in backlogs(world.dss, most=2)]
    assert cut == [(2 + 2, False), (2 + 2, False)]


def test_a_sweep_publishes_the_oldest_first_and_remembers_where_queues_begin(world: World) -> None:
    old, older = world.add(1, "gcp", age=7200), world.add(1, "gcp", age=10_000)
    [unpublished_one] = world.add(1, "gcp", "aws", kind=BUNDLES, age=8000)
    world.add(1, "gcp", age=10)

    assert sweep(world.dss, older_than=timedelta(seconds=600)) == 4
    # Of the bundle an event for each replica.
    assert sorted(world.published) == sorted([*old, *older, unpublished_one, unpublished_one])
    starts = world.catalog.backlog.starts()
    margin = timedelta(seconds=600)
    assert starts == {
        "whole": NOW,
        "missing aws": NOW - timedelta(seconds=10_000) - margin,
        "missing gcp": NOW - timedelta(seconds=600) - margin,
        "unpublished gcp": NOW - timedelta(seconds=8000) - margin,
        "unpublished aws": NOW - timedelta(seconds=8000) - margin,
    }
    # The oldest has arrived: later queries begin behind it.
    [first] = (FILES.name(*key.removeprefix("files/").split(".", 1)) for key in older)
    changes = world.catalog.database.gained("aws")
    world.client.collection("files").document(first.subject).update(changes)
    assert sweep(world.dss, older_than=timedelta(seconds=600)) == 3
    assert world.catalog.backlog.starts()["missing aws"] == NOW - timedelta(seconds=7200) - margin
    world.proxy.forget()
    world.measured()
    bounds = [
        [filter_.field_filter.op.name for filter_ in query.where.composite_filter.filters]
        for call in world.proxy.calls
        for query in call.queries
    ]
    # Each has a lower bound but for dead letters, which are few.
    assert sum("GREATER_THAN_OR_EQUAL" in one for one in bounds) >= len(bounds) / 2


def test_a_head_of_a_clock_that_was_behind_is_found_within_a_day(world: World) -> None:
    assert sweep(world.dss, older_than=timedelta(seconds=600)) == 0
    world.add(1, "gcp", age=7200)

    world.clock.sleep(3600)
    assert (sweep(world.dss, older_than=timedelta(seconds=600)), world.measured()["aws"][0][0]) == (0, 0)
    world.clock.sleep(24 * 3600)
    assert sweep(world.dss, older_than=timedelta(seconds=600)) == 1
    assert world.measured()["aws"][0][0] == 1


def test_dead_letters_are_counted_apart_and_hold_no_queue_back(world: World) -> None:
    [dead] = world.add(1, "gcp", age=100_000)
    world.add(2, "gcp", age=1000)
    name = Fqid.parse(dead.removeprefix("files/"))
    until = NOW + timedelta(days=1)
    world.catalog.backlog.leave_alone(FILES, FILES.name(name.uuid, name.version), "sync", until=until)

    assert sweep(world.dss, older_than=timedelta(seconds=600)) == 2
    assert world.measured()["aws"] == ((3, 100_000.0, 1), NOTHING)
    start = world.catalog.backlog.starts()["missing aws"]
    assert start == NOW - timedelta(seconds=1000 + 600)
    # Its time is over: it is tried again, though the queue begins later.
    world.clock.time += timedelta(days=2)
    assert sweep(world.dss, older_than=timedelta(seconds=600)) == 3


def test_heads_of_earlier_releases_come_into_queues_by_migration(world: World) -> None:
    [key] = world.add(1, "gcp", age=5000)
    [done] = world.add(1, "gcp", "aws", age=5000)
    world.add(1, "gcp", age=1)
    for name in (key, done):
        head = world.client.document(name)
        head.update({"shard": DELETE_FIELD, "missing": head.get().get("missing")[::-1]})
    assert world.measured()["aws"][0][0] == 1

    [migration] = [one for one in MIGRATIONS if one.number == 2]
    assert migration.pending(world.dss) == 1
    assert list(migration.apply(world.dss)) == [1]
    assert (migration.pending(world.dss), list(migration.apply(world.dss))) == (0, [])
    assert world.measured()["aws"] == ((2, 1.0, 0), NOTHING)
    assert "shard" not in (world.client.document(done).get().to_dict() or {})


def test_what_a_purge_withholds_is_in_no_queue_until_it_is_undone(world: World) -> None:
    [key] = world.add(1, "gcp", kind=BUNDLES, age=9000)
    fqid = Fqid.parse(key.removeprefix("bundles/"))
    # The beginnings of the queues are behind the time at which it was made.
    world.catalog.backlog.set_starts({"missing aws": NOW, "unpublished gcp": NOW})
    world.clock.sleep(10)
    done = purge(fqid, world.clock)
    world.catalog.purges.put_into_effect(done)
    assert world.measured() == {"gcp": (NOTHING, NOTHING), "aws": (NOTHING, NOTHING)}

    world.clock.sleep(10)
    world.catalog.purges.put_into_effect(replace(purge(fqid, world.clock), undone=True))

    world.clock.sleep(10)
    assert world.measured() == {"gcp": (NOTHING, (1, 10.0, 0)), "aws": ((1, 10.0, 0), NOTHING)}


def purge(fqid: Fqid, clock: Clock) -> Purge:
    """Return the purge of a version."""
    name = Fqid(fqid.uuid, version_of(clock.now()))
    return Purge(fqid=name, of=fqid.version, reason="x", by="ada@example.org", due=name.version)
