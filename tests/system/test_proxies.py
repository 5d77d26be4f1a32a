"""The proxies pass on what they are to pass on, and do the harm that they are asked for."""

from collections.abc import Iterator

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import firestore

from tests.support.api import new_uuid
from tests.support.clouds import SCHEMES, Clouds
from tests.support.dss import firestore_client
from tests.support.firestore_proxy import CallFault, FirestoreProxy
from tests.support.http_proxy import Fault, HttpProxy

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def gcs(stack: dict[str, str]) -> Iterator[HttpProxy]:
    """A proxy before GCS."""
    with HttpProxy(stack["STORAGE_EMULATOR_HOST"]) as proxy:
        yield proxy


@pytest.fixture
def content_url(gcs: HttpProxy, clouds: Clouds) -> str:
    """The URL, by way of the proxy, of CONTENT in GCS."""
    bucket, _, key = clouds.stage("gcp", CONTENT).removeprefix("gs://").partition("/")
    return f"{gcs.url}/download/storage/v1/b/{bucket}/o/{key.replace('/', '%2F')}?alt=media"


@pytest.fixture
def catalog(stack: dict[str, str]) -> Iterator[tuple[FirestoreProxy, firestore.Client]]:
    """A proxy before Firestore, and a client by way of it."""
    with FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy:
        yield proxy, firestore_client({**stack, "FIRESTORE_EMULATOR_HOST": proxy.address})


@pytest.mark.parametrize("replica", SCHEMES)
def test_bodies_pass_unchanged_and_are_counted(stack: dict[str, str], replica: str) -> None:
    with HttpProxy(stack["STORAGE_EMULATOR_HOST"]) as gcs, HttpProxy(stack["AWS_ENDPOINT_URL"]) as s3:
        clouds = Clouds({**stack, "STORAGE_EMULATOR_HOST": gcs.url, "AWS_ENDPOINT_URL": s3.url})
        clouds.main = clouds.staging
        proxy = {"gcp": gcs, "aws": s3}[replica]
        key = new_uuid()

        clouds.stage(replica, CONTENT, key=key)
        assert clouds.read(replica, key) == CONTENT

    sent, received = (sum(one.sent for one in proxy.exchanges), proxy.exchanges[-1].received)
    assert len(CONTENT) <= sent < len(CONTENT) + 2000
    assert received == len(CONTENT)
    assert {one.status for one in proxy.exchanges} == {200}


def test_a_request_fails_as_often_as_asked(gcs: HttpProxy, content_url: str) -> None:
    gcs.inflict(Fault(method="GET", text="alt=media", status=503, times=2))

    assert [requests.get(content_url).status_code for _ in range(3)] == [503, 503, 200]


def test_an_answer_is_lost(gcs: HttpProxy, content_url: str) -> None:
    gcs.inflict(Fault(lose_answer=True))

    with pytest.raises(requests.ConnectionError):
        requests.get(content_url)
    assert gcs.exchanges[-1].status == 200


def test_an_answer_is_cut_short(gcs: HttpProxy, content_url: str) -> None:
    gcs.inflict(Fault(cut_at=100_000))

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(content_url)


def test_a_byte_is_corrupted(gcs: HttpProxy, content_url: str) -> None:
    gcs.inflict(Fault(corrupt_at=100_000))

    received = requests.get(content_url).content

    assert [at for at in range(len(CONTENT)) if received[at] != CONTENT[at]] == [100_000]


def test_an_answer_is_delayed(gcs: HttpProxy, content_url: str) -> None:
    gcs.inflict(Fault(delay=0.3))

    assert requests.get(content_url).elapsed.total_seconds() >= 0.3


def test_a_commit_is_refused_or_its_answer_lost(catalog: tuple[FirestoreProxy, firestore.Client]) -> None:
    proxy, client = catalog
    refused, lost = (client.collection("proxied").document(new_uuid()) for _ in range(2))

    proxy.inflict(CallFault(method="Commit", code=grpc.StatusCode.INTERNAL))
    with pytest.raises(exceptions.InternalServerError):
        refused.create({"field": 1})
    proxy.inflict(CallFault(method="Commit", code=grpc.StatusCode.INTERNAL, lose_answer=True))
    with pytest.raises(exceptions.InternalServerError):
        lost.create({"field": 1})

    assert not refused.get().exists
    assert lost.get().exists


def test_what_firestore_says_is_passed_on_and_counted(
    catalog: tuple[FirestoreProxy, firestore.Client],
) -> None:
    proxy, client = catalog
    one, absent = client.collection("proxied").document(new_uuid()), client.collection("proxied").document()
    one.create({"name": one.id})

    with pytest.raises(exceptions.AlreadyExists):
        one.create({"name": one.id})
    assert len(list(client.get_all([one, absent]))) == 2
    query = client.collection("proxied").where(filter=firestore.FieldFilter("name", "==", one.id))
    assert [found.id for found in query.stream()] == [one.id]
    assert list(query.where(filter=firestore.FieldFilter("name", "==", "nobody")).stream()) == []

    assert [(call.method, call.reads, call.writes) for call in proxy.calls] == [
        ("Commit", 0, 1),
        ("Commit", 0, 1),
        ("BatchGetDocuments", 2, 0),
        ("RunQuery", 1, 0),
        ("RunQuery", 1, 0),
    ]
    assert proxy.calls[1].code is grpc.StatusCode.ALREADY_EXISTS
    assert [len(call.queries) for call in proxy.calls] == [0, 0, 0, 1, 1]
