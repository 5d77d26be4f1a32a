"""Dates as documents of catalogues have them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def in_utc(moment: datetime) -> str:
    """Return a moment in UTC with microseconds. Raises OverflowError if UTC has no such year."""
    # A time without a zone is in UTC, wherever this runs.
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return known.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def microseconds(date: str) -> int:
    """Return how long after 1970 a date is, one as `in_utc` makes them. Raises ValueError for other texts."""
    moment = datetime.fromisoformat(date)
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (known - _EPOCH) // timedelta(microseconds=1)
