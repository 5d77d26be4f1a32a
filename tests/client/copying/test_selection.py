"""Which bundles are copied, under which versions, and from which bucket: decided without any request."""

import io
import math
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.clock import SystemClock
from dss.copying.selection import Ends, bundles_in, check_distinct, chosen
from dss.copying.sources import bucket_of
from dss.copying.versions import fixed, kept, new, shifted
from dss.errors import InvalidInput
from dss.identifiers import moment_of
from dss.references import Reference

VERSION = "2019-01-02T030405.000006Z"
LATER = "2020-01-02T030405.000006Z"
KEY = "blobs/a.b.c.d"


def table(*lines: str) -> io.StringIO:
    found = io.StringIO("".join(f"{line}\n" for line in lines))
    found.name = "mine.tsv"
    return found


def test_a_table_names_each_bundle_once_whatever_its_other_columns() -> None:
    one, other = str(uuid4()), str(uuid4())
    rows = table(
        "\ufefffile_name\tbundle_uuid\tbundle_version",
        f"a\t{one.upper()}\t{VERSION}",
        f"b\t{one}\t{VERSION}",
        f"c\t{other}\t{VERSION}",
    )

    found = bundles_in(rows)

    assert found == [Reference(uuid=one, version=VERSION), Reference(uuid=other, version=VERSION)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["bundle_uuid\tfile", "x\ty"], "mine.tsv: no column bundle_version; it has: bundle_uuid, file"),
        ([], "no column bundle_uuid and no column bundle_version; it has: none"),
        (["bundle_uuid,bundle_version"], "no column bundle_uuid and"),
        (["bundle_uuid\tbundle_version", f"x\t{VERSION}"], "line 2: bundle_uuid: 'x' is not a UUID"),
        (["bundle_uuid\tbundle_version", f"{uuid4()}\t2019-01-02"], "line 2: bundle_version: '2019-01-02'"),
        (["bundle_uuid\tbundle_version", f"{uuid4()}"], "line 2: bundle_version: ''"),
        (["bundle_uuid\tbundle_version", *["x\ty"] * 30], "and more than 10 lines"),
    ],
)
def test_a_table_that_names_no_bundles_is_refused_by_line(lines: list[str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        bundles_in(table(*lines))


def test_a_table_of_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_bytes("bundle_uuid\té".encode("latin-1"))

    with path.open(encoding="utf-8") as rows, pytest.raises(InvalidInput, match="not a TSV in UTF-8"):
        bundles_in(rows)


@given(uuid=st.uuids(), cut=st.integers(0, 36))
def test_a_prefix_and_a_suffix_take_the_uuids_that_have_them(uuid: object, cut: int) -> None:
    text = str(uuid)

    assert Ends(prefix=text[:cut].upper(), suffix=text[cut:]).take(text)
    other = "0" if text[0] != "0" else "1"
    assert not Ends(prefix=other + text[1:cut]).take(text)
    assert not Ends(suffix=text[cut:36], prefix=other).take(text)


def test_what_no_uuid_begins_with_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--prefix: 'xy'"):
        Ends(prefix="xy")


def test_a_bundle_that_is_named_twice_is_copied_once() -> None:
    one, other = (Reference(uuid=str(uuid4()), version=VERSION) for _ in range(2))

    assert chosen([one, other, one], Ends()) == [one, other]


def test_two_versions_of_a_bundle_cant_become_one() -> None:
    uuid = str(uuid4())
    both = [Reference(uuid=uuid, version=version) for version in (VERSION, LATER)]

    check_distinct(both[:1])
    with pytest.raises(InvalidInput, match=f"{uuid} is named in 2 versions"):
        check_distinct(both)


@given(seconds=st.floats(-1e8, 1e8))
def test_a_shift_is_the_same_each_time_and_to_the_microsecond(seconds: float) -> None:
    moved = shifted(seconds)(VERSION)

    assert moved == shifted(seconds)(VERSION)
    difference = (moment_of(moved) - moment_of(VERSION)).total_seconds()
    assert difference == pytest.approx(seconds, abs=1e-6)


def test_versions_are_kept_or_set_or_those_of_this_moment() -> None:
    now = new(SystemClock())

    assert kept(VERSION) == VERSION
    assert fixed(LATER)(VERSION) == LATER
    assert shifted(1.374856)(VERSION) == "2019-01-02T030406.374862Z"
    assert now(VERSION) == now(LATER) > LATER


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 1e300])
def test_a_shift_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidInput, match="--map-version"):
        shifted(seconds)


def test_malformed_versions_are_named() -> None:
    with pytest.raises(InvalidInput, match="--set-version: '2019'"):
        fixed("2019")
    with pytest.raises(InvalidInput, match="is no date"):
        shifted(-1e11)(VERSION)
    with pytest.raises(InvalidInput, match="'yesterday'"):
        kept("yesterday")


@pytest.mark.parametrize(
    ("url", "replica", "bucket"),
    [
        (f"https://storage.googleapis.com/one/{KEY}?X-Goog-Signature=1", "gcp", "gs://one"),
        (f"https://one.storage.googleapis.com/{KEY}", "gcp", "gs://one"),
        (f"https://s3.us-east-1.amazonaws.com/one/{KEY}?AWSAccessKeyId=1", "aws", "s3://one"),
        (f"https://one.two.s3.amazonaws.com/{KEY}", "aws", "s3://one.two"),
        (f"https://one.s3.us-east-1.amazonaws.com/{KEY}", "aws", "s3://one"),
        (f"http://127.0.0.1:4000/one/{KEY}", "gcp", "gs://one"),
    ],
)
def test_a_signed_url_tells_the_bucket(url: str, replica: str, bucket: str) -> None:
    assert bucket_of(url, KEY, replica) == bucket


@pytest.mark.parametrize(
    "url", ["", "None", f"https://cdn.example.org/{KEY}", f"https://x/a/b/{KEY}", "https://x/one/blobs/e"]
)
def test_a_url_that_tells_no_bucket_asks_for_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="--source-bucket"):
        bucket_of(url, KEY, "gcp")
