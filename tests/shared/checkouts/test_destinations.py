"""What a bucket's proof says when the store does not give it."""

from typing import Any, cast

import pytest

from shared.access import Proof
from shared.access.buckets import MAX_PROOF_BYTES
from shared.checkouts.destinations import read_proof
from shared.errors import AccessDenied, ObjectChanged, ObjectNotFound, StoreError
from shared.stores.base import ObjectStore, StoredObject


class RefusingStore:
    """A store with one object, of a size, that fails when it is read."""

    def __init__(self, error: StoreError, size: int = 1) -> None:
        self._error = error
        self._size = size

    def stat(self, bucket: str, key: str) -> StoredObject:
        return StoredObject(bucket=bucket, key=key, size=self._size, content_type="text/plain", revision="1")

    def read(self, *_: Any) -> Any:
        raise self._error


def proof_of(error: StoreError, size: int = 1) -> Proof:
    return read_proof(cast(ObjectStore, RefusingStore(error, size)), "own")


@pytest.mark.parametrize(
    ("error", "flaw"),
    [
        (ObjectNotFound("gone"), "is not there"),
        (AccessDenied("no"), "may not be read by this system"),
        (ObjectChanged("new"), "was replaced while it was read; try again"),
    ],
)
def test_a_proof_that_is_not_given_names_nobody_and_says_why(error: StoreError, flaw: str) -> None:
    assert proof_of(error) == Proof(flaw=flaw)


def test_no_byte_is_read_of_an_object_that_is_empty_or_too_large() -> None:
    for size in (0, MAX_PROOF_BYTES + 1, 10**12):
        assert proof_of(AssertionError("it was read"), size).names == frozenset()  # type: ignore[arg-type]


def test_a_store_that_fails_otherwise_is_an_error_of_the_request() -> None:
    with pytest.raises(StoreError, match="broken"):
        proof_of(StoreError("broken"))
