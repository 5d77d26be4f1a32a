"""Files that are there as a whole, or as they were before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a stream for the new content of a file, which gets its name at the end; an error leaves no trace.

    Two at once for one path don't meet, and a link that somebody put beside it is not followed.
    """
    part = path.with_name(f".dss-{uuid4()}.part")
    try:
        with part.open("xb") as stream:
            yield stream
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
