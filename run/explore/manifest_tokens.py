"""What names a manifest in URLs: tokens to ask whether it is ready, and keys by which anybody may have it."""

import base64
import re
import zlib
from dataclasses import dataclass

from shared.errors import IllegalArguments

# A checksum, so that a token of which a bit was lost is known; it protects against nobody.
_FORM = re.compile(
    r"(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"(?: (?P<asked>[0-9]{1,6})|\.(?P<secret>[0-9a-f]{32})) (?P<check>[0-9a-f]{8})"
)


@dataclass(frozen=True)
class ManifestToken:
    """Names a manifest's job, and how often its holder has asked whether it is ready."""

    job_id: str
    asked: int = 0

    def __str__(self) -> str:
        return _encoded(f"{self.job_id} {self.asked}")


@dataclass(frozen=True)
class ManifestKey:
    """Names a manifest to anybody who has the key: it holds the job's secret."""

    job_id: str
    secret: str

    def __str__(self) -> str:
        return _encoded(f"{self.job_id}.{self.secret}")


def parse_token(text: str) -> ManifestToken | ManifestKey:
    """Return a token or a key. Raises IllegalArguments for all other texts."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        decoded = ""
    match = _FORM.fullmatch(decoded)
    if match is None or _checksum(decoded[:-9]) != match["check"]:
        raise IllegalArguments("Invalid token; PUT /manifest/files returns one")
    if match["secret"]:
        return ManifestKey(match["job"], match["secret"])
    return ManifestToken(match["job"], int(match["asked"]))


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(f"{text} {_checksum(text)}".encode()).decode().rstrip("=")


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
