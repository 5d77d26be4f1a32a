import base64
import os
import uuid

import google_crc32c
import pytest
import requests
from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed

MEBIBYTE = 1024 * 1024


def uploaded(bucket, name, content, **options):
    blob = bucket.blob(name)
    blob.upload_from_string(content, **options)
    return blob


def elsewhere(client, **options):
    return client.create_bucket(f"bucket-{uuid.uuid4()}", **options)


def test_a_composed_object_is_its_sources_in_order(bucket):
    parts = [uploaded(bucket, f"part-{number}", os.urandom(number * 1000)) for number in range(32)]
    content = b"".join(part.download_as_bytes() for part in parts)
    whole = bucket.blob("whole")
    whole.content_type = "text/x"
    whole.compose(parts, if_generation_match=0)
    assert whole.download_as_bytes() == content
    assert (whole.md5_hash, whole.component_count, whole.content_type) == (None, 32, "text/x")
    assert whole.crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
    again = bucket.blob("again")
    again.compose([whole, parts[1]])
    assert again.component_count == 33


def test_an_object_can_be_composed_onto_itself(bucket):
    blob = uploaded(bucket, "object", b"one")
    blob.compose([blob, uploaded(bucket, "more", b"two")])
    assert bucket.get_blob("object").download_as_bytes() == b"onetwo"


def test_compose_takes_at_most_32_sources_that_are_there(bucket):
    part = uploaded(bucket, "part", b"x")
    with pytest.raises(BadRequest):
        bucket.blob("whole").compose([part] * 33)
    with pytest.raises(BadRequest):
        bucket.blob("whole").compose([])
    with pytest.raises(NotFound):
        bucket.blob("whole").compose([part, bucket.blob("missing")])
    assert not bucket.blob("whole").exists()


def test_compose_heeds_the_preconditions_of_sources_and_target(bucket):
    one, two = uploaded(bucket, "one", b"1"), uploaded(bucket, "two", b"2")
    whole = bucket.blob("whole")
    generations = [one.generation, two.generation]
    with pytest.raises(PreconditionFailed):
        whole.compose(
            [bucket.blob("one"), bucket.blob("two")], if_source_generation_match=[generations[0], 1]
        )
    whole.compose([one, two], if_generation_match=0, if_source_generation_match=generations)
    with pytest.raises(PreconditionFailed):
        whole.compose([one, two], if_generation_match=0)


def test_a_rewrite_within_one_place_is_one_call_at_any_size(client, bucket):
    source = uploaded(bucket, "source", os.urandom(3 * MEBIBYTE), content_type="text/x")
    source.metadata = {"one": "1"}
    source.patch()
    target = elsewhere(client).blob("target")
    assert target.rewrite(source) == (None, source.size, source.size)
    assert (target.crc32c, target.md5_hash) == (source.crc32c, source.md5_hash)
    assert (target.content_type, target.metadata) == ("text/x", {"one": "1"})
    source.delete()
    assert target.download_as_bytes()[:10]


@pytest.mark.parametrize("options", [{"location": "EU"}, {"storage_class": "NEARLINE"}])
def test_a_rewrite_to_another_place_takes_several_calls(client, bucket, options):
    content = os.urandom(2 * MEBIBYTE + 1)
    source = uploaded(bucket, "source", content)
    there = client.bucket(f"bucket-{uuid.uuid4()}")
    if "storage_class" in options:
        there.storage_class = options["storage_class"]
    client.create_bucket(there, location=options.get("location"))
    target = there.blob("target")
    token, done, size = target.rewrite(source)
    steps = [done]
    while token:
        assert not target.exists()
        token, done, size = target.rewrite(source, token=token)
        steps.append(done)
    assert steps == [MEBIBYTE, 2 * MEBIBYTE, len(content)]
    assert size == len(content)
    assert target.download_as_bytes() == content
    assert target.storage_class == options.get("storage_class", "STANDARD")


def test_a_caller_may_set_what_one_call_of_a_rewrite_moves(client, bucket):
    source = uploaded(bucket, "source", os.urandom(3 * MEBIBYTE))
    there = elsewhere(client, location="EU")
    path = f"{source.self_link}/rewriteTo/b/{there.name}/o/target"
    answer = requests.post(path, params={"maxBytesRewrittenPerCall": 2 * MEBIBYTE}, timeout=60).json()
    assert (answer["done"], answer["totalBytesRewritten"]) == (False, str(2 * MEBIBYTE))
    odd = requests.post(path, params={"maxBytesRewrittenPerCall": MEBIBYTE + 1}, timeout=60)
    assert odd.status_code == 400


def test_a_rewrite_token_is_good_for_its_own_rewrite_only(client, bucket):
    source = uploaded(bucket, "source", os.urandom(2 * MEBIBYTE))
    there = elsewhere(client, location="EU")
    token, _, _ = there.blob("target").rewrite(source)
    with pytest.raises(BadRequest):
        there.blob("other").rewrite(source, token=token)
    replaced = uploaded(bucket, "source", os.urandom(2 * MEBIBYTE))
    with pytest.raises(BadRequest):
        there.blob("target").rewrite(replaced, token=token)


def test_a_rewrite_heeds_the_preconditions_of_source_and_target(bucket):
    source = uploaded(bucket, "source", b"x")
    target = bucket.blob("target")
    with pytest.raises(PreconditionFailed):
        target.rewrite(source, if_source_generation_match=1)
    with pytest.raises(PreconditionFailed):
        target.rewrite(source, if_source_metageneration_match=2)
    target.rewrite(source, if_generation_match=0, if_source_generation_match=source.generation)
    with pytest.raises(PreconditionFailed):
        target.rewrite(source, if_generation_match=0)
    with pytest.raises(NotFound):
        bucket.blob("other").rewrite(bucket.blob("missing"))
    with pytest.raises(NotFound):
        bucket.blob("other").rewrite(bucket.blob("source", generation=1))


def test_a_rewrite_with_settings_inherits_none(bucket):
    source = uploaded(bucket, "source", b"x", content_type="text/x")
    source.metadata = {"one": "1"}
    source.patch()
    target = bucket.blob("target")
    target.content_type = "text/y"
    target.rewrite(source)
    assert (target.content_type, target.metadata) == ("text/y", None)


def test_a_rewrite_onto_itself_may_change_the_storage_class(bucket):
    blob = uploaded(bucket, "object", b"x")
    first = blob.generation
    blob.update_storage_class("NEARLINE")
    found = bucket.get_blob("object")
    assert (found.storage_class, found.download_as_bytes()) == ("NEARLINE", b"x")
    assert found.generation > first


def test_copy_blob_copies(client, bucket):
    source = uploaded(bucket, "source", b"x", content_type="text/x")
    there = elsewhere(client, location="EU")
    copy = bucket.copy_blob(source, there, "copy", if_generation_match=0)
    assert (copy.content_type, copy.download_as_bytes()) == ("text/x", b"x")
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(source, there, "copy", if_generation_match=0)


def test_a_copy_of_a_composed_object_has_no_md5_either(bucket):
    part = uploaded(bucket, "part", b"x")
    whole = bucket.blob("whole")
    whole.compose([part, part])
    copy = bucket.copy_blob(whole, bucket, "copy")
    assert (copy.md5_hash, copy.component_count, copy.crc32c) == (None, 2, whole.crc32c)
