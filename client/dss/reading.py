"""Read a file of the replica into memory, range by range, without a copy on disk."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from dss.api import files
from dss.api.session import Session
from dss.errors import WrongContent
from dss.transfer.fetching import Content, RangeReader
from dss.transfer.ranges import ByteRange


class RemoteFile:
    """The bytes of one file version; threads may share it.

    `row` is the file as GET /bundles lists it; its `url` may be missing, and is asked for when it is needed.
    A signed URL that expires is replaced, and reading goes on at the same byte. Every method raises
    CallFailed, Unreachable or WrongContent if there was no progress for the session's patience, or if a
    retry is no use.
    """

    def __init__(self, session: Session, row: Mapping[str, Any]) -> None:
        source = files.signed_url(session, row["uuid"], row["version"], row.get("url", ""))
        self.content = Content(source=source, size=int(row["size"]), sha256=str(row["sha256"]).lower())
        self._reader = RangeReader(session.transport)

    @property
    def size(self) -> int:
        """The length in bytes."""
        return self.content.size

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to, not including, `end`, or fewer at the end of the file."""
        chunks: list[bytes] = []
        self._read(start, end, chunks.append)
        return b"".join(chunks)

    def read_all(self) -> bytes:
        """Return the whole content. Raises WrongContent if its sha256 is not as promised."""
        chunks: list[bytes] = []
        self.copy_to(chunks.append)
        return b"".join(chunks)

    def copy_to(self, write: Callable[[bytes], Any]) -> None:
        """Pass the whole content to `write`, in order.

        Raises WrongContent at the end, after everything is written, if the sha256 is not as promised.
        """
        check = SequentialCheck(self.content)
        position = 0

        def sink(data: bytes) -> None:
            nonlocal position
            check.saw(position, data)
            position += len(data)
            write(data)

        self._read(0, self.size, sink)

    def _read(self, start: int, end: int, write: Callable[[bytes], Any]) -> None:
        end = min(end, self.size)
        if start < end:
            self._reader.read(self.content, ByteRange(start, end), lambda _, data: write(data))


class SequentialCheck:
    """Compares the sha256 of a content with what was promised, if all of it is read from its beginning.

    What is read again, or after a gap, does not count.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self._seen = 0

    def saw(self, position: int, data: bytes) -> None:
        """Count bytes that were read at a position.

        Raises WrongContent if they are the last of the content, and its sha256 is not as promised.
        """
        if not position <= self._seen < position + len(data):
            return
        self._digest.update(memoryview(data)[self._seen - position :])
        self._seen = position + len(data)
        if self._seen == self._content.size and self._digest.hexdigest() != self._content.sha256:
            raise WrongContent(
                f"sha256: {self._digest.hexdigest()} arrived, the DSS promised {self._content.sha256}"
            )
