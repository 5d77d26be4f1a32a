"""What every object store has to do: one suite, run on each of them."""

import contextlib
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests

from shared.checksums import MIB, checksums_of
from shared.clock import Deadline, SystemClock
from shared.errors import InvalidChecksum, ObjectChanged, ObjectExists, ObjectNotFound
from shared.stores.base import Piece, UploadName, bucket_url
from tests.support.copies import SMALL_PART

TEXT = b"some content, of no great length\n"
MINUTE = timedelta(minutes=1)
in_small_parts = pytest.mark.usefixtures("small_parts")


def deadline(seconds: float = 60) -> Deadline:
    return Deadline(SystemClock(), seconds)


def test_an_object_is_what_was_written(place):
    found = place.put("a", TEXT, "text/x-test")
    assert (found.bucket, found.key) == (place.bucket, place.key("a"))
    assert (found.size, found.content_type) == (len(TEXT), "text/x-test")
    assert place.content("a") == TEXT
    found.check(checksums_of(TEXT))
    assert bucket_url(place.store, found.bucket, found.key).endswith(found.key)


def test_what_a_store_knows_of_content_contradicts_other_claims(place):
    with pytest.raises(InvalidChecksum):
        place.put("a", TEXT).check(checksums_of(TEXT.upper()))


def test_a_store_tells_when_an_object_was_written(place):
    before = datetime.now(UTC)
    place.put("a", TEXT)
    after = datetime.now(UTC)
    for found in (
        place.store.stat(place.bucket, place.key("a")),
        *place.store.list(place.bucket, place.key("")),
    ):
        # S3 tells whole seconds.
        assert before - timedelta(seconds=1) <= found.written <= after


def test_an_object_is_created_once(place):
    place.put("a", TEXT)
    with pytest.raises(ObjectExists, match=place.key("a")):
        place.put("a", b"other")
    assert place.content("a") == TEXT


def race(attempt):
    """Return how many of eight threads succeed that make one attempt each at the same moment."""
    start = threading.Barrier(8)

    def run(number: int) -> bool:
        start.wait()
        try:
            attempt(number)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        return sum(threads.map(run, range(8)))


def test_of_eight_who_create_one_object_one_succeeds(place):
    # A race that is lost only sometimes is lost within so many keys.
    for number in range(10):
        name = f"{number}"
        assert race(lambda who: place.put(name, b"by %d" % who)) == 1  # noqa: B023 # ends within the loop
        assert place.content(name).startswith(b"by ")


def test_of_eight_who_finish_an_upload_of_one_key_one_succeeds(place):
    def upload(number):
        data = b"by %d" % number
        begun = place.store.begin_upload(
            place.bucket, place.key("a"), size=len(data), content_type="text/plain"
        )
        place.store.put_part(begun, 1, io.BytesIO(data), len(data))
        return begun, checksums_of(data)

    uploads = [upload(number) for number in range(8)]
    finished = race(lambda number: place.store.finish_upload(*uploads[number]))
    # GCS does not say who came first: objects of one key have one content, elsewhere than in this test.
    assert finished == (8 if place.store.scheme == "gs" else 1)
    assert place.content("a").startswith(b"by ")
    for begun, _ in uploads:
        place.store.abort_upload(begun)


def test_what_is_not_there_is_named(place):
    for ask in (place.store.stat, place.store.tags, place.store.read_all):
        if ask == place.store.tags and place.store.scheme == "gs":
            # Objects of GCS have no tags, and their tags cost no request.
            continue
        with pytest.raises(ObjectNotFound, match=place.key("none")):
            ask(place.bucket, place.key("none"))
    with pytest.raises(ObjectNotFound):
        place.store.stat("dss-no-such-bucket-0f1e2d3c", "a")
    with pytest.raises(ObjectNotFound):
        place.store.check_bucket("dss-no-such-bucket-0f1e2d3c")
    place.store.check_bucket(place.bucket)


@pytest.mark.parametrize("size", [0, 1, MIB, 9 * MIB + 1])
def test_an_object_is_read_as_a_whole(place, size):
    data = (b"0123456789abcde" * (size // 15 + 1))[:size]
    place.put("a", data)
    assert place.store.read_all(place.bucket, place.key("a")) == data


def test_a_deleted_object_is_gone_and_may_be_deleted_again(place):
    place.put("a", TEXT)
    place.store.delete(place.bucket, place.key("a"))
    place.store.delete(place.bucket, place.key("a"))
    assert place.names() == []


def test_an_erased_object_is_gone_and_others_stay(place):
    place.put("a", TEXT)
    beside = place.put("ab", TEXT)
    for _ in range(2):
        place.store.erase(place.bucket, place.key("a"))
        assert [found.key for found in place.store.list(place.bucket, place.key(""))] == [beside.key]
    assert place.put("a", TEXT).size == len(TEXT)


def test_objects_are_listed_in_order_behind_a_key(place):
    for name in ("b", "a/2", "a/10", "c"):
        place.put(name, TEXT)
    assert place.names() == ["a/10", "a/2", "b", "c"]
    behind = [found.key for found in place.store.list(place.bucket, place.prefix, after=place.key("a/2"))]
    assert behind == [place.key("b"), place.key("c")]
    assert [found.size for found in place.store.list(place.bucket, place.key("b"))] == [len(TEXT)]


def test_a_range_is_read_of_the_content_that_was_looked_at(place):
    found = place.put("a", TEXT)
    reader = place.store.read(found, 5, 7)
    assert reader.read(4) + reader.read() + reader.read() == TEXT[5:12]
    reader.close()
    assert place.store.read(place.put("empty", b""), 0, 0).read() == b""
    place.store.delete(place.bucket, place.key("a"))
    place.put("a", TEXT.upper())
    with pytest.raises((ObjectChanged, ObjectNotFound)):
        place.store.read(found, 5, 7).read()


@pytest.mark.parametrize("data", [b"", TEXT, os.urandom(20 * MIB)], ids=["empty", "short", "20 MiB"])
def test_content_is_written_as_it_is_read_and_proved_by_the_store(place, data):
    checksums = checksums_of(data)
    wanted = {"size": len(data), "content_type": "text/plain", "checksums": checksums}
    place.store.create_from(place.bucket, place.key("a"), io.BytesIO(data), **wanted)
    place.store.stat(place.bucket, place.key("a")).check(checksums)
    assert place.content("a") == data
    with pytest.raises(ObjectExists):
        place.store.create_from(place.bucket, place.key("a"), io.BytesIO(data), **wanted)


@pytest.mark.parametrize("data", [b"X" + TEXT[1:], TEXT[:-1], TEXT + b"!"], ids=["other", "short", "long"])
def test_other_content_than_claimed_is_never_there(place, data):
    wanted = {"size": len(TEXT), "content_type": "text/plain", "checksums": checksums_of(TEXT)}
    if data == TEXT + b"!":
        # A reader is asked for no more than the size.
        wanted["checksums"] = checksums_of(data)
    with pytest.raises(Exception) as caught:  # which error, depends on who notices first
        place.store.create_from(place.bucket, place.key("a"), io.BytesIO(data), **wanted)
    assert isinstance(caught.value, InvalidChecksum) or caught.value.code == "service_unavailable"
    assert place.names() == []


@in_small_parts
@pytest.mark.parametrize(
    "data", [b"", TEXT, os.urandom(SMALL_PART + MIB)], ids=["empty", "short", "two parts"]
)
def test_a_copy_has_the_checksums_of_its_source(place, data):
    checksums = checksums_of(data)
    source = place.put("source", data, "text/x-test")
    for _ in range(2):
        place.store.copy(source, place.bucket, place.key("copy"), checksums=checksums, deadline=deadline())
    copied = place.store.stat(place.bucket, place.key("copy"))
    copied.check(checksums)
    assert (copied.size, copied.content_type) == (len(data), "text/x-test")
    if place.store.scheme == "s3":
        assert copied.revision == checksums.s3_etag
    assert place.content("copy") == data


def test_a_copy_of_other_content_than_claimed_is_refused(place):
    source = place.put("source", TEXT)
    with pytest.raises(InvalidChecksum):
        place.store.copy(
            source, place.bucket, place.key("copy"), checksums=checksums_of(b"other"), deadline=deadline()
        )
    assert place.names() == ["source"]


def test_a_source_that_was_replaced_meanwhile_is_not_copied(place):
    source = place.put("source", TEXT)
    place.store.delete(place.bucket, place.key("source"))
    place.put("source", TEXT.upper())
    with pytest.raises(ObjectChanged):
        place.store.copy(
            source, place.bucket, place.key("copy"), checksums=checksums_of(TEXT), deadline=deadline()
        )
    assert place.names() == ["source"]


BIG = os.urandom(SMALL_PART) + b"and a little more"
PARTS = ((1, 0, SMALL_PART), (2, SMALL_PART, len(BIG) - SMALL_PART))


def begin(place, name="whole"):
    return place.store.begin_upload(
        place.bucket, place.key(name), size=len(BIG), content_type="application/octet-stream"
    )


@in_small_parts
def test_parts_become_an_object_once_they_are_proved(place):
    upload = begin(place)
    for number, first, size in reversed(PARTS):
        place.store.put_part(upload, number, io.BytesIO(BIG[first : first + size]), size)
    assert place.store.parts(upload) == {number: size for number, _, size in PARTS}
    assert place.names() == []
    place.store.finish_upload(upload, checksums_of(BIG))
    place.store.stat(place.bucket, place.key("whole")).check(checksums_of(BIG))
    assert place.content("whole") == BIG
    with pytest.raises(ObjectNotFound):
        place.store.finish_upload(upload, checksums_of(BIG))


@in_small_parts
def test_a_part_may_be_written_again(place):
    upload = begin(place)
    place.store.put_part(upload, 1, io.BytesIO(bytes(SMALL_PART)), SMALL_PART)
    for number, first, size in PARTS:
        place.store.put_part(upload, number, io.BytesIO(BIG[first : first + size]), size)
    place.store.finish_upload(upload, checksums_of(BIG))
    assert place.content("whole") == BIG


@in_small_parts
def test_parts_of_other_content_never_become_an_object(place):
    upload = begin(place)
    for number, first, size in PARTS:
        place.store.put_part(upload, number, io.BytesIO(BIG[first : first + size][::-1]), size)
    with pytest.raises(InvalidChecksum):
        place.store.finish_upload(upload, checksums_of(BIG))
    assert place.names() == []
    place.store.abort_upload(upload)


@in_small_parts
def test_an_aborted_upload_leaves_nothing_and_may_be_aborted_again(place):
    upload = begin(place)
    number, first, size = PARTS[1]
    place.store.put_part(upload, number, io.BytesIO(BIG[first : first + size]), size)
    place.store.abort_upload(upload)
    place.store.abort_upload(upload)
    with pytest.raises(ObjectNotFound):
        place.store.finish_upload(upload, checksums_of(BIG))
    assert place.names() == []


@in_small_parts
def test_an_upload_that_is_none_is_aborted_without_harm(place):
    upload = begin(place)
    number, first, size = PARTS[1]
    place.store.put_part(upload, number, io.BytesIO(BIG[first : first + size]), size)
    place.store.abort_upload(UploadName(bucket=upload.bucket, key=upload.key, id="uploads/"))
    assert place.store.parts(upload) == {number: size}
    place.store.abort_upload(upload)


@in_small_parts
def test_uploads_are_listed_until_they_have_ended(place):
    def listed() -> dict[str, datetime]:
        return {one.id: one.touched for one in place.store.uploads(place.bucket)}

    began = datetime.now(UTC)
    uploads = [begin(place, name) for name in ("finished", "aborted", "aborted by its name")]
    for upload in uploads:
        for number, first, size in PARTS:
            place.store.put_part(upload, number, io.BytesIO(BIG[first : first + size]), size)
    # S3 tells whole seconds.
    latest = datetime.now(UTC) + timedelta(seconds=1)
    seen = listed()
    assert all(began - timedelta(seconds=1) <= seen[upload.id] <= latest for upload in uploads)

    place.store.finish_upload(uploads[0], checksums_of(BIG))
    place.store.abort_upload(uploads[1])
    for one in place.store.uploads(place.bucket):
        if one.id == uploads[2].id:
            place.store.abort_upload(one)

    assert not {upload.id for upload in uploads} & set(listed())
    assert place.names() == ["finished"]


@in_small_parts
def test_a_reader_that_ends_early_leaves_no_part(place):
    upload = begin(place)
    with pytest.raises(Exception):  # noqa: B017 # each store's library has its own words for it
        place.store.put_part(upload, 2, io.BytesIO(b"short"), PARTS[1][2])
    with contextlib.suppress(ObjectNotFound):
        assert 2 not in place.store.parts(upload)
    place.store.abort_upload(upload)


def test_a_signed_url_serves_the_object_with_ranges(place):
    place.put("a", TEXT)
    url = place.store.sign_get(
        place.bucket, place.key("a"), lifetime=MINUTE, disposition='attachment; filename="x.txt"'
    )
    answer = requests.get(url, timeout=60)
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="x.txt"'
    part = requests.get(url, headers={"Range": "bytes=5-11"}, timeout=60)
    assert (part.status_code, part.content) == (206, TEXT[5:12])


def test_objects_are_joined_in_order(place):
    # Small ones between large ones, none of the size of a part; and more than one compose of GCS takes.
    sizes = [1, 0, 6 * MIB + 1, 3 * MIB, 5 * MIB - 1, *[10] * 40, 4 * MIB, 5 * MIB, 7]
    contents = [os.urandom(size) for size in sizes]
    pieces = []
    for number, data in enumerate(contents):
        place.put(f"{number:03d}", data)
        pieces.append(Piece(place.key(f"{number:03d}"), len(data)))

    place.store.join(place.bucket, pieces, place.key("all"), content_type="text/x-test")
    place.store.join(place.bucket, pieces[:1], place.key("one"), content_type="text/x-test")

    assert place.content("all") == b"".join(contents)
    assert place.content("one") == contents[0]
    assert place.store.stat(place.bucket, place.key("all")).content_type == "text/x-test"
    with pytest.raises(ObjectExists):
        place.store.join(place.bucket, pieces[:2], place.key("all"), content_type="text/plain")
    assert place.content("all") == b"".join(contents)
    for wrong, error in (
        (Piece(place.key("none"), 1), ObjectNotFound),
        (Piece(place.key("000"), 2), ObjectChanged),
    ):
        with pytest.raises(error):
            place.store.join(place.bucket, [*pieces[:2], wrong], place.key("x"), content_type="text/plain")
    assert "x" not in place.names()
    assert list(place.store.list(place.bucket, "uploads/")) == []
