"""The client accepts the UUIDs, versions and names that the service accepts, and no others."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

import dss.identifiers
import shared.identifiers
from dss.errors import InvalidInput
from shared.errors import IllegalArguments

MOMENTS = st.datetimes(max_value=datetime(9999, 12, 30)).map(lambda moment: moment.replace(tzinfo=UTC))
VERSIONS = MOMENTS.map(shared.identifiers.version_of)
DAMAGED = st.builds(
    lambda text, position, new: text[:position] + new + text[position + 1 :],
    VERSIONS,
    st.integers(0, 30),
    st.sampled_from([*"0123456789-T.Z", "", "٣"]),
)
STEPS = st.text(alphabet="ab.~ \\/\n\0\x7fé\ud800", max_size=6)


def outcome(check: Callable[[str], str], refusal: type[Exception], text: str) -> str | None:
    """Return what a check returns, None if it refuses."""
    try:
        return check(text)
    except refusal:
        return None


@given(st.one_of(st.uuids().map(str), st.text(max_size=40), st.from_regex(r"\A[0-9a-fA-F-]{36}\Z")))
def test_both_accept_the_same_uuids(text: str) -> None:
    mine = outcome(dss.identifiers.check_uuid, InvalidInput, text)

    assert mine == outcome(shared.identifiers.check_uuid, IllegalArguments, text)


@given(st.one_of(VERSIONS, DAMAGED, st.text(max_size=30)))
@example("2025-02-29T000000.000000Z")
def test_both_accept_the_same_versions(text: str) -> None:
    mine = outcome(dss.identifiers.check_version, InvalidInput, text)

    assert mine == outcome(shared.identifiers.check_version, IllegalArguments, text)


@given(st.lists(STEPS, max_size=4).map("/".join))
@example("a" * 900)
@example("a" * 901)
@example("é" * 450 + "a")
@example("a" * 255 + "/b")
@example("a/" + "a" * 256)
@example("é" * 128)
def test_both_accept_the_same_file_names(text: str) -> None:
    mine = outcome(dss.identifiers.check_file_name, InvalidInput, text)

    # A directory gives no empty steps; the service has them from elsewhere.
    theirs = outcome(shared.identifiers.check_file_name, IllegalArguments, text)
    assert mine == (None if "" in text.split("/") else theirs)


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(seconds=1)))
def test_both_make_the_same_versions(moment: datetime, later: timedelta) -> None:
    version = dss.identifiers.version_of(moment)

    assert version == shared.identifiers.version_of(moment)
    assert dss.identifiers.moment_of(version) == shared.identifiers.moment_of(version) == moment
    assert dss.identifiers.version_after(version) == shared.identifiers.version_after(version) > version
    assert dss.identifiers.version_of(moment + later) >= version
