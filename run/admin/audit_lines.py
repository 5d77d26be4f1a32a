"""Where operators read the audit log: a page of the lines about a UUID, the newest first."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from dss.errors import InvalidInput
from shared.access.audit_log import AuditEntry

# Bytes that are read at once.
_BLOCK = 64 * 1024
# The command that reads the log also leaves lines in it; nobody asks for those.
READING = "admin who"


@dataclass(frozen=True, kw_only=True)
class LinesPage:
    """Some lines, and where the page of older ones begins; empty if there are none."""

    lines: Sequence[AuditEntry]
    older: str = ""


class AuditLines(Protocol):
    """What `dss admin who` reads."""

    def about(self, uuid: str, *, since: str, count: int, page: str) -> LinesPage:
        """Return at most `count` lines about a UUID that are not older than `since`, the newest first.

        `page` is `older` of the page before, or empty. Raise InvalidInput for any other, and OperationFailed
        if the log cannot be read.
        """
        ...


class FileLines:
    """The lines of the file that DSS_AUDIT_LOG names; read from its end, a block at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def about(self, uuid: str, *, since: str, count: int, page: str) -> LinesPage:
        """Return a page of lines; a file that does not exist has none."""
        if not self._path.exists():
            return LinesPage(lines=())
        found: list[AuditEntry] = []
        with self._path.open("rb") as file:
            for start, line in backwards(file, self._end(file, page)):
                # Most lines are about something else, and need not be parsed.
                entry = _entry(line) if uuid.encode() in line else None
                if entry is None or not entry.is_about(uuid) or entry.operation == READING:
                    continue
                if entry.time < since:
                    break
                found.append(entry)
                if len(found) == count:
                    return LinesPage(lines=found, older=str(start) if start else "")
        return LinesPage(lines=found)

    def _end(self, file: BinaryIO, page: str) -> int:
        size = file.seek(0, 2)
        if not page:
            return size
        if not (page.isascii() and page.isdigit() and int(page) <= size):
            raise InvalidInput(f"--page: {page[:80]!r} is not a page of this log")
        return int(page)


def backwards(file: BinaryIO, end: int, block: int = _BLOCK) -> Iterator[tuple[int, bytes]]:
    """Yield the lines before an offset, the last one first, each with the offset at which it begins."""
    position, rest = end, b""
    while position > 0:
        size = min(block, position)
        position -= size
        file.seek(position)
        first, *lines = (file.read(size) + rest).split(b"\n")
        start = position + size + len(rest) + 1
        for line in reversed(lines):
            start -= len(line) + 1
            yield start, line
        rest = first
    yield 0, rest


def _entry(line: bytes) -> AuditEntry | None:
    """Return the entry of a line; None if it is cut off, as by a full disk."""
    try:
        return AuditEntry.of(json.loads(line))
    except ValueError:
        return None
