"""Processes that keep all subscriptions of a replica in memory read what has changed, and miss nothing."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.catalog import Catalog, Database, Subscription, SubscriptionCatalog, SubscriptionSet
from shared.catalog.subscription_changes import MOST_FOLLOWED, Position, changed_between
from shared.clock import SystemClock
from shared.webhooks.fanout import SubscriptionCache
from tests.support.api import new_uuid
from tests.support.clouds import REPLICAS
from tests.support.dss import firestore_client
from tests.support.subscriptions import new_subscription

OWNER = "a@example.org"


def database_of(stack: dict[str, str]) -> Database:
    return Database(firestore_client(stack), replicas=REPLICAS, clock=SystemClock())


class Watched(SubscriptionCatalog):
    """Counts how often all subscriptions of a replica are read."""

    whole = 0

    def of_replica(self, replica: str) -> list[Subscription]:
        """Count, and return them."""
        self.whole += 1
        return super().of_replica(replica)


@pytest.fixture
def catalog(stack: dict[str, str]) -> Catalog:
    """The catalog, as a process of its own has it."""
    found = Catalog(database_of(stack))
    found.subscriptions = Watched(found.database)
    return found


@pytest.fixture
def watched(catalog: Catalog) -> Watched:
    """Its subscriptions."""
    assert isinstance(catalog.subscriptions, Watched)
    return catalog.subscriptions


@pytest.fixture
def others(stack: dict[str, str]) -> SubscriptionCatalog:
    """The subscriptions as another process has them."""
    return Catalog(database_of(stack)).subscriptions


@pytest.fixture
def replica() -> str:
    """A replica that no other test uses."""
    return new_uuid()


def added(catalog: SubscriptionCatalog, replica: str, owner: str = OWNER) -> Subscription:
    subscription = new_subscription(owner, replica)
    catalog.add(subscription, secret="secret", at_most=100)
    return subscription


def test_only_what_has_changed_is_read(
    catalog: Catalog, watched: Watched, others: SubscriptionCatalog, replica: str
) -> None:
    cache = SubscriptionCache(catalog)
    assert not cache.of(replica)
    first, second = added(others, replica), added(others, replica)
    assert {one.uuid for one in cache.of(replica)} == {first.uuid, second.uuid}
    so_far = watched.whole

    third = added(others, replica)
    assert {one.uuid for one in cache.of(replica)} == {first.uuid, second.uuid, third.uuid}
    others.remove(others.get(first.uuid) or first)
    assert {one.uuid for one in cache.of(replica)} == {second.uuid, third.uuid}
    signed_in = datetime.now(UTC)
    others.save_sign_in([replace(second, signed_in=signed_in)])
    assert {one.uuid: one.signed_in for one in cache.of(replica)}[second.uuid] == signed_in
    others.change_secret(second, lambda secret: secret + " in another form")
    assert {one.uuid for one in cache.of(replica)} == {second.uuid, third.uuid}
    assert watched.whole == so_far


def forget_changes(catalog: Catalog, replica: str) -> None:
    for snapshot in catalog.database.client.collection(
        f"subscription_sets/{replica}/subscription_changes"
    ).stream():
        snapshot.reference.delete()


def succeed_another_catalog(catalog: Catalog, replica: str) -> None:
    catalog.subscriptions.follow(replica, 1000)


def change_too_much(catalog: Catalog, replica: str) -> None:
    [one] = catalog.subscriptions.of_owner(OWNER, replica)
    for _ in range(MOST_FOLLOWED + 1):
        catalog.subscriptions.save_sign_in([one])


@pytest.mark.parametrize("harm", [forget_changes, succeed_another_catalog, change_too_much])
def test_all_are_read_if_it_is_not_known_what_has_changed(
    catalog: Catalog, watched: Watched, replica: str, harm: Callable[[Catalog, str], None]
) -> None:
    first = added(watched, replica)
    known = watched.current(replica)
    other = added(watched, replica, "b@example.org")
    harm(catalog, replica)

    so_far = watched.whole
    latest = watched.current(replica, known)
    assert (latest.by_uuid.keys(), watched.whole) == ({first.uuid, other.uuid}, so_far + 1)
    assert watched.is_current(replica, latest)
    if harm is change_too_much:
        # Only a part of them was read: no later ones are held against it.
        assert latest.position.recent is None
        return
    # From then on changes are followed again.
    watched.remove(watched.get(other.uuid) or other)
    assert watched.current(replica, latest).by_uuid.keys() == {first.uuid}
    assert watched.whole == so_far + 1


def test_a_reader_beside_others_sees_all_that_was_changed_before(
    watched: Watched, others: SubscriptionCatalog, replica: str
) -> None:
    choices = random.Random(22)

    def change(number: int) -> None:
        owner = f"{number}@example.org"
        for _ in range(6):
            mine = added(others, replica, owner)
            if choices.random() < 0.5:
                others.remove(others.get(mine.uuid) or mine)

    known: SubscriptionSet | None = None
    with ThreadPoolExecutor(6) as threads:
        changes = [threads.submit(change, number) for number in range(6)]
        while not all(each.done() for each in changes):
            mine = added(others, replica, "reader@example.org")
            known = watched.current(replica, known)
            assert mine.uuid in known.by_uuid
            others.remove(others.get(mine.uuid) or mine)
            known = watched.current(replica, known)
            assert mine.uuid not in known.by_uuid
        for each in changes:
            each.result()
    known = watched.current(replica, known)
    assert known.by_uuid == {one.uuid: one for one in others.of_replica(replica)}


def position(generation: int, *changes: str) -> Position:
    return Position(
        generation=generation,
        reached=datetime.now(UTC),
        recent={change: [f"of {change}"] for change in changes},
    )


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (position(4, "a"), position(4, "a"), set()),
        (position(4, "a"), position(6, "a", "b", "c"), {"of b", "of c"}),
        # One has expired that was known; one is missing; one is too much.
        (position(4, "a", "b"), position(5, "b", "c"), {"of c"}),
        (position(4, "a"), position(6, "a", "b"), None),
        (position(4, "a"), position(5, "a", "b", "c"), None),
        (Position(generation=4), position(5, "a"), None),
        (position(4, "a"), Position(generation=5), None),
    ],
)
def test_what_changed_between_two_positions(
    before: Position, after: Position, changed: set[str] | None
) -> None:
    assert changed_between(before, after) == changed
