"""Versions that are stamped by clocks which disagree."""

from datetime import UTC, datetime

import pytest

from shared.clock import SystemClock, check_not_ahead, next_version
from shared.errors import IllegalVersion
from shared.identifiers import version_after

LAST = "9999-12-31T235959.999999Z"


class HeldClock(SystemClock):
    """A clock that stands still."""

    def now(self) -> datetime:
        return datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("2026-11-29T115959.999998Z", "2026-11-29T120000.000000Z"),
        ("2026-11-29T115959.999999Z", "2026-11-29T120000.000000Z"),
        ("2026-11-29T120000.000000Z", "2026-11-29T120000.000001Z"),
        ("2026-12-31T235959.999999Z", "2027-01-01T000000.000000Z"),
    ],
)
def test_the_next_version_is_now_or_right_after_its_base(base: str, expected: str) -> None:
    assert next_version(HeldClock(), base) == expected


def test_nothing_comes_after_the_last_version_of_the_calendar() -> None:
    for following in (lambda: next_version(HeldClock(), LAST), lambda: version_after(LAST)):
        with pytest.raises(IllegalVersion, match="no version can come after"):
            following()


def test_a_version_may_be_so_many_seconds_ahead_and_no_more() -> None:
    check_not_ahead(HeldClock(), "2026-11-29T121000.000000Z", 600)
    check_not_ahead(HeldClock(), "0001-01-01T000000.000000Z", 600)
    for version in ("2026-11-29T121000.000001Z", LAST):
        with pytest.raises(IllegalVersion, match="600 seconds ahead of 2026-11-29T120000"):
            check_not_ahead(HeldClock(), version, 600)
