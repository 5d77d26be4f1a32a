"""Of a table of several slices of rows, three of which are wrong, these are named and the rest is listed."""

from types import SimpleNamespace
from typing import Any

from shared.access import BucketPolicy, Principal
from shared.access.readers import SIGNED_IN
from shared.bucket_rules import all_of
from shared.catalog import ImportOrder
from shared.clock import Deadline, SystemClock
from shared.imports.places import places_of
from shared.imports.slices import SLICE_ROWS
from shared.imports.tables import list_table
from shared.imports.web import WebStore
from shared.replicas import Replica, Replicas
from shared.stores.signed_urls import SignedUrls
from shared.webhooks.callbacks import Callbacks
from tests.support.memory_store import MemoryStore

ROWS = 2 * SLICE_ROWS + 1000
WRONG = {17: "gs://lab/nothing\tone\tx", 6_000: "\tone\tx", ROWS - 1: "gs://lab/object\tone\t../x"}


class GsInMemory(MemoryStore):
    """A store in memory whose objects have URLs of GCS."""

    scheme = "gs"


def system_with(table: bytes) -> Any:
    """Return what a list needs of the system, with a table and an object."""
    store = GsInMemory(SignedUrls(base="", key=bytes(32), clock=SystemClock()), "lab")
    store.create("lab", "object", b"content", "text/plain")
    store.create("lab", "table", table, "text/plain")
    replica = Replica(name="gcp", open_store=lambda: store, bucket="main", checkout_bucket="checkout")
    rules = (all_of("gs://lab", frozenset((SIGNED_IN,))),)
    return SimpleNamespace(
        replicas=Replicas(replica),
        clock=SystemClock(),
        bucket_policy=BucketPolicy(sources=rules),
        settings=SimpleNamespace(version_ahead_seconds=600),
    )


def test_of_many_rows_the_wrong_ones_are_named_and_the_rest_is_listed() -> None:
    rows = [
        WRONG.get(line, f"gs://lab/object\tbundle {line % 100}\tname {line}") for line in range(2, ROWS + 2)
    ]
    dss = system_with("\n".join(["source_url\tbundle\tname", *rows]).encode())
    order = ImportOrder(email="a@example.org", groups=(), replica="gcp", table="gs://lab/table")
    who, places = Principal(email=order.email), places_of(dss, order, WebStore(Callbacks()))

    listed, wrong, cursor = 0, [], {}
    while cursor is not None:
        found = list_table(dss, order, who, places, cursor, Deadline(dss.clock, 300))
        assert len(found.rows) + len(found.wrong) <= SLICE_ROWS
        listed += len(found.rows)
        wrong += [line["object"].partition(":")[0] for line in found.wrong]
        cursor = found.cursor

    assert listed == ROWS - len(WRONG)
    assert wrong == [f"line {line}" for line in WRONG]
