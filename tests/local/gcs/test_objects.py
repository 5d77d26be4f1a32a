import base64
import gzip
import hashlib
import http.client
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime

import google_crc32c
import pytest
import requests
from google.api_core.exceptions import BadRequest, NotFound, NotModified, PreconditionFailed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CONTENT = bytes(range(256)) * 5


def uploaded(bucket, name="object", content=CONTENT, **options):
    blob = bucket.blob(name)
    blob.upload_from_string(content, **options)
    return blob


def test_an_object_has_everything_the_real_service_says_of_it(bucket):
    blob = bucket.blob("a/b c+d%20é?#")
    blob.metadata = {"dss-sha256": "abc", "dss-s3_etag": "d"}
    blob.content_disposition = "attachment"
    blob.content_language = "en"
    blob.cache_control = "no-store"
    blob.custom_time = datetime(2024, 5, 6, tzinfo=UTC)
    blob.upload_from_string(CONTENT, content_type="text/x")
    found = bucket.get_blob(blob.name)
    assert found.name == blob.name
    assert found.size == len(CONTENT)
    assert found.content_type == "text/x"
    assert found.content_disposition == "attachment"
    assert found.content_language == "en"
    assert found.cache_control == "no-store"
    assert found.metadata == {"dss-sha256": "abc", "dss-s3_etag": "d"}
    assert found.custom_time == blob.custom_time
    assert found.crc32c == base64.b64encode(google_crc32c.value(CONTENT).to_bytes(4, "big")).decode()
    assert found.md5_hash == base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    assert found.storage_class == "STANDARD"
    assert (found.metageneration, found.component_count) == (1, None)
    assert found.id == f"{bucket.name}/{blob.name}/{found.generation}"
    assert found.time_created == found.updated is not None
    assert found.etag
    assert requests.get(found.self_link, timeout=60).json()["name"] == blob.name
    assert requests.get(found.media_link, timeout=60).content == CONTENT
    assert found.download_as_bytes() == CONTENT


def test_an_empty_object_is_an_object(bucket):
    blob = uploaded(bucket, content=b"")
    assert (blob.size, blob.md5_hash) == (0, "1B2M2Y8AsgTpgAmY7PhCfg==")
    assert blob.download_as_bytes() == b""


def test_each_write_is_a_later_generation(bucket):
    first = uploaded(bucket)
    second = uploaded(bucket, content=b"two")
    assert second.generation > first.generation
    assert second.metageneration == 1
    assert bucket.get_blob("object").download_as_bytes() == b"two"
    assert bucket.get_blob("object", generation=second.generation) is not None
    assert bucket.get_blob("object", generation=first.generation) is None


def test_a_deleted_object_is_gone(bucket):
    blob = uploaded(bucket)
    blob.delete()
    assert not blob.exists()
    with pytest.raises(NotFound, match="No such object"):
        blob.delete()
    with pytest.raises(NotFound):
        blob.download_as_bytes()


def test_who_reads_an_object_reads_on_while_it_is_replaced(bucket):
    content = os.urandom(8 * 1024 * 1024)
    blob = uploaded(bucket, content=content)
    with requests.get(blob.media_link, stream=True, timeout=60) as answer:
        beginning = answer.raw.read(1024)
        uploaded(bucket, content=b"other")
        assert beginning + answer.raw.read() == content


def test_a_second_create_with_generation_zero_is_refused(bucket):
    uploaded(bucket, if_generation_match=0)
    with pytest.raises(PreconditionFailed) as refusal:
        uploaded(bucket, content=b"other", if_generation_match=0)
    assert bucket.get_blob("object").download_as_bytes() == CONTENT
    assert refusal.value.code == 412


def test_a_failed_precondition_has_the_shape_of_the_real_service_s(server, bucket):
    uploaded(bucket)
    answer = requests.get(
        f"{server.address}/storage/v1/b/{bucket.name}/o/object?ifGenerationMatch=7", timeout=10
    )
    message = "At least one of the pre-conditions you specified did not hold."
    assert answer.status_code == 412
    assert answer.json() == {
        "error": {
            "code": 412,
            "message": message,
            "errors": [
                {
                    "message": message,
                    "domain": "global",
                    "reason": "conditionNotMet",
                    "locationType": "header",
                    "location": "If-Match",
                }
            ],
        }
    }


def test_preconditions_decide_over_writes(bucket):
    with pytest.raises(PreconditionFailed):
        uploaded(bucket, if_generation_match=1)
    with pytest.raises(PreconditionFailed):
        uploaded(bucket, if_generation_not_match=0)
    first = uploaded(bucket)
    second = uploaded(bucket, content=b"two", if_generation_match=first.generation)
    with pytest.raises(PreconditionFailed):
        uploaded(bucket, if_generation_match=first.generation)
    with pytest.raises(PreconditionFailed):
        uploaded(bucket, if_metageneration_match=2)
    with pytest.raises(PreconditionFailed):
        second.delete(if_generation_match=first.generation)
    with pytest.raises(PreconditionFailed):
        second.delete(if_metageneration_not_match=1)
    assert bucket.get_blob("object").download_as_bytes() == b"two"
    second.delete(if_generation_match=second.generation, if_metageneration_match=1)
    assert not second.exists()


def test_preconditions_decide_over_reads(bucket):
    blob = uploaded(bucket)
    generation = blob.generation
    assert bucket.get_blob("object", if_generation_match=generation, if_metageneration_match=1)
    with pytest.raises(PreconditionFailed):
        blob.reload(if_generation_match=generation + 1)
    with pytest.raises(PreconditionFailed):
        blob.reload(if_metageneration_match=2)
    with pytest.raises(NotModified):
        blob.reload(if_generation_not_match=generation)
    with pytest.raises(NotFound):
        bucket.blob("missing").reload(if_generation_match=0)


def create_through_threads(port, path, count):
    """In a process of its own: how many of `count` creations of one object were accepted."""

    def create(number):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", path, f"content {number}")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(create, range(count)))


def test_a_race_to_create_an_object_has_exactly_one_winner(server, bucket):
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=%s&ifGenerationMatch=0"
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        for attempt in range(5):
            name = f"object-{attempt}"
            races = [pool.submit(create_through_threads, server.port, path % name, 20) for _ in range(2)]
            statuses = sorted(status for race in races for status in race.result(30))
            assert statuses == [200] + [412] * 39


def test_concurrent_replacements_each_get_their_own_generation(bucket):
    with ThreadPoolExecutor(8) as pool:
        blobs = list(pool.map(lambda number: uploaded(bucket, content=b"%d" % number), range(40)))
    assert len({blob.generation for blob in blobs}) == 40
    last = max(range(40), key=lambda number: blobs[number].generation)
    assert bucket.get_blob("object").download_as_bytes() == b"%d" % last


def test_a_patch_changes_what_it_names_and_counts(bucket):
    blob = uploaded(bucket, content_type="text/x")
    generation, updated = blob.generation, blob.updated
    blob.metadata = {"one": "1", "two": "2"}
    blob.patch()
    assert (blob.generation, blob.metageneration) == (generation, 2)
    assert blob.updated >= updated
    blob.metadata = {"one": None, "three": "3"}
    blob.content_type = "text/y"
    blob.patch(if_metageneration_match=2)
    found = bucket.get_blob("object")
    assert found.metadata == {"two": "2", "three": "3"}
    assert (found.content_type, found.metageneration) == ("text/y", 3)
    with pytest.raises(PreconditionFailed):
        blob.patch(if_metageneration_match=2)


def test_an_update_unsets_what_it_does_not_name(bucket):
    blob = uploaded(bucket, content_type="text/x")
    blob.metadata = {"one": "1"}
    blob.patch()
    answer = requests.put(blob.self_link, json={"metadata": {"two": "2"}}, timeout=60).json()
    assert answer["metadata"] == {"two": "2"}
    assert "contentType" not in answer
    assert answer["md5Hash"] == blob.md5_hash


def test_custom_time_never_goes_back(bucket):
    blob = uploaded(bucket)
    blob.custom_time = datetime(2024, 1, 2, tzinfo=UTC)
    blob.patch()
    blob.custom_time = datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(BadRequest):
        blob.patch()


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "a\rb", "é" * 513, ".well-known/acme-challenge/x"])
def test_what_is_no_object_name_is_refused(server, bucket, name):
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o"
    answer = requests.post(path, params={"uploadType": "media", "name": name}, data=b"x", timeout=60)
    assert answer.status_code == 400


def test_the_fields_asked_for_are_the_fields_given(server, bucket):
    uploaded(bucket)
    path = f"{server.address}/storage/v1/b/{bucket.name}/o"
    assert requests.get(f"{path}/object?fields=name,size", timeout=60).json() == {
        "name": "object",
        "size": str(len(CONTENT)),
    }
    listed = requests.get(f"{path}?fields=items(name,md5Hash),prefixes", timeout=60).json()
    assert [sorted(item) for item in listed["items"]] == [["md5Hash", "name"]]
    assert requests.get(f"{path}?fields=items/name", timeout=60).json() == {"items": [{"name": "object"}]}
    assert requests.get(f"{path}?fields=items(name", timeout=60).status_code == 400


def test_a_download_says_what_it_is(bucket):
    blob = uploaded(bucket, content_type="text/x")
    answer = requests.get(blob.media_link, timeout=60)
    assert answer.headers["X-Goog-Hash"] == f"crc32c={blob.crc32c},md5={blob.md5_hash}"
    assert answer.headers["X-Goog-Generation"] == str(blob.generation)
    assert answer.headers["Content-Type"] == "text/x"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Encoding" not in answer.headers


def test_compressed_content_is_inflated_for_who_does_not_accept_it(bucket):
    blob = bucket.blob("object")
    blob.content_encoding = "gzip"
    # With a time in it, so that a second one may differ.
    compressed = gzip.compress(CONTENT)
    blob.upload_from_string(compressed)
    plain = requests.get(blob.media_link, headers={"Accept-Encoding": "identity"}, timeout=60)
    assert (plain.content, "Content-Encoding" in plain.headers) == (CONTENT, False)
    packed = requests.get(blob.media_link, timeout=60)
    assert (packed.content, packed.headers["Content-Encoding"]) == (CONTENT, "gzip")
    assert blob.download_as_bytes(raw_download=True) == compressed


def test_a_range_is_what_the_client_asks_for(bucket):
    blob = uploaded(bucket)
    assert blob.download_as_bytes(start=10, end=19) == CONTENT[10:20]
    assert blob.download_as_bytes(start=1270) == CONTENT[1270:]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, 40), first=st.none() | st.integers(0, 50), last=st.none() | st.integers(0, 50))
def test_any_range_is_answered_as_rfc_9110_says(server, client, size, first, last):
    name = f"range-{size}"
    bucket = client.bucket("range-property")
    if not bucket.exists():
        bucket.create()
    blob = bucket.blob(name)
    if not blob.exists():
        blob.upload_from_string(CONTENT[:size])
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    path = f"{server.address}/download/storage/v1/b/{bucket.name}/o/{name}?alt=media"
    answer = requests.get(path, headers={"Range": header}, timeout=60)
    content = CONTENT[:size]
    if (first is None and last is None) or (None not in (first, last) and last < first):
        assert (answer.status_code, answer.content) == (200, content)
        return
    start = max(size - last, 0) if first is None else first
    expected = content[start:] if first is None or last is None else content[start : last + 1]
    if expected:
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"
    else:
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_metadata_values_are_texts(bucket):
    blob = uploaded(bucket)
    answer = requests.patch(blob.self_link, data=json.dumps({"metadata": {"one": 1}}), timeout=60)
    assert answer.status_code == 400
