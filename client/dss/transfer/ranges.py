"""Which ranges of a file are fetched: a `.part` file, and its list of what is done."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RANGE_BYTES = 32 * 1024 * 1024
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW


@dataclass(frozen=True)
class ByteRange:
    """The bytes from `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.end - self.start


def plan_ranges(size: int, range_bytes: int = RANGE_BYTES) -> list[ByteRange]:
    """Return the ranges that cover a file of `size` bytes once, in order; none for an empty file."""
    return [ByteRange(start, min(start + range_bytes, size)) for start in range(0, size, range_bytes)]


def write_whole(path: Path, content: bytes | bytearray) -> None:
    """Write a new file in place of what an earlier run left at `path`; follows no symbolic link."""
    try:
        descriptor = os.open(path, _NEW, 0o666)
    except FileExistsError:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, _NEW, 0o666)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


class PartFile:
    """A file that is fetched in ranges, and remembers which are complete.

    Beside `x.part` lies `x.part.done`: a line that identifies the content, then the number of each complete
    range, one a line, appended when its bytes are written. A torn last line does not count, so a kill at any
    time costs only the ranges in progress. A file of one range has no such list: it starts again.
    """

    def __init__(self, path: Path, *, size: int, sha256: str, range_bytes: int = RANGE_BYTES) -> None:
        self.path = path
        self.size = size
        self.ranges = plan_ranges(size, range_bytes)
        self._list = path.with_name(path.name + ".done")
        self._head = json.dumps({"size": size, "sha256": sha256, "range_bytes": range_bytes})
        self._done = self._read_list() if len(self.ranges) > 1 else set()
        if not self._done:
            self._begin()
        self._fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)

    def _begin(self) -> None:
        self.path.unlink(missing_ok=True)
        self._list.unlink(missing_ok=True)
        descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        os.ftruncate(descriptor, self.size)
        os.close(descriptor)
        if len(self.ranges) > 1:
            self._list.write_text(self._head + "\n", "utf-8")

    def _read_list(self) -> set[int]:
        try:
            lines = self._list.read_text("utf-8").split("\n")[:-1]
            if self.path.is_symlink() or self.path.stat().st_size != self.size:
                return set()
        except (OSError, UnicodeDecodeError):
            return set()
        if not lines or lines[0] != self._head:
            return set()
        return {int(line) for line in lines[1:] if line.isdecimal() and int(line) < len(self.ranges)}

    @property
    def done_bytes(self) -> int:
        """The bytes in complete ranges."""
        return sum(self.ranges[index].size for index in self._done)

    def missing(self) -> Sequence[tuple[int, ByteRange]]:
        """Return the incomplete ranges, each with its number."""
        return [(index, part) for index, part in enumerate(self.ranges) if index not in self._done]

    def write(self, position: int, data: bytes) -> None:
        """Write bytes at a position; threads may write at once."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, position)
            position += written
            view = view[written:]

    def read(self, part: ByteRange, amount: int) -> Iterator[bytes]:
        """Yield the bytes of a range that is complete, in pieces of at most `amount`."""
        position = part.start
        while position < part.end and (
            data := os.pread(self._fd, min(amount, part.end - position), position)
        ):
            position += len(data)
            yield data

    def complete(self, index: int) -> None:
        """Record that a range is complete; call it after its last write."""
        if len(self.ranges) > 1:
            # O_APPEND keeps the lines of several threads whole.
            with self._list.open("a", encoding="utf-8") as lines:
                lines.write(f"{index}\n")

    def close(self) -> None:
        """Close the file; its content stays."""
        os.close(self._fd)

    def finish(self, target: Path) -> None:
        """Rename the file to `target`, atomically."""
        self.path.replace(target)
        self._list.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the file and its list."""
        self.path.unlink(missing_ok=True)
        self._list.unlink(missing_ok=True)
