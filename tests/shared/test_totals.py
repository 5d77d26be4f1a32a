"""Totals follow the rule of DRS."""

import hashlib

from shared.checksums import Checksums, checksums_of
from shared.totals import Total


def of(content: bytes) -> Total:
    """Return the total of a file."""
    return Total.of_content(len(content), checksums_of(content))


def test_the_example_of_the_standard_is_right() -> None:
    items = [Total(1, {"md5": "72794b6d"}), Total(2, {"md5": "5e089d29"})]

    assert Total.of_items(items) == Total(3, {"md5": hashlib.md5(b"5e089d2972794b6d").hexdigest()})


def test_the_order_of_items_does_not_matter() -> None:
    items = [of(b"a"), of(b"b"), of(b"c")]

    assert Total.of_items(items) == Total.of_items(reversed(items))


def test_a_type_that_one_item_lacks_is_left_out() -> None:
    sums = checksums_of(b"a")
    parts = Checksums(sha256=sums.sha256, sha1=sums.sha1, crc32c=sums.crc32c, s3_etag=f"{sums.s3_etag}-2")

    assert "md5" in of(b"a").checksums
    assert "md5" not in Total.of_content(1, parts).checksums
    assert set(Total.of_items([of(b"a"), Total.of_content(1, parts)]).checksums) == {
        "sha-256",
        "sha1",
        "crc32c",
    }


def test_what_the_catalog_keeps_is_read_back_in_one_order() -> None:
    total = of(b"a")
    kept = {"size": 1, "checksums": dict(reversed(total.document["checksums"].items()))}

    read = Total.of_document(kept)

    assert read == total
    assert read
    assert list(read.checksums) == list(total.checksums)
    assert Total.of_document(None) is None
