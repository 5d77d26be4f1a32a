"""Parallel writes to the same documents of the catalog wait for each other, and do not fail."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from shared.catalog import (
    Database,
    DeliveryCatalog,
    SubscriberBackoff,
    SubscriptionCatalog,
)
from shared.catalog.tombstones import BundleTombstone
from shared.clock import SystemClock
from shared.errors import NotAcceptable
from tests.support.api import Api, new_uuid, now
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client, open_dss
from tests.support.firestore_proxy import CallFault, FirestoreProxy
from tests.support.replication import new_bundle, new_file, read_status
from tests.support.subscriptions import new_subscription


@pytest.mark.parametrize(
    ("whole", "harm"),
    [
        (False, CallFault(method="BatchGetDocuments", times=2, code=grpc.StatusCode.ABORTED)),
        (True, CallFault(method="RunQuery", times=2, code=grpc.StatusCode.ABORTED)),
    ],
)
def test_a_commit_that_firestore_aborts_is_retried(
    stack: dict[str, str], api: Api, clouds: Clouds, whole: bool, harm: CallFault
) -> None:
    bundle = new_bundle(api, "gcp", new_file(api, clouds, "gcp", b"contended"))
    version = None if whole else bundle.version
    tombstone = BundleTombstone(uuid=bundle.uuid, version=version, email="a@example.org", reason=now())
    with (
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy,
        open_dss({**stack, "FIRESTORE_EMULATOR_HOST": proxy.address}) as dss,
    ):
        proxy.inflict(CallFault(method="Commit", times=2, code=grpc.StatusCode.ABORTED))
        dss.catalog.tombstones.create(tombstone)
        proxy.inflict(harm)
        dss.catalog.tombstones.hide(tombstone, "gcp")
        assert dss.catalog.tombstones.available(tombstone) == {"gcp"}
        assert harm.times == 0
    assert read_status(api, "bundles", bundle, "gcp") == 404


def test_parallel_writes_of_one_owners_subscriptions_do_not_fail(stack: dict[str, str]) -> None:
    owner = f"{new_uuid()}@example.org"
    catalogs = [
        SubscriptionCatalog(Database(firestore_client(stack), replicas=REPLICAS, clock=SystemClock()))
        for _ in range(3)
    ]

    def add(number: int) -> bool:
        try:
            catalogs[number % 3].add(new_subscription(owner), secret="secret", at_most=40)
        except NotAcceptable:
            return False
        return True

    with ThreadPoolExecutor(12) as threads:
        added = list(threads.map(add, range(50)))
        # No more than an owner may have, and no fewer.
        owned = catalogs[0].of_owner(owner, "gcp")
        assert (added.count(True), len(owned)) == (40, 40)
        assert {catalogs[0].secret(subscription.uuid) for subscription in owned} == {"secret"}
        # Each is removed twice, while others take the free places.
        for _ in threads.map(lambda number: catalogs[number % 3].remove(owned[number // 2]), range(80)):
            pass
        assert catalogs[0].of_owner(owner, "gcp") == []
        assert list(threads.map(add, range(41))).count(True) == 40


def test_a_subscription_that_is_removed_again_leaves_the_one_in_its_place(stack: dict[str, str]) -> None:
    catalog = SubscriptionCatalog(Database(firestore_client(stack), replicas=REPLICAS, clock=SystemClock()))
    owner = f"{new_uuid()}@example.org"
    catalog.add(new_subscription(owner), secret=None, at_most=1)
    [first] = catalog.of_owner(owner, "gcp")
    catalog.remove(first)
    catalog.add(new_subscription(owner), secret=None, at_most=1)
    catalog.remove(first)
    with pytest.raises(NotAcceptable, match="which is the limit"):
        catalog.add(new_subscription(owner), secret=None, at_most=1)


def test_of_many_that_claim_the_next_call_of_a_subscriber_one_gets_it_and_nobody_waits(
    stack: dict[str, str],
) -> None:
    clients = [firestore_client(stack) for _ in range(3)]
    catalogs = [
        DeliveryCatalog(Database(client, replicas=REPLICAS, clock=SystemClock())) for client in clients
    ]
    subscription, at = new_uuid(), datetime.now(UTC)

    def claim(number: int) -> bool:
        return catalogs[number % 3].claim_try(subscription, now=at, until=at + timedelta(hours=1))

    with ThreadPoolExecutor(24) as threads:
        for _ in range(3):
            catalogs[0].start_backoff(subscription, SubscriberBackoff(since=at, failures=3, next_try=at))
            # Transactions would wait for each other's locks, and fail after a quarter of a minute.
            assert list(threads.map(claim, range(24))).count(True) == 1
    assert not catalogs[0].claim_try(subscription, now=at, until=at)
