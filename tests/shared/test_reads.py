"""Reads of the catalog return what those of the client library do, and fail as they do."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore import FieldFilter
from google.cloud.firestore_v1 import _helpers
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.reads import Reads, Snapshot
from shared.deadlines import deadline
from shared.errors import Unavailable
from tests.support.api import new_uuid
from tests.support.dss import firestore_client
from tests.support.firestore_proxy import CallFault, FirestoreProxy

DOCUMENT = {
    "text": "ü",
    "number": 2**62,
    "share": 0.5,
    "yes": True,
    "none": None,
    "bytes": b"\0\xff",
    "moment": datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC),
    "list": ["a", {"b": [1]}],
    "map": {"c": {"d": "e"}, "f": []},
}

_moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | _moments,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def proxy(stack: dict[str, str]) -> Iterator[FirestoreProxy]:
    with FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy:
        yield proxy


@pytest.fixture
def client(stack: dict[str, str], proxy: FirestoreProxy) -> firestore.Client:
    return firestore_client({**stack, "FIRESTORE_EMULATOR_HOST": proxy.address})


@pytest.fixture
def some(client: firestore.Client) -> Any:
    """A collection of its own with three documents, `a` to `c`."""
    collection = client.collection(f"read {new_uuid()}")
    for number, name in enumerate("abc"):
        collection.document(name).set({**DOCUMENT, "number": number})
    return collection


@given(st.dictionaries(st.text(min_size=1), _values, max_size=4))
def test_every_value_is_decoded_as_the_library_does(members: dict[str, Any]) -> None:
    message = firestore.types.Document(name="d", fields=_helpers.encode_dict(members))

    decoded = Snapshot(None, "d", firestore.types.Document.pb(message)).to_dict()

    assert decoded == members


def test_a_document_is_read_as_the_library_reads_it(client: firestore.Client, some: Any) -> None:
    mine, theirs = Reads(client).get(some.document("b"), 30), some.document("b").get()

    assert mine.to_dict() == theirs.to_dict() == {**DOCUMENT, "number": 1}
    assert (mine.exists, mine.id, mine.update_time) == (True, "b", theirs.update_time)
    assert mine.reference == some.document("b")
    assert mine.get("text") == "ü"
    with pytest.raises(KeyError):
        mine.get("absent")


def test_what_a_snapshot_returns_belongs_to_the_caller(client: firestore.Client, some: Any) -> None:
    snapshot = Reads(client).get(some.document("a"), 30)

    snapshot.to_dict()["map"]["c"]["d"] = snapshot.get("list")[0] = "changed"

    assert snapshot.to_dict() == {**DOCUMENT, "number": 0}


def test_a_document_that_is_absent_is_told_by_one_read_once_the_database_is_known(
    client: firestore.Client, some: Any, proxy: FirestoreProxy
) -> None:
    reads = Reads(client)
    proxy.forget()

    for name in ("x", "y"):
        absent = reads.get(some.document(name), 30)
        assert (absent.exists, absent.id, absent.to_dict(), absent.get("text")) == (False, name, None, None)

    assert [call.method for call in proxy.calls] == ["GetDocument", "BatchGetDocuments", "GetDocument"]


def test_an_absent_database_is_no_absent_document(client: firestore.Client, proxy: FirestoreProxy) -> None:
    for method in ("GetDocument", "BatchGetDocuments"):
        proxy.inflict(CallFault(method=method, code=grpc.StatusCode.NOT_FOUND))

    with pytest.raises(exceptions.NotFound):
        Reads(client).get(client.document("any/one"), 30)


def test_documents_are_read_together_each_once(client: firestore.Client, some: Any) -> None:
    references = [some.document(name) for name in "axba"]

    found = {one.id: one for one in Reads(client).get_many(references, ["number"], 30)}

    assert {name: one.to_dict() for name, one in found.items()} == {
        "a": {"number": 0},
        "b": {"number": 1},
        "x": None,
    }


def test_a_query_goes_on_after_a_snapshot(client: firestore.Client, some: Any) -> None:
    query = some.where(filter=FieldFilter("number", ">=", 0)).order_by("number").limit(2)
    first = Reads(client).query(query, 30)

    rest = Reads(client).query(query.start_after(first[-1]), 30)

    assert [one.id for one in first] == ["a", "b"]
    assert [(one.id, one.to_dict()) for one in rest] == [("c", {**DOCUMENT, "number": 2})]


@pytest.mark.parametrize("method", ["GetDocument", "BatchGetDocuments", "RunQuery"])
@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_a_read_that_fails_for_a_moment_is_repeated(
    client: firestore.Client, some: Any, proxy: FirestoreProxy, method: str, code: grpc.StatusCode
) -> None:
    harm = CallFault(method=method, times=2, code=code)
    proxy.inflict(harm)

    assert ask(Reads(client), some, method) == ["a"]
    assert harm.times == 0


@pytest.mark.parametrize("method", ["GetDocument", "BatchGetDocuments", "RunQuery"])
def test_a_read_ends_at_the_deadline_of_its_request(
    client: firestore.Client, some: Any, proxy: FirestoreProxy, method: str
) -> None:
    proxy.inflict(CallFault(method=method, delay=3))

    with deadline(time.monotonic() + 0.5), pytest.raises(Unavailable, match="too long"):
        ask(Reads(client), some, method)


def ask(reads: Reads, some: Any, method: str) -> list[str]:
    """Read document `a` by one of the methods, and return the ids that were found."""
    if method == "GetDocument":
        return [reads.get(some.document("a"), 30).id]
    if method == "BatchGetDocuments":
        return [one.id for one in reads.get_many([some.document("a")], None, 30)]
    return [one.id for one in reads.query(some.order_by("__name__").limit(1), 30)]
