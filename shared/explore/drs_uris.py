"""The DRS URIs by which catalogues name files."""

from collections.abc import Callable
from urllib.parse import quote

# Makes a URI of a file's UUID and version.
DrsUri = Callable[[str, str], str]


def versioned_drs_uri(host: str) -> DrsUri:
    """Return what makes the DRS URIs of files of a host."""
    return lambda file_uuid, version: f"drs://{host}/{quote(f'{file_uuid}.{version}')}"
