"""Names are what they say, and come back from what was written."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import IllegalArguments, IllegalVersion
from shared.identifiers import (
    Fqid,
    Kind,
    ObjectName,
    _is_usual,
    check_file_name,
    check_uuid,
    check_version,
    moment_of,
    parse_key,
    version_of,
)

UUID = "0f1e2d3c-4b5a-4678-8796-a5b4c3d2e1f0"
VERSION = "2026-11-21T101112.000001Z"

moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
uuids = st.uuids().map(str)
versions = moments.map(version_of)


@given(moments)
def test_a_version_stands_for_its_moment_to_the_microsecond(moment):
    assert moment_of(version_of(moment)) == moment


@given(moments, moments)
def test_versions_sort_as_their_moments(one, other):
    assert (version_of(one) < version_of(other)) == (one < other)


def test_a_moment_elsewhere_becomes_a_version_in_utc():
    moment = datetime.fromisoformat("2026-11-21T01:00:00+02:00")
    assert version_of(moment) == "2026-11-20T230000.000000Z"
    assert moment_of(version_of(moment)) - moment == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-13-01T000000.000000Z",
        "2020-02-30T000000.000000Z",
        "2020-01-01T240000.000000Z",
        "2020-01-01T000000Z",
        "2020-01-01T000000.000Z",
        "2020-01-01T00:00:00.000000Z",
        "2020-01-01T000000.000000z",
        "2020-01-01T000000.000000Z\n",
        "٢٠٢٠-01-01T000000.000000Z",  # digits, but not those of a version
    ],
)
def test_another_form_or_an_impossible_date_is_no_version(text):
    with pytest.raises(IllegalVersion, match="when"):
        check_version(text, "when")


@given(st.text())
def test_any_text_is_a_uuid_or_refused(text):
    try:
        assert check_uuid(text) == text.lower()
    except IllegalArguments as error:
        assert error.title.startswith("uuid:")


def test_a_uuid_in_upper_case_is_taken_in_lower_case():
    assert check_uuid(UUID.upper()) == UUID


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/x",
        "../x",
        "a/../b",
        "a/..",
        ".",
        "..",
        "./a",
        "~/x",
        "a\\b",
        "a\0b",
        "a\nb",
        "é/" * 300 + "a",
        "a" * 256,
        "é" * 128,
        "b/" + "a" * 256,
        "a" * 256 + "/b",
    ],
)
def test_names_that_are_no_relative_path_are_refused(name):
    with pytest.raises(IllegalArguments, match="name"):
        check_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a",
            "a/b.c",
            "..a",
            "a..b",
            ".hidden",
            "ü 1/µ",
            "a~/b",
            "a//b",
            "path.json2/",
            "a/.zarray",
            "a./b",
        ),
        *("é" * 127, "a" * 255, "a/" * 450),
    ],
)
def test_relative_paths_are_names(name):
    assert check_file_name(name) == name


@given(st.text())
@example("a\ud800")
def test_any_text_is_a_name_or_refused(text):
    try:
        name = check_file_name(text)
    except IllegalArguments:
        return
    assert not name.startswith("/")
    assert ".." not in name.split("/")
    assert len(name.encode()) <= 900


@given(st.text(alphabet="a/.~\\\x1f\x7f é", max_size=8))
@example("a" * 255 + "/b")
def test_a_usual_name_is_one_that_all_rules_allow(name):
    with patch("shared.identifiers._is_usual", return_value=False):
        try:
            allowed = check_file_name(name) == name
        except IllegalArguments:
            allowed = False

    assert allowed or not _is_usual(name)


object_names = st.one_of(
    st.builds(ObjectName, st.sampled_from(Kind), uuids, versions, dead=st.booleans()),
    st.builds(ObjectName, st.sampled_from(Kind), uuids, st.none(), dead=st.just(True)),
)


@given(object_names)
def test_a_key_tells_what_it_names(name):
    assert parse_key(name.key) == name


@given(st.text() | st.from_regex(r"(blobs|files|bundles)/[0-9a-f.-]{1,60}(\.dead)?", fullmatch=True))
@example(f"files/{UUID}")
@example(f"bundles/{UUID.upper()}.{VERSION}")
@example("blobs/" + "a" * 64)
def test_a_key_that_the_system_never_writes_names_nothing(key):
    assert (name := parse_key(key)) is None or name.key == key


@given(uuids, versions)
def test_an_fqid_comes_back_from_its_text(uuid, version):
    assert Fqid.parse(str(Fqid(uuid, version))) == Fqid(uuid, version)


@given(st.text())
def test_any_text_is_an_fqid_or_refused(text):
    try:
        assert str(Fqid.parse(text, "search_after")).lower() == text.lower()
    except IllegalArguments as error:
        assert error.title.startswith("search_after:")
