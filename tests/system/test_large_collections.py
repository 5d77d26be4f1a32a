"""A collection of many items is built by changes of 1,000, and read whole."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from local.api import api_process
from shared.catalog import Catalog, CollectionHead, Database
from shared.catalog.pages import PAGE_BYTES
from shared.clock import SystemClock
from shared.identifiers import Fqid
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_collection, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client
from tests.support.large_objects import peak_memory
from tests.support.metered_api import Bill, MeteredApi

AT_ONCE = 1000
# Seconds that one request may take here; clients wait 40.
PATIENCE = 20
MIB = 1024 * 1024


def fragments(file: Version, first: int, count: int = AT_ONCE) -> list[dict[str, str]]:
    return [file.linked("number", path=f"/{number}") for number in range(first, first + count)]


def patched(api: Api, old: Version, changes: dict[str, list[dict[str, str]]]) -> Version:
    """Return the version that changes make, in good time."""
    began = time.monotonic()
    path = f"/v1/collections/{old.uuid}"
    answer = api.patch(path, replica="gcp", version=old.version, json=changes)
    assert answer.status_code == 200, answer.text
    assert time.monotonic() - began < PATIENCE
    return Version(**answer.json())


# With the last change there is a page more. An upload of more than 8 MiB takes two requests.
@pytest.mark.parametrize(
    ("items", "pages", "uploads"),
    [(16_000, 3, 1), pytest.param(100_000, 14, 2, marks=pytest.mark.large)],
)
def test_a_collection_of_many_items_is_built_by_patches(
    api: Api, metered: MeteredApi, clouds: Clouds, items: int, pages: int, uploads: int
) -> None:
    content = json.dumps(list(range(items))).encode()
    numbers = put_file(api, clouds.stage("gcp", content, content_type="application/json"))
    collection = put_collection(api, "gcp", fragments(numbers, 0))
    for first in range(AT_ONCE, items - AT_ONCE, AT_ONCE):
        collection = patched(api, collection, {"add_contents": fragments(numbers, first)})

    with metered.usage() as usage:
        whole = patched(metered.api, collection, {"add_contents": fragments(numbers, items - AT_ONCE)})
    with metered.usage() as reading:
        answer = metered.api.get(f"/v1/collections/{whole.uuid}", replica="gcp")

    assert answer.json()["contents"] == fragments(numbers, 0, items)
    # Cloud Run: an answer is at most 32 MiB.
    assert len(answer.content) < 12 * MIB
    # Whose it is, the head and pages before, the file; then the head, the pages, and that they are there.
    # The file of the fragments is read once.
    assert usage.bill == Bill(
        object_operations=1 + uploads,
        reads=2 + pages - 1 + 1,
        writes=1 + pages + 2,
        # That it was not removed for good meanwhile, as it is created and as it becomes visible.
        checks=2,
        requests=usage.bill.requests,
    )
    assert usage.bill.requests <= 8
    assert reading.bill == Bill(reads=2 + pages, requests=3)
    assert peak_memory(metered.process.pid) < 512 * MIB

    fewer = patched(api, whole, {"remove_contents": fragments(numbers, 500)})
    kept = fragments(numbers, 0, 500) + fragments(numbers, 1500, items - 1500)
    assert api.get(f"/v1/collections/{fewer.uuid}", replica="gcp").json()["contents"] == kept


def test_a_collection_that_no_answer_could_hold_is_refused(
    stack: dict[str, str], metered: MeteredApi, clouds: Clouds
) -> None:
    """Each item is as long as one may be: 1,000 are 4 MiB."""
    key = "k" * 4000
    content = json.dumps({key: list(range(9000))}).encode()
    file = put_file(metered.api, clouds.stage("gcp", content, content_type="application/json"))

    def items(first: int) -> list[dict[str, str]]:
        return [file.linked("x", path=f"/{key}/{number}") for number in range(first, first + AT_ONCE)]

    collection = put_collection(metered.api, "gcp", items(0))
    for first in range(AT_ONCE, 7 * AT_ONCE, AT_ONCE):
        collection = patched(metered.api, collection, {"add_contents": items(first)})
    path = f"/v1/collections/{collection.uuid}"
    changes = {"add_contents": items(7 * AT_ONCE)}
    answer = metered.api.patch(path, replica="gcp", version=collection.version, json=changes)

    assert_problem(answer, 400, "illegal_arguments", "contents", "31457280")
    assert len(metered.api.get(path, replica="gcp").content) < 32 * MIB
    _one_waits_for_the_room_of_another(stack, path, collection.version)


def _one_waits_for_the_room_of_another(stack: dict[str, str], path: str, version: str) -> None:
    """Fail unless a change of a large collection waits while a process is full of an answer."""
    with (
        api_process(stack, {"DSS_API_MEMORY_BYTES": "100"}) as process,
        ThreadPoolExecutor(1) as threads,
        requests.get(
            process.url + path,
            params={"replica": "gcp"},
            headers={"Authorization": f"Bearer {stack['DSS_TOKEN']}"},
            stream=True,
            timeout=PATIENCE,
        ) as reading,
    ):
        assert reading.status_code == 200
        other = Api(process.url, stack["DSS_TOKEN"])
        changing = threads.submit(other.patch, path, replica="gcp", version=version, json={"name": "new"})
        with pytest.raises(TimeoutError):
            changing.result(timeout=3)
        # What is small needs no room.
        assert other.get("/v1/collections").status_code in (200, 206)
        reading.close()
        assert changing.result(timeout=PATIENCE).status_code == 200


def test_content_that_hardly_compresses_is_stored_and_read(stack: dict[str, str]) -> None:
    catalog = Catalog(Database(firestore_client(stack), replicas=REPLICAS, clock=SystemClock()))
    pages = [os.urandom(PAGE_BYTES) for _ in range(8)]
    head = CollectionHead(
        fqid=Fqid(new_uuid(), now()), owner="", item_count=0, page_count=len(pages), digest=""
    )
    linked = [[f"bundles/{new_uuid()}" for _ in range(2000)] for _ in pages]
    catalog.collections.write_pages(head.fqid, pages, linked)
    assert list(catalog.collections.pages(head)) == pages
