"""The versions that copies get: those of the originals, or others."""

from collections.abc import Callable
from datetime import timedelta

from dss.clock import Clock, new_version
from dss.errors import InvalidInput
from dss.identifiers import check_version, moment_of, version_of

# Returns the version of a copy for that of its original, a file's or a bundle's. Raises InvalidInput.
VersionRule = Callable[[str], str]

_MICROSECONDS = 1_000_000


def kept(version: str) -> str:
    """Return the version of the original: the same copy again is nothing new."""
    return check_version(version)


def fixed(version: str) -> VersionRule:
    """Return the rule that gives every file and bundle this version. Raises InvalidInput if it is none."""
    chosen = check_version(version, "--set-version")
    return lambda _: chosen


def new(clock: Clock) -> VersionRule:
    """Return the rule that gives every file and bundle the version of this moment."""
    return fixed(new_version(clock))


def shifted(seconds: float) -> VersionRule:
    """Return the rule that adds so many seconds, to the microsecond: the same original, the same copy.

    Raises InvalidInput if that is no number of seconds that a time could be shifted by.
    """
    try:
        shift = timedelta(microseconds=round(seconds * _MICROSECONDS))
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"--map-version: {seconds} is not a number of seconds to add") from error

    def later(version: str) -> str:
        try:
            return version_of(moment_of(version) + shift)
        except OverflowError as error:
            raise InvalidInput(f"--map-version: {version} and {seconds} s more is no date") from error

    return later
