"""Names of files in a bundle: those that an upload may give, and paths that a download may write to."""

import os
import stat
from pathlib import Path

from dss.errors import InvalidInput
from dss.identifiers import MAX_FILE_NAME_BYTES, check_file_name

# Downloads keep unfinished files here, inside the target directory, so that a rename finishes one.
WORK_DIRECTORY = ".dss-download"
# Of a name in a bundle, and of a directory for the bundle, UUID.VERSION/.
_MAX_PATH_BYTES = MAX_FILE_NAME_BYTES + 63


def is_indexed(name: str) -> bool:
    """Return whether a file's content goes into the bundle's metadata document."""
    return name.endswith(".json")


def is_safe(path: str) -> bool:
    """Return whether a path stays in its directory, and is neither reserved nor malformed."""
    try:
        _check_path(path)
    except InvalidInput:
        return False
    return True


def _check_path(path: str) -> list[str]:
    """Return the steps of a path that stays in its directory. Raises InvalidInput for others."""
    check_file_name(path, most_bytes=_MAX_PATH_BYTES)
    steps = path.split("/")
    if any(step in ("", ".", "..") for step in steps):
        raise InvalidInput(f"name: {path[:80]!r} has an empty, '.' or '..' step in its path")
    if steps[0].casefold() == WORK_DIRECTORY:
        raise InvalidInput(f"name: {path[:80]!r} is reserved for unfinished downloads")
    return steps


def safe_target(directory: Path, name: str) -> Path:
    """Return the path of a bundle's file inside `directory`, without symbolic links on the way.

    Raises InvalidInput for a name that leads elsewhere: the server is not trusted with that.
    """
    steps = _check_path(name)
    path = str(directory)
    for number, step in enumerate(steps, start=1):
        path = f"{path}{os.sep}{step}"
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            # A path that does not exist has no symbolic links; the caller makes the rest of it.
            break
        except OSError as error:
            raise InvalidInput(f"{path}: {error.strerror}") from error
        if stat.S_ISLNK(mode):
            raise InvalidInput(f"{path} is a symbolic link")
        if number < len(steps) and not stat.S_ISDIR(mode):
            raise InvalidInput(f"{path} exists and is not a directory")
        if number == len(steps) and not stat.S_ISREG(mode):
            raise InvalidInput(f"{path} exists and is not a file")
    return directory.joinpath(*steps)
