import uuid

import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound
from google.cloud import storage


def test_a_bucket_has_the_attributes_it_was_created_with(client):
    bucket = client.bucket(f"bucket-{uuid.uuid4()}")
    bucket.storage_class = "NEARLINE"
    bucket.labels = {"of": "tests"}
    bucket.add_lifecycle_delete_rule(age=14)
    client.create_bucket(bucket, location="us-central1")
    found = client.get_bucket(bucket.name)
    assert (found.location, found.location_type) == ("US-CENTRAL1", "region")
    assert found.storage_class == "NEARLINE"
    assert found.labels == {"of": "tests"}
    assert list(found.lifecycle_rules) == [{"action": {"type": "Delete"}, "condition": {"age": 14}}]
    assert found.time_created is not None


def test_a_bucket_name_is_taken_once(client, bucket):
    with pytest.raises(Conflict):
        client.create_bucket(bucket.name)


@pytest.mark.parametrize("name", ["no", "Upper", "a" * 64, "-dash", "under score"])
def test_what_is_no_bucket_name_is_refused(server, name):
    answer = requests.post(f"{server.address}/storage/v1/b?project=p", json={"name": name}, timeout=60)
    assert answer.status_code == 400


def test_a_missing_bucket_is_not_found_by_any_request(client):
    missing = client.bucket("missing-bucket")
    assert not missing.exists()
    with pytest.raises(NotFound, match="The specified bucket does not exist"):
        client.get_bucket("missing-bucket")
    with pytest.raises(NotFound):
        missing.blob("x").upload_from_string(b"x")
    with pytest.raises(NotFound):
        list(client.list_blobs("missing-bucket"))


def test_a_bucket_with_objects_is_not_deleted(bucket):
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    with pytest.raises(Conflict, match="not empty"):
        bucket.delete()
    blob.delete()
    bucket.delete()
    assert not bucket.exists()


def test_buckets_are_listed_by_project_in_pages(server):
    project = f"project-{uuid.uuid4()}"
    names = sorted(f"bucket-{uuid.uuid4()}" for _ in range(5))
    client = server.client()
    for name in names:
        client.create_bucket(name, project=project)
    listing = client.list_buckets(project=project, page_size=2)
    pages = [[found.name for found in page] for page in listing.pages]
    assert pages == [names[:2], names[2:4], names[4:]]


def test_all_permissions_are_granted_that_the_bucket_does_not_deny(client, bucket):
    asked = ["storage.objects.get", "storage.objects.create"]
    assert bucket.test_iam_permissions(asked) == asked
    assert denying(client, "read").test_iam_permissions(asked) == ["storage.objects.create"]
    assert denying(client, "all").test_iam_permissions(asked) == []


def denying(client: storage.Client, what: str) -> storage.Bucket:
    bucket = client.bucket(f"bucket-{uuid.uuid4()}")
    bucket.labels = {"dss-local-deny": what}
    return client.create_bucket(bucket)


def test_a_bucket_that_denies_reads_can_only_be_written(client, bucket):
    closed = denying(client, "read")
    blob = closed.blob("x")
    blob.upload_from_string(b"x")
    for read in (blob.reload, blob.download_as_bytes, lambda: list(client.list_blobs(closed))):
        with pytest.raises(Forbidden, match=r"does not have storage\.objects\.get access"):
            read()
    with pytest.raises(Forbidden):
        bucket.blob("copy").rewrite(blob)


def test_a_bucket_that_denies_writes_takes_nothing_in(client, bucket):
    closed = denying(client, "write")
    source = bucket.blob("x")
    source.upload_from_string(b"x")
    for write in (
        lambda: closed.blob("x").upload_from_string(b"x"),
        lambda: closed.blob("x").create_resumable_upload_session(size=1),
        lambda: closed.blob("x").rewrite(source),
        lambda: closed.blob("x").compose([source]),
        lambda: closed.blob("x").delete(),
    ):
        with pytest.raises(Forbidden):
            write()
    assert list(client.list_blobs(closed)) == []


def test_a_denial_has_the_shape_of_the_real_service_s_errors(server, client):
    closed = denying(client, "read")
    answer = requests.get(f"{server.address}/storage/v1/b/{closed.name}/o/x", timeout=60)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, 403)
    assert error["errors"][0]["reason"] == "forbidden"
    assert error["errors"][0]["message"] == error["message"]


def test_versioning_is_refused_since_it_is_not_built(server):
    body = {"name": f"bucket-{uuid.uuid4()}", "versioning": {"enabled": True}}
    answer = requests.post(f"{server.address}/storage/v1/b?project=p", json=body, timeout=60)
    assert (answer.status_code, "versioning" in answer.text) == (501, True)


def test_an_unknown_storage_class_is_refused(client):
    bucket = client.bucket(f"bucket-{uuid.uuid4()}")
    with pytest.raises(BadRequest):
        bucket._properties["storageClass"] = "WARM"
        bucket._changes.add("storageClass")
        client.create_bucket(bucket)
