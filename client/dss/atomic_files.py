"""Files that are there as a whole, or as they were before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


@contextmanager
def replacing(path: Path, *, secret: bool = False) -> Iterator[BinaryIO]:
    """Give a stream for the new content of a file, which gets its name at the end; an error leaves no trace.

    Two at once for one path don't meet, and a link that somebody put beside it is not followed. A `secret`
    is on the disk, and not only in memory, before it has its name, and nobody but its owner may read it.
    """
    part = path.with_name(f".dss-{uuid4()}.part")

    def created(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600 if secret else 0o666)

    try:
        with open(part, "xb", opener=created) as stream:
            yield stream
            if secret:
                stream.flush()
                os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
