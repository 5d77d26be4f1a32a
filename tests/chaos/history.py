"""What clients asked and were answered, in one order of time."""

import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

# Outcomes: it was done; it was refused, and nothing was done; it is not known.
OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"
WRITE, READ, DELETE = "write", "read", "delete"
# What a read of something that is not there returns.
ABSENT = ""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One request: `start` and `end` in seconds by the monotonic clock; `value` as written or read."""

    action: str
    register: str
    value: str
    start: float
    end: float
    outcome: str
    status: int


class History:
    """All operations; safe to use from several threads. Each is a line of a file, too."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w")
        self._lock = threading.Lock()
        self.operations: list[Operation] = []

    def add(self, operation: Operation) -> None:
        """Add an operation that has ended."""
        with self._lock:
            self.operations.append(operation)
            self._file.write(json.dumps(asdict(operation)) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def by_register(self) -> dict[str, list[Operation]]:
        """Return the operations of each register, in the order in which they ended."""
        found: dict[str, list[Operation]] = {}
        for each in self.operations:
            found.setdefault(each.register, []).append(each)
        return found


def clock() -> float:
    """Return the time of operations, in seconds."""
    return time.monotonic()
