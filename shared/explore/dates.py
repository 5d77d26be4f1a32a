"""Dates as documents of catalogues have them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def in_utc(moment: datetime) -> str:
    """Return a moment in UTC with microseconds. Raises OverflowError if UTC has no such year."""
    return _with_zone(moment).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def microseconds(date: str) -> int:
    """Return how long after 1970 a date is, one as `in_utc` makes them. Raises ValueError for other texts."""
    return (_with_zone(datetime.fromisoformat(date)) - _EPOCH) // timedelta(microseconds=1)


def _with_zone(moment: datetime) -> datetime:
    # A time without a zone is in UTC, wherever this runs.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
