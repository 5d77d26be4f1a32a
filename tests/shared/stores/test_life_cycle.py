"""Objects that a bucket's life cycle removes say so, and are renewed without a change of their content."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from shared.checksums import MIB, checksums_of
from shared.clock import Deadline, SystemClock
from shared.errors import ObjectChanged
from shared.stores.s3.temporary import TAG
from tests.support.copies import SMALL_PART
from tests.support.waiting import wait_until

TEXT = b"some content, of no great length\n"
BIG = os.urandom(SMALL_PART) + b"and a little more"

pytestmark = pytest.mark.usefixtures("small_parts")


def now() -> datetime:
    return datetime.now(UTC)


def copied(place, data, last_used):
    """Return a copy of new content, as the store knows it."""
    if len(data) <= MIB:
        source = place.put("source", data, "text/x-test")
    else:
        upload = place.store.begin_upload(
            place.bucket, place.key("source"), size=len(data), content_type="text/x-test"
        )
        for number, part in enumerate((data[:SMALL_PART], data[SMALL_PART:]), start=1):
            place.store.put_part(upload, number, reader(part), len(part))
        place.store.finish_upload(upload, checksums_of(data))
        source = place.store.stat(place.bucket, place.key("source"))
    place.store.copy(
        source,
        place.bucket,
        place.key("copy"),
        checksums=checksums_of(data),
        deadline=Deadline(SystemClock(), 60),
        last_used=last_used,
    )
    return place.store.stat(place.bucket, place.key("copy"))


def reader(data):
    import io

    return io.BytesIO(data)


@pytest.mark.parametrize("data", [TEXT, b"", BIG], ids=["small", "empty", "parts"])
def test_a_copy_is_temporary_where_that_is_wanted(place, data):
    begun = now()
    found = copied(place, data, begun)
    # S3 tells whole seconds.
    assert begun - timedelta(seconds=1) <= found.last_used <= now()
    assert found.content_type == "text/x-test"
    assert copied_tag(place, "copy") == ([TAG] if place.store.scheme == "s3" else [])
    assert place.store.stat(place.bucket, place.key("source")).last_used is None


def copied_tag(place, name):
    return list(place.store.tags(place.bucket, place.key(name)).items())


def test_a_copy_stays_where_nothing_else_is_said(place):
    assert copied(place, TEXT, None).last_used is None
    assert copied_tag(place, "copy") == []


@pytest.mark.parametrize("data", [TEXT, BIG], ids=["small", "parts"])
def test_a_renewed_object_is_what_it_was_and_its_days_count_anew(place, data):
    before = copied(place, data, now() - timedelta(days=8))

    def renewed():
        place.store.renew(place.store.stat(place.bucket, place.key("copy")), now())
        return place.store.stat(place.bucket, place.key("copy")).last_used > before.last_used

    wait_until(renewed, "a later second begins")

    after = place.store.stat(place.bucket, place.key("copy"))
    assert now() - after.last_used < timedelta(minutes=1)
    assert (after.size, after.content_type) == (len(data), "text/x-test")
    after.check(checksums_of(data))
    if place.store.scheme == "s3":
        assert after.revision == before.revision == checksums_of(data).s3_etag
        assert copied_tag(place, "copy") == [TAG]
    assert place.content("copy") == data


def test_an_object_is_taken_out_of_the_life_cycle_and_put_into_it(place):
    found = copied(place, TEXT, now())
    for last_used in (None, now(), None):
        place.store.renew(found, last_used)
        found = place.store.stat(place.bucket, place.key("copy"))
        assert bool(found.last_used) == bool(last_used)
        assert (found.content_type, place.content("copy")) == ("text/x-test", TEXT)


def test_what_was_renewed_later_is_not_set_back(place):
    found, later = copied(place, TEXT, now()), now()
    place.store.renew(found, later)
    earlier = place.store.stat(place.bucket, place.key("copy"))
    place.store.renew(earlier, later - timedelta(hours=1))
    assert place.store.stat(place.bucket, place.key("copy")).last_used >= earlier.last_used


@pytest.mark.parametrize("last_used", [None, datetime(2030, 1, 1, tzinfo=UTC)])
def test_what_was_replaced_or_removed_meanwhile_is_not_renewed(place, last_used):
    found = copied(place, TEXT, now())
    place.store.delete(place.bucket, place.key("copy"))
    with pytest.raises(ObjectChanged):
        place.store.renew(found, last_used)
    place.put("copy", b"other")
    with pytest.raises(ObjectChanged):
        place.store.renew(found, last_used)
    assert place.content("copy") == b"other"
