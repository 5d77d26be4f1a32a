"""What a command did, for people and for `--json`."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from dss.errors import CliError


@dataclass(frozen=True)
class Failure:
    """A file that could not be moved, and why."""

    name: str
    why: str

    @classmethod
    def of(cls, name: str, error: Exception) -> "Failure":
        """Return the failure that an error is for the file of that name."""
        return cls(name, str(error) if isinstance(error, CliError) else f"{type(error).__name__}: {error}")


@dataclass(kw_only=True)
class Report:
    """What became of a bundle and its files; counted by threads. Sizes in bytes, `seconds` by the wall."""

    uuid: str = ""
    version: str = ""
    replica: str = ""
    files: int = 0
    bytes: int = 0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._seconds: float | None = None

    def count(self, **counters: int) -> None:
        """Add to counters of this report."""
        with self._lock:
            for name, number in counters.items():
                setattr(self, name, getattr(self, name) + number)

    def fail(self, name: str, error: Exception) -> None:
        """Add a failure."""
        with self._lock:
            self.failed.append(Failure.of(name, error))

    def close(self) -> None:
        """Stop the watch, and put failures in order."""
        self._seconds = time.monotonic() - self._began
        self.failed.sort(key=lambda failure: failure.name)

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return time.monotonic() - self._began if self._seconds is None else self._seconds

    @property
    def ok(self) -> bool:
        """Tell whether everything was done."""
        return not self.failed

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "uuid": self.uuid,
            "version": self.version,
            "replica": self.replica,
            "files": self.files,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "failed": [{"name": failure.name, "why": failure.why} for failure in self.failed],
            "warnings": self.warnings,
        }


@dataclass(kw_only=True)
class UploadReport(Report):
    """What an upload did in this run: objects `staged`, files `put`, whether all was there before."""

    staged: int = 0
    put: int = 0
    already_there: bool = False
    state: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        own = {"staged": self.staged, "put": self.put, "already_there": self.already_there}
        return {**super().as_json(), **own, "state": self.state}


@dataclass(kw_only=True)
class DownloadReport(Report):
    """What a download did in this run: files `downloaded`, files `skipped` because they are there, verified.

    `received` counts the bytes that came over the wire.
    """

    downloaded: int = 0
    skipped: int = 0
    received: int = 0
    directory: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        own = {"downloaded": self.downloaded, "skipped": self.skipped, "received": self.received}
        return {**super().as_json(), **own, "directory": self.directory}
