"""Names of files in a bundle: which ones a directory may give, and which ones may be written to disk."""

import re
import stat
from pathlib import Path

from dss.errors import Refused
from dss.identifiers import check_file_name

# Where downloads keep unfinished files, inside the target directory, so that a finished one can be renamed.
WORK_DIRECTORY = ".dss-download"

# BundleFile.name in the v1 contract, as it stands there.
_CONTRACT = re.compile(
    r"(?=^((?!\.\/).)*$)(?=^((?!\\).)*$)(?=^((?!\/\.).)*$)"
    r"(?=^(?!\/).*$)(?=^(?!~\/).*$)(?=^(?!\.\.$).*)(?=^(?!\.$).*)"
)


def check_bundle_name(name: str) -> str:
    """Return a name that the DSS takes for a file of a bundle. Raises Refused, saying why, for others."""
    check_file_name(name)
    if not _CONTRACT.match(name):
        raise Refused(f"name: {name[:80]!r} has a step in its path that begins with '.' or ends with '.'")
    return name


def content_type_of(name: str) -> str:
    """Return the content type that the DSS and its clients expect of a file so named."""
    if name.endswith(".json"):
        return "application/json"
    if name.endswith(".gz"):
        return "gzip"
    return "application/octet-stream"


def is_indexed(name: str) -> bool:
    """Tell whether a file's content goes into the bundle's metadata document."""
    return name.endswith(".json")


def safe_target(directory: Path, name: str) -> Path:
    """Return where a file of a bundle goes: inside `directory`, by a path without symbolic links.

    Raises Refused for a name that leads elsewhere, whoever made it: a server is not trusted with that.
    """
    check_file_name(name)
    steps = name.split("/")
    if steps[0].casefold() == WORK_DIRECTORY:
        raise Refused(f"name: {name[:80]!r} is where unfinished downloads are kept")
    path = directory
    for number, step in enumerate(steps, start=1):
        path = path / step
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            # What isn't there leads nowhere else; the rest of the path is yet to be made.
            return directory.joinpath(*steps)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        if stat.S_ISLNK(mode):
            raise Refused(f"{path} is a symbolic link")
        if number < len(steps) and not stat.S_ISDIR(mode):
            raise Refused(f"{path} is there and is not a directory")
        if number == len(steps) and not stat.S_ISREG(mode):
            raise Refused(f"{path} is there and is not a file")
    return path
