"""What `PlainStore` makes of a store that can do little, where no other process can be seen to meddle."""

import io

import pytest

from shared.checksums import checksums_of
from shared.clock import SystemClock
from shared.errors import ObjectNotFound, StoreError, Unavailable
from shared.stores.base import Piece
from shared.stores.signed_urls import SignedUrls
from tests.support.copies import SMALL_PART
from tests.support.memory_store import MemoryStore

TEXT = b"some content, of no great length\n"
BUCKET = "bucket"


class Meanwhile(io.BytesIO):
    """A reader during whose first read something else happens."""

    def __init__(self, data, happens):
        super().__init__(data)
        self._happens = happens

    def read(self, size=-1, /):
        if self.tell() == 0:
            self._happens()
        return super().read(size)


pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture
def store():
    return MemoryStore(SignedUrls(base="", key=bytes(32), clock=SystemClock()), BUCKET)


@pytest.fixture
def upload(store):
    return store.begin_upload(BUCKET, "whole", size=len(TEXT), content_type="text/plain")


def keys(store):
    return [found.key for found in store.list(BUCKET, "")]


def test_an_upload_is_found_before_it_has_a_part(store, upload):
    assert [one.id for one in store.uploads(BUCKET)] == [upload.id]


def test_a_part_that_comes_while_its_upload_is_aborted_does_not_stay(store, upload):
    data = Meanwhile(TEXT, lambda: store.abort_upload(upload))
    with pytest.raises(ObjectNotFound):
        store.put_part(upload, 1, data, len(TEXT))
    assert keys(store) == []


def test_a_part_that_somebody_else_wrote_meanwhile_is_as_good(store, upload):
    data = Meanwhile(TEXT, lambda: store.put_part(upload, 1, io.BytesIO(TEXT), len(TEXT)))
    store.put_part(upload, 1, data, len(TEXT))
    store.finish_upload(upload, checksums_of(TEXT))
    assert keys(store) == ["whole"]


def test_an_upload_whose_parts_go_while_they_are_joined_leaves_nothing(store, upload, monkeypatch):
    store.put_part(upload, 1, io.BytesIO(TEXT), len(TEXT))
    sizes = store.parts(upload)
    monkeypatch.setattr(store, "parts", lambda _: store.abort_upload(upload) or sizes)
    with pytest.raises(ObjectNotFound):
        store.finish_upload(upload, checksums_of(TEXT))
    assert keys(store) == []


def test_one_upload_is_not_another(store, upload):
    other = store.begin_upload(BUCKET, "other", size=len(TEXT), content_type="text/plain")
    store.put_part(other, 1, io.BytesIO(TEXT), len(TEXT))
    store.abort_upload(upload)
    assert store.parts(other) == {1: len(TEXT)}


@pytest.mark.parametrize("name", ["", "uploads/", "whole", "uploads/" + "0" * 31])
def test_what_is_no_upload_is_not_aborted(store, upload, name):
    store.create(BUCKET, "whole", TEXT, "text/plain")
    stranger = type(upload)(**{**vars(upload), "id": name})
    store.abort_upload(stranger)
    assert keys(store) == [upload.id, "whole"]
    with pytest.raises(ObjectNotFound):
        store.put_part(stranger, 1, io.BytesIO(TEXT), len(TEXT))


def test_what_the_store_raises_names_the_object(store):
    with pytest.raises(Unavailable, match="memory://bucket/a"):
        store.create_from(
            BUCKET, "a", io.BytesIO(b""), size=1, content_type="text/plain", checksums=checksums_of(b"x")
        )
    with pytest.raises(ObjectNotFound, match="memory://bucket/none"):
        store.join(BUCKET, [Piece("none", 1)], "all", content_type="text/plain")


def test_the_parts_of_a_large_object_are_numbered(store):
    data = bytes(SMALL_PART) + TEXT
    upload = store.begin_upload(BUCKET, "large", size=len(data), content_type="text/plain")
    store.put_part(upload, 2, io.BytesIO(TEXT), len(TEXT))
    with pytest.raises(StoreError, match="missing"):
        store.finish_upload(upload, checksums_of(data))
    store.put_part(upload, 1, io.BytesIO(data), SMALL_PART)
    store.finish_upload(upload, checksums_of(data))
    assert store.stat(BUCKET, "large").size == len(data)
