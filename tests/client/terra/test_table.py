"""Data tables say in Terra what the bundles say."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.api.files import FileHead
from dss.client import Client
from dss.errors import InvalidInput
from dss.terra.entities import COLUMNS
from dss.terra.selection import BundlePart, FilePart, Part, Selection
from dss.terra.table import table_lines
from tests.support.terra import Reference, Workspace

UUID = "a2a59d33-2c5f-4b43-9c3c-2d4c6c1b0a11"
FILE_UUID = "b2a59d33-2c5f-4b43-9c3c-2d4c6c1b0a11"
VERSION = "2026-01-12T093000.000000Z"
SUMS = {
    "sha256": "ab" * 32,
    "sha1": "cd" * 20,
    "crc32c": "00123456",
    "s3_etag": "d41d8cd98f00b204e9800998ecf8427e",
}
CLIENT = Client("https://dss.example.org")


class Chosen(Selection):
    """A selection of parts that need no DSS."""

    def __init__(self, *parts: Part) -> None:
        object.__setattr__(self, "_parts", parts)

    def parts(self, session: Any) -> Any:
        return iter(self._parts)  # type: ignore[attr-defined]


def row(name: str = "cells.h5ad", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "uuid": FILE_UUID,
        "version": VERSION,
        "size": 7,
        "content-type": "a/b",
        **SUMS,
        **more,
    }


def bundle(*rows: dict[str, Any], version: str = VERSION) -> BundlePart:
    return BundlePart(uuid=UUID, version=version, files=rows)


def workspace(*parts: Part) -> Workspace:
    """Return a workspace to which both tables of some parts were uploaded."""
    uploaded = Workspace()
    for table in ("bundle", "file"):
        uploaded.upload("".join(table_lines(CLIENT, Chosen(*parts), table)).encode())
    return uploaded


def test_rows_have_what_the_manifest_has() -> None:
    tables = workspace(bundle(row(), row("reads/r1.fastq.gz", size=2**40))).tables

    [(bundle_id, of_bundle)] = tables["bundle"].items()
    one, other = tables["file"].values()
    assert of_bundle == {
        "drs_uri": f"drs://dss.example.org/{UUID}.{VERSION}",
        "bundle_uuid": UUID,
        "bundle_version": VERSION,
        "file_count": 2,
        "total_size": 7 + 2**40,
    }
    assert one == {
        "file_name": "cells.h5ad",
        "drs_uri": f"drs://dss.example.org/{FILE_UUID}.{VERSION}",
        "file_size": 7,
        "content_type": "a/b",
        "sha256": SUMS["sha256"],
        "md5": SUMS["s3_etag"],
        "crc32c": "ABI0Vg==",
        "file_uuid": FILE_UUID,
        "file_version": VERSION,
        "bundle": Reference("bundle", bundle_id),
    }
    assert (other["file_name"], other["file_size"]) == ("reads/r1.fastq.gz", 2**40)


def test_the_etag_of_several_parts_is_no_md5() -> None:
    [only] = workspace(bundle(row(s3_etag=f"{'0a' * 16}-2"))).tables["file"].values()

    assert "md5" not in only


def test_a_file_outside_of_bundles_refers_to_none() -> None:
    head = FileHead(version=VERSION, content_type="a/b", size=7, creator_uid=0, checksums=SUMS)

    [only] = workspace(FilePart(uuid=FILE_UUID, head=head)).tables["file"].values()

    assert only["drs_uri"] == f"drs://dss.example.org/{FILE_UUID}.{VERSION}"
    assert not {"bundle", "file_name"} & set(only)


def test_each_place_of_a_file_has_an_id_which_stays() -> None:
    later = "2026-02-12T093000.000000Z"
    parts = (bundle(row("a"), row("b")), bundle(row("a"), row("a", version=later), version=later))

    ids = [list(workspace(*parts).tables["file"]) for _ in range(2)]

    assert len(set(ids[0])) == 4
    assert ids[0] == ids[1]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,254}", one) for one in ids[0])


@pytest.mark.parametrize(
    "name", ["007", "1e5", "12f", ".5d", "0x1p3", "true", "[1]", '"quoted"', "NaN", "__DELETE__", "#1"]
)
def test_a_name_that_looks_like_something_else_stays_a_name(name: str) -> None:
    [only] = workspace(bundle(row(name))).tables["file"].values()

    assert only["file_name"] == f"./{name}"


# Some checksums are all digits, or digits around one `e`.
HEX = st.one_of(st.text("0123456789abcdef", min_size=8), st.text("0123456789e", min_size=8))


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.text(max_size=20),
    HEX.map(lambda text: (text * 8)[:8]),
    HEX.map(lambda text: (text * 8)[:64]),
)
def test_any_text_arrives_as_text_or_not_at_all(name: str, media: str, crc32c: str, sha256: str) -> None:
    parts = bundle(row(name, crc32c=crc32c, sha256=sha256, **{"content-type": media}))

    [only] = workspace(parts).tables["file"].values()

    cleaned = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", name)
    assert only["file_name"] in (cleaned, f"./{cleaned}")
    assert isinstance(only.get("content_type", ""), str)
    assert isinstance(only["crc32c"], str)
    assert only.get("sha256", sha256) == sha256


def test_headers_leave_to_terra_what_is_its_own() -> None:
    for table, columns in COLUMNS.items():
        assert not {"name", "entityType", f"{table}_id"} & set(columns)
        assert not [column for column in columns if re.search("_[0-9a-f]{2,}_", column)]


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(InvalidInput, match="'sample' is none of bundle, file"):
        next(table_lines(CLIENT, Chosen(), "sample"))


@pytest.mark.parametrize(("names", "query"), [((), None), (("x",), {})])
def test_a_selection_is_names_or_a_query(names: tuple[str, ...], query: Any) -> None:
    with pytest.raises(InvalidInput, match="one of both"):
        Selection(names=names, query=query)
