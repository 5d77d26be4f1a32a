"""What a call costs in operations of the clouds is what docs and design promise: no more, and no less.

Equality, so that a change for the better is noticed as well, and written into the table.
"""

import base64
import math
from collections.abc import Iterator
from typing import Any

import pytest

from dss.tokens import fetch_local
from shared.checkouts.objects import copies_of_bundle, copy_of_file, put_copy
from shared.events.publishing import event_of
from shared.file_batches import MOST_FILES
from shared.identifiers import Fqid
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.bulk_heads import older_versions
from tests.support.clouds import Clouds
from tests.support.dss import firestore_client, open_dss, open_dss_for_threads
from tests.support.executions import executions_server
from tests.support.metered_api import Bill, MeteredApi, metered_api
from tests.support.waiting import wait_until
from tests.system.conftest import ManyFiles

# Source metadata, content, copy, manifest. S3's copy has no precondition, so S3 is asked first whether it has
# the blob; and what was read there is written to GCS, so that it leaves S3 only once.
PUT_FILE_OPERATIONS = {"gcp": 4, "aws": 6}
# Without the copy in S3.
PUT_KNOWN_CONTENT_OPERATIONS = {"gcp": 4, "aws": 5}


@pytest.fixture
def file(api: Api, clouds: Clouds, replica: str) -> Version:
    """A file on the replica."""
    return put_file(api, clouds.stage(replica, b"content"))


@pytest.fixture(scope="module")
def large_bundles() -> dict[str, Version]:
    """The large bundle of each replica, once a test has asked for it."""
    return {}


@pytest.fixture
def large_bundle(api: Api, many_files: ManyFiles, replica: str, large_bundles: dict[str, Version]) -> Version:
    """A bundle of 1,000 files, two pages in the catalog, which tests only read."""
    if replica not in large_bundles:
        files = [file.named(f"{n:04d}") for n, file in enumerate(many_files(replica, 1000))]
        large_bundles[replica] = put_bundle(api, replica, files)
    return large_bundles[replica]


def test_a_new_small_file(metered: MeteredApi, clouds: Clouds, replica: str) -> None:
    source = clouds.stage(replica, new_uuid().encode())

    with metered.usage() as usage:
        put_file(metered.api, source)

    operations = PUT_FILE_OPERATIONS[replica]
    assert usage.bill == Bill(object_operations=operations, reads=1, writes=2, checks=3, requests=3), (
        usage.operations
    )


def test_a_new_file_whose_content_is_there(metered: MeteredApi, clouds: Clouds, replica: str) -> None:
    source = clouds.stage(replica, new_uuid().encode())
    put_file(metered.api, source)

    with metered.usage() as usage:
        put_file(metered.api, source)

    operations = PUT_KNOWN_CONTENT_OPERATIONS[replica]
    assert usage.bill == Bill(object_operations=operations, reads=1, writes=2, checks=3, requests=3), (
        usage.operations
    )


@pytest.mark.parametrize("count", [1, MOST_FILES])
def test_new_files_in_one_request(metered: MeteredApi, replica: str, count: int) -> None:
    def item() -> dict[str, Any]:
        content = base64.b64encode(new_uuid().encode()).decode()
        return {"uuid": new_uuid(), "version": now(), "creator_uid": 1, "content": content}

    items = [item() for _ in range(count)]

    with metered.usage() as usage:
        answer = metered.api.post("/v1/files/batch", replica=replica, json={"files": items})

    assert [row["status"] for row in answer.json()["files"]] == [201] * count
    # Blob and manifest, and for S3 the blob in GCS; the bindings, and a commit of heads and one more.
    assert usage.bill == Bill(
        object_operations={"gcp": 2, "aws": 3}[replica] * count,
        reads=count,
        writes=2 * count,
        checks=3 * count,
        requests=3,
    ), usage.operations


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_a_new_bundle(metered: MeteredApi, many_files: ManyFiles, replica: str, count: int) -> None:
    items = [file.named(f"{n:04d}") for n, file in enumerate(many_files(replica, count))]

    with metered.usage() as usage:
        put_bundle(metered.api, replica, items)

    # The checks ride on the first and the last commit: no version is written or becomes visible once its UUID
    # is hidden, and none is written that does not follow the binding of its UUID. The reads are this binding,
    # and whether any other has changed since the files were read.
    assert usage.bill == Bill(
        object_operations=1,
        reads=count + 3,
        writes=2 + math.ceil(count / 500),
        checks=4,
        requests=math.ceil(count / 500) + 6,
    )


@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 302)])
def test_reading_a_file(
    metered: MeteredApi, file: Version, replica: str, method: str, status: int, versioned: bool
) -> None:
    version = file.version if versioned else None

    with metered.usage() as usage:
        answer = metered.api.request(method, f"/v1/files/{file.uuid}", replica=replica, version=version)

    assert answer.status_code == status
    assert usage.bill == Bill(reads=1, requests=1)


def test_the_newest_of_many_versions_costs_what_the_newest_of_one_does(
    metered: MeteredApi, stack: dict[str, str], file: Version, replica: str
) -> None:
    older_versions(stack, file, 1000)

    with metered.usage() as usage:
        answer = metered.api.request("HEAD", f"/v1/files/{file.uuid}", replica=replica)

    assert answer.headers["X-DSS-VERSION"] == file.version
    assert usage.bill == Bill(reads=1, requests=1)


@pytest.mark.parametrize("presigned", [True, False], ids=["presigned", "plain"])
@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
def test_reading_a_page_of_a_bundle(
    metered: MeteredApi, large_bundle: Version, replica: str, presigned: bool, versioned: bool
) -> None:
    with metered.usage() as usage:
        answer = metered.api.get(
            f"/v1/bundles/{large_bundle.uuid}",
            replica=replica,
            version=large_bundle.version if versioned else None,
            per_page=500,
            presignedurls=presigned,
        )

    files = answer.json()["bundle"]["files"]
    assert (answer.status_code, len(files), "url" in files[0]) == (206, 500, presigned)
    # Signing is done with a key at hand: not one request more, to the stores or to anybody else.
    assert usage.bill == Bill(reads=2, requests=2)


def test_listing_bundles(metered: MeteredApi, file: Version, replica: str) -> None:
    uuid = new_uuid()
    for _ in range(12):
        put_bundle(metered.api, replica, [file.named("name")], bundle=Version(uuid, now()))

    anyone = metered.api.signed_in(None)
    with metered.usage() as first:
        page = anyone.get("/v1/bundles/all", replica=replica, prefix=uuid, per_page=10)
    with metered.usage() as last:
        rest = anyone.get(page.links["next"]["url"])

    assert (len(page.json()["bundles"]), len(rest.json()["bundles"])) == (10, 2)
    # One row more than the page shows whether there is another page.
    assert first.bill == Bill(reads=11, requests=1)
    assert last.bill == Bill(reads=2, requests=1)


def test_a_list_for_who_has_signed_in_takes_one_look_at_their_groups(
    metered: MeteredApi, stack: dict[str, str]
) -> None:
    url, email = stack["DSS_LOCAL_TOKEN_URL"], f"{new_uuid()}@example.org"
    reader = metered.api.signed_in(fetch_local(url, email=email, group=None, seconds=3600))

    def bill() -> Bill:
        with metered.usage() as usage:
            assert reader.get("/v1/bundles/all", replica="gcp", prefix=new_uuid()).status_code == 200
        return usage.bill

    first = bill()
    # What was read is believed for three seconds, which a busy machine may take for one list.
    wait_until(lambda: bill().requests == first.requests - 1, "a list without a look at the groups")


@pytest.fixture
def twelve_events(stack: dict[str, str], replica: str) -> Iterator[str]:
    """Twelve events, and a time before them. They have no documents: no log with them could be compacted."""
    start, client = now(), firestore_client(stack)
    catalog = open_dss_for_threads(stack, publishes=False).catalog
    events = [event_of(replica, Fqid(new_uuid(), now()), b"", dead=False) for _ in range(12)]
    for event in events:
        catalog.events.record(event)
    yield start
    for event in events:
        client.collection("events").document(event.id).delete()


def test_listing_events(metered: MeteredApi, replica: str, twelve_events: str) -> None:
    anyone = metered.api.signed_in(None)
    with metered.usage() as first:
        page = anyone.get("/v1/events", replica=replica, from_date=twelve_events, per_page=10)
    with metered.usage() as last:
        rest = anyone.get(page.links["next"]["url"])

    assert [len(one.json()["event_streams"]) for one in (page, rest)] == [10, 2]
    # Journals of many events, of which there are none (Firestore: a read), and then events alone; one more
    # than the page shows. What the caller may not see is a condition of both queries, and costs nothing.
    assert first.bill == Bill(reads=1 + 11, requests=2)
    assert last.bill == Bill(reads=1 + 2, requests=2)


@pytest.mark.parametrize("count", [1, 1000])
def test_a_new_collection(metered: MeteredApi, many_files: ManyFiles, replica: str, count: int) -> None:
    items = [file.linked() for file in many_files(replica, count)]

    with metered.usage() as usage:
        put_collection(metered.api, replica, items)

    # Whose the UUID is, is read before and claimed with the head; a page holds some thousand items.
    assert usage.bill == Bill(
        object_operations=1, reads=1 + count, writes=2 + 1 + 2, checks=2, requests=4 + math.ceil(count / 500)
    )


@pytest.mark.parametrize("count", [1, 1000])
def test_changing_a_collection(metered: MeteredApi, many_files: ManyFiles, replica: str, count: int) -> None:
    file, *others = [file.linked() for file in many_files(replica, count + 1)]
    collection = put_collection(metered.api, replica, [file])
    path, query = f"/v1/collections/{collection.uuid}", {"replica": replica, "version": collection.version}

    with metered.usage() as usage:
        answer = metered.api.patch(path, json={"add_contents": others}, **query)

    assert answer.status_code == 200
    # What is in it already is not looked up again.
    assert usage.bill == Bill(
        object_operations=1,
        reads=3 + count,
        writes=1 + 1 + 2,
        checks=2,
        requests=6 + math.ceil(count / 500),
    )


def test_a_link_to_a_fragment_has_its_file_read(metered: MeteredApi, clouds: Clouds, replica: str) -> None:
    source = clouds.stage(replica, b'{"a": [1, 2]}', content_type="application/json")
    file = put_file(metered.api, source)
    items = [file.linked("x", path=path) for path in ("", "/a", "/a/0", "/a/1")]

    with metered.usage() as usage:
        put_collection(metered.api, replica, items)

    # Once for all of them, and the manifest.
    assert usage.bill == Bill(object_operations=1 + 1, reads=2, writes=5, checks=2, requests=5), (
        usage.operations
    )


@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
def test_reading_a_collection(
    metered: MeteredApi, many_files: ManyFiles, replica: str, versioned: bool
) -> None:
    collection = put_collection(metered.api, replica, [one.linked() for one in many_files(replica, 1000)])
    version = collection.version if versioned else None

    with metered.usage() as usage:
        answer = metered.api.get(f"/v1/collections/{collection.uuid}", replica=replica, version=version)

    assert len(answer.json()["contents"]) == 1000
    assert usage.bill == Bill(reads=3, requests=3)


def test_listing_and_deleting_collections(metered: MeteredApi, stack: dict[str, str], replica: str) -> None:
    email = f"{new_uuid()}@example.org"
    token = fetch_local(stack["DSS_LOCAL_TOKEN_URL"], email=email, group="dss", seconds=600)
    owner = metered.api.signed_in(token)
    *_, collection = [put_collection(owner, replica, []) for _ in range(12)]

    with metered.usage() as listing:
        page = owner.get("/v1/collections", per_page=10)
    with metered.usage() as deleting:
        answer = owner.delete(f"/v1/collections/{collection.uuid}", replica=replica)

    assert (len(page.json()["collections"]), answer.status_code) == (10, 200)
    assert listing.bill == Bill(reads=11, requests=1)
    assert deleting.bill == Bill(object_operations=1, reads=2, writes=1 + 2, requests=4)


@pytest.fixture(scope="module")
def with_executions(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeteredApi]:
    """A further one, which starts executions; nothing comes of them."""
    with (
        executions_server(stack, tmp_path_factory.mktemp("executions")) as address,
        metered_api({**stack, "DSS_WORKFLOWS_EMULATOR_HOST": address}) as api,
    ):
        yield api
        api.process.kill()


def test_beginning_a_checkout(with_executions: MeteredApi, large_bundle: Version, replica: str) -> None:
    metered = with_executions
    with metered.usage() as usage:
        answer = metered.api.post(f"/v1/bundles/{large_bundle.uuid}/checkout", replica=replica)
    job = answer.json()["checkout_job_id"]
    with metered.usage() as status:
        metered.api.get(f"/v1/bundles/checkout/{job}", replica=replica)

    # The bundle; the job, read and written in a transaction, with the bundle again; and the job again when
    # its execution is noted.
    # The running ones are counted, and those of this client: a read for each thousand, and one at least.
    assert usage.bill == Bill(reads=6, writes=2, requests=9), usage.calls
    # And one for each page of files that has been begun.
    assert status.bill == Bill(reads=1, requests=1)


def test_direct_urls_of_what_is_checked_out(
    stack: dict[str, str], metered: MeteredApi, large_bundle: Version, file: Version, replica: str
) -> None:
    with open_dss(stack) as dss:
        where = dss.replicas.named(replica)
        head = dss.catalog.bundles.head(Fqid(large_bundle.uuid, large_bundle.version))
        record = dss.catalog.files.get(Fqid(file.uuid, file.version))
        assert head and record
        page = dss.catalog.bundles.files(head, 0, 10)
        copies = copies_of_bundle(where, where.checkout_bucket, head.fqid, page)
        for wanted in (*copies, copy_of_file(where, where.checkout_bucket, record)):
            put_copy(dss, wanted, None)

    path, query = f"/v1/bundles/{large_bundle.uuid}", {"replica": replica, "directurls": True, "per_page": 10}
    with metered.usage() as of_bundle:
        assert metered.api.get(path, **query).status_code == 206
    with metered.usage() as of_file:
        answer = metered.api.get(f"/v1/files/{file.uuid}", replica=replica, directurl=True)

    assert answer.status_code == 302
    # A look at the store for a thousand files.
    assert of_bundle.bill == Bill(object_operations=1, reads=2, requests=2)
    assert of_file.bill == Bill(object_operations=1, reads=1, requests=1)
