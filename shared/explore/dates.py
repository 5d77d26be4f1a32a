"""Dates as documents of catalogues have them."""

from datetime import UTC, datetime


def in_utc(moment: datetime) -> str:
    """Return a moment in UTC with microseconds. Raises OverflowError if UTC has no such year."""
    # A time without a zone is in UTC, wherever this runs.
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return known.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
