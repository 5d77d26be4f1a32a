"""What a request of DRS costs in operations of the clouds."""

import pytest

from run.drs.document import DRS_PATH
from tests.support.api import Version, new_uuid, put_bundle, put_collection
from tests.support.drs import Drs
from tests.support.metered_api import Bill, MeteredApi
from tests.system.conftest import ManyFiles


@pytest.mark.parametrize("path", ["", "/access/https.gcp"], ids=["object", "access"])
@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
def test_resolving_a_file_is_one_read(
    metered: MeteredApi, many_files: ManyFiles, path: str, versioned: bool
) -> None:
    [file] = many_files("gcp", 1)
    name = str(file) if versioned else file.uuid

    with metered.usage() as usage:
        answer = metered.api.get(f"{DRS_PATH}/objects/{name}{path}")

    assert answer.status_code == 200
    assert usage.bill == Bill(reads=1, requests=1)


@pytest.mark.parametrize(("method", "path"), [("POST", "/objects"), ("OPTIONS", "/objects")])
def test_resolving_many_files_is_one_batch_of_reads(
    metered: MeteredApi, many_files: ManyFiles, method: str, path: str
) -> None:
    ids = list(map(str, many_files("gcp", 100)))

    with metered.usage() as usage:
        answer = metered.api.request(method, DRS_PATH + path, json={"bulk_object_ids": ids})

    assert answer.json()["summary"]["resolved"] == 100
    assert usage.bill == Bill(reads=100, requests=1)


def test_urls_of_many_files_are_one_batch_of_reads(metered: MeteredApi, many_files: ManyFiles) -> None:
    pairs = [
        {"bulk_object_id": str(file), "bulk_access_ids": ["https.gcp", "gs.gcp"]}
        for file in many_files("gcp", 50)
    ]

    with metered.usage() as usage:
        answer = metered.api.post(f"{DRS_PATH}/objects/access", json={"bulk_object_access_ids": pairs})

    assert answer.json()["summary"]["resolved"] == 100
    # Signing is done with a key at hand.
    assert usage.bill == Bill(reads=50, requests=1)


def test_a_bundle_is_its_head_and_its_pages(metered: MeteredApi, many_files: ManyFiles) -> None:
    bundle = put_bundle(
        metered.api, "gcp", [file.named(f"{n:04d}") for n, file in enumerate(many_files("gcp", 1000))]
    )

    with metered.usage() as usage:
        found = Drs(metered.api).object(bundle)

    assert len(found["contents"]) == 1000
    # It is looked for among the files first.
    assert usage.bill == Bill(reads=1 + 1 + 2, requests=3)


def test_the_total_of_a_collection_is_made_once(metered: MeteredApi, many_files: ManyFiles) -> None:
    files = many_files("gcp", 100)
    bundle = put_bundle(metered.api, "gcp", [file.named(str(n)) for n, file in enumerate(files)])
    collection = put_collection(
        metered.api, "gcp", [bundle.linked("bundle"), *(file.linked() for file in files)]
    )

    def bill() -> Bill:
        with metered.usage() as usage:
            # An admin, whose groups are not looked up.
            Drs(metered.admin).object(collection)
        return usage.bill

    # Among the files, bundles and collections, whose it is, and its page; then a read for each item.
    assert bill() == Bill(reads=4 + 1 + 101, writes=1, requests=4 + 1 + 2 + 1)
    assert bill() == Bill(reads=4 + 1, requests=5)


def test_an_unknown_id_is_looked_for_everywhere(metered: MeteredApi) -> None:
    with metered.usage() as usage:
        answer = metered.api.get(f"{DRS_PATH}/objects/{Version(new_uuid(), '2026-01-12T093000.000000Z')}")

    assert answer.status_code == 404
    # Files, bundles, collections, purges, and the verifications of each replica: Firestore bills one read
    # where there is nothing.
    assert usage.bill == Bill(reads=6, requests=6)
