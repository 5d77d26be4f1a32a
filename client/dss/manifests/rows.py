"""What every form of manifest is read as: rows, each of a file, with the columns of a table of files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dss.errors import InvalidInput

BUNDLE_UUID, BUNDLE_VERSION = "bundle_uuid", "bundle_version"
NAME, UUID, VERSION = "file_name", "file_uuid", "file_version"
SHA256, SIZE = "file_sha256", "file_size"
# The columns of `hca dss download-manifest`, the predecessor's client.
COLUMNS = (BUNDLE_UUID, BUNDLE_VERSION, NAME, UUID, VERSION, SHA256, SIZE)
# Of these a file can't do without. What else there is to know the DSS says, too.
NEEDED = (UUID, NAME)
# Where the file goes, in a manifest that says so.
PATH = "path"
# The id of a file's metadata document, in a manifest that has no more than that.
DOCUMENT = "document"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a manifest says of a file, and in which `place`: `line 7`, say.

    `problem` is what is wrong with the row itself: cells are missing, say.
    """

    place: str
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def damaged(place: str, why: str) -> InvalidInput:
    """Return the error for a manifest that ends too early, or is damaged from a place on."""
    return InvalidInput(f"the manifest is cut, or damaged: {place}: {why}; get it again (dss manifest)")
