"""A copy between replicas is whole and proved, or it is not there."""

import pytest

from shared.checksums import MIB, checksums_of
from shared.clock import Deadline
from shared.copying.blobs import copy_inline
from shared.errors import CopyTakesLonger, InvalidChecksum, ObjectChanged, ObjectNotFound
from tests.support.copies import SMALL_PART, distinct_bytes, stage_source, unfinished_uploads
from tests.support.dss import open_dss

WAYS = [("gcp", "aws"), ("aws", "gcp"), ("gcp", "gcp"), ("aws", "aws")]

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture(scope="module")
def dss(stack):
    with open_dss(stack) as system:
        yield system


def copy(dss, source, way, key, checksums, seconds=60.0):
    seen, there = (dss.replicas.named(name) for name in way)
    copy_inline(source, seen.store, there, key, checksums=checksums, deadline=Deadline(dss.clock, seconds))


def is_there(dss, replica, key):
    place = dss.replicas.named(replica)
    try:
        place.store.stat(place.bucket, key)
    except ObjectNotFound:
        return False
    return True


@pytest.mark.parametrize("way", WAYS, ids="-".join)
@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
def test_a_small_object_is_copied_whole(dss, clouds, way, size):
    data = distinct_bytes(size)
    source, checksums, key = stage_source(dss, clouds, way[0], data)
    copy(dss, source, way, key, checksums)
    copy(dss, source, way, key, checksums)
    assert clouds.read(way[1], key) == data


@pytest.mark.parametrize("way", WAYS[:2], ids="-".join)
def test_an_object_of_several_parts_is_proved_by_its_destination(dss, clouds, way):
    data = distinct_bytes(SMALL_PART + 5)
    source, checksums, key = stage_source(dss, clouds, way[0], data)
    copy(dss, source, way, key, checksums)
    there = dss.replicas.named(way[1])
    found = there.store.stat(there.bucket, key)
    assert checksums.s3_etag == found.revision or checksums.crc32c == found.crc32c
    assert clouds.read(way[1], key) == data
    assert unfinished_uploads(clouds, there, key) == []


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_wrong_content_at_the_destination_is_replaced(dss, clouds, way):
    source, checksums, key = stage_source(dss, clouds, way[0], b"right")
    there = dss.replicas.named(way[1])
    there.store.create(there.bucket, key, b"wrong", "text/plain")
    copy(dss, source, way, key, checksums)
    assert clouds.read(way[1], key) == b"right"


@pytest.mark.parametrize("way", WAYS[:2], ids="-".join)
@pytest.mark.parametrize("size", [5, SMALL_PART + 5])
def test_content_other_than_claimed_leaves_nothing(dss, clouds, way, size):
    data = distinct_bytes(size)
    source, _, key = stage_source(dss, clouds, way[0], data)
    claimed = checksums_of(data[:-1] + b"?")
    # As if the source's store vouched for nothing, so that only the destination can tell.
    silent = type(source)(**{**vars(source), "md5": None, "crc32c": None})
    with pytest.raises(InvalidChecksum):
        copy(dss, silent, way, key, claimed)
    assert not is_there(dss, way[1], key)
    assert unfinished_uploads(clouds, dss.replicas.named(way[1]), key) == []


@pytest.mark.parametrize("way", WAYS[:2], ids="-".join)
def test_a_source_that_was_replaced_is_not_copied(dss, clouds, way):
    data = distinct_bytes(SMALL_PART + 5)
    source, checksums, key = stage_source(dss, clouds, way[0], data)
    clouds.stage(way[0], b"other", bucket=source.bucket, key=source.key)
    with pytest.raises(ObjectChanged):
        copy(dss, source, way, key, checksums)
    assert not is_there(dss, way[1], key)
    assert unfinished_uploads(clouds, dss.replicas.named(way[1]), key) == []


@pytest.mark.parametrize("way", WAYS[:2], ids="-".join)
def test_a_deadline_that_passes_leaves_nothing(dss, clouds, way):
    source, checksums, key = stage_source(dss, clouds, way[0], distinct_bytes(SMALL_PART + 5))
    with pytest.raises(CopyTakesLonger):
        copy(dss, source, way, key, checksums, seconds=0)
    assert not is_there(dss, way[1], key)
    assert unfinished_uploads(clouds, dss.replicas.named(way[1]), key) == []
