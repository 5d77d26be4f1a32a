"""UUIDs, versions and file names, as the DSS accepts them.

A version is a UTC time as `YYYY-MM-DDTHHMMSS.ffffffZ`, which sorts as text in order of time.
The client imports nothing of the service; `tests/client/test_identifiers.py` compares both implementations.
"""

import re
from datetime import datetime, timedelta, timezone

from dss.errors import InvalidInput

# Python 3.11 has it in datetime.
UTC = timezone.utc

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}\.[0-9]{6}Z")
# Where year, month, day, hour, minute, second and microsecond are in a version.
_PARTS = ((0, 4), (5, 7), (8, 10), (11, 13), (13, 15), (15, 17), (18, 24))

# GCS and S3: an object's name is at most 1,024 bytes; a checkout puts `bundles/{fqid}/` (73 bytes) in front.
MAX_FILE_NAME_BYTES = 900
# Most file systems, ext4, APFS and NTFS among them: no name of a file or directory is longer.
MAX_STEP_BYTES = 255
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\\]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def check_uuid(text: str, name: str = "uuid") -> str:
    """Return the UUID in lower case.

    Raises InvalidInput, which names `name`, if the text is not a UUID.
    """
    lowered = text.lower()
    if not _UUID.fullmatch(lowered):
        raise InvalidInput(f"{name}: {text[:80]!r} is not a UUID")
    return lowered


def check_version(text: str, name: str = "version") -> str:
    """Return the version unchanged.

    Raises InvalidInput, which names `name`, if the text has another form or is not a calendar date.
    """
    if not _VERSION.fullmatch(text):
        raise InvalidInput(f"{name}: {text[:80]!r} is not a version; its form is YYYY-MM-DDTHHMMSS.ffffffZ")
    try:
        _moment(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {text!r} is not a calendar date and time") from error
    return text


def version_of(moment: datetime) -> str:
    """Return the version for a moment, which must have a time zone."""
    # strftime pads years to four digits on some platforms only.
    utc = moment.astimezone(UTC)
    return f"{utc.year:04d}-{utc:%m-%dT%H%M%S}.{utc.microsecond:06d}Z"


def moment_of(version: str) -> datetime:
    """Return the moment, in UTC, of a version. Raises InvalidInput if it is not one."""
    return _moment(check_version(version))


def _moment(version: str) -> datetime:
    """Return the moment of a text of the form of a version. Raises ValueError if there is no such moment."""
    # A tenth of the time of strptime: a manifest may have a million of them.
    year, month, day, hour, minute, second, fraction = (int(version[a:b]) for a, b in _PARTS)
    return datetime(year, month, day, hour, minute, second, fraction, tzinfo=UTC)


def date_of(text: str) -> datetime:
    """Return the moment of an ISO 8601 date or time, which is UTC unless it has a time zone.

    Raises InvalidInput if it is none.
    """
    try:
        # Python 3.10 does not know the Z.
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidInput(f"{text[:80]!r} is not a date; give 2026-01-31, or 2026-01-31T09:30:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def version_after(version: str) -> str:
    """Return the next version, a microsecond later. Raises InvalidInput if the text is not a version."""
    return version_of(moment_of(version) + timedelta(microseconds=1))


def check_file_name(name: str, *, most_bytes: int = MAX_FILE_NAME_BYTES) -> str:
    """Return the name if a file in a bundle can have it: a relative path that stays in its directory.

    Raises InvalidInput for names that are empty, absolute, leave their directory, hold a backslash or
    control characters, or are longer than `most_bytes` in UTF-8, or have a step that is empty or
    longer than MAX_STEP_BYTES. The service also has names with empty steps, which no directory can give.
    """

    def refuse(why: str) -> InvalidInput:
        return InvalidInput(f"name: {name[:80]!r} {why}")

    if not name:
        raise refuse("is empty")
    if len(name.encode("utf-8", "surrogatepass")) > most_bytes:
        raise refuse(f"is longer than {most_bytes} bytes")
    if _CONTROLS.search(name):
        raise refuse("holds a backslash or a control character")
    if _SURROGATES.search(name):
        raise refuse("is not valid Unicode")
    if name.startswith(("/", "~/")):
        raise refuse("is not relative")
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise refuse("has an empty, '.' or '..' step in its path")
    if any(len(part.encode()) > MAX_STEP_BYTES for part in name.split("/")):
        raise refuse(f"has a step in its path that is longer than {MAX_STEP_BYTES} bytes")
    return name
