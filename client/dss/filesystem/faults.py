"""Errors of the DSS as those of a file system, which pandas, zarr and others know how to take."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from dss.errors import CallFailed


def not_found(path: str, why: str) -> FileNotFoundError:
    """Return the error for a path at which nothing is."""
    return FileNotFoundError(errno.ENOENT, why, path)


def read_only(path: str) -> OSError:
    """Return the error for an operation that would change a bundle."""
    why = "a bundle never changes; make a new version of a directory with `dss upload DIRECTORY`"
    return OSError(errno.EROFS, why, path)


@contextmanager
def as_os_error(path: str, *, missing: bool = False) -> Iterator[None]:
    """Raise PermissionError for 401 and 403 and, if `missing`, FileNotFoundError for 404 and 410.

    Others stay as they are. A file that is listed and whose bytes are not there is never "not found": zarr
    would take its fill value for the content.
    """
    try:
        yield
    except CallFailed as error:
        if error.status in (401, 403):
            raise PermissionError(errno.EACCES, str(error), path) from error
        if missing and error.status in (404, 410):
            raise not_found(path, str(error)) from error
        raise
