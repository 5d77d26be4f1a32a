"""Why a bundle version is not in a catalogue, as it is recorded."""

from shared.explore.audiences import TooManyAudiences

# Of a reason; it may quote what a file holds.
_MAX_REASON = 2000


def storable(reason: str) -> str:
    """Return the beginning of a reason as PostgreSQL stores it.

    It stores neither null characters nor halves of characters, which files may hold.
    """
    return reason[:_MAX_REASON].replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def why_not_stored(error: Exception) -> str:
    """Return why what a bundle says can't be merged with what others say, or can't be stored."""
    return storable(str(error) if isinstance(error, TooManyAudiences) else f"can't be stored: {error!r}")
