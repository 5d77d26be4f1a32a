"""What an upload or download did, for people and for `--json`."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from dss.errors import ClientError


@dataclass(frozen=True)
class Failure:
    """A file that could not be moved, and why."""

    name: str
    why: str

    @classmethod
    def of(cls, name: str, error: Exception) -> "Failure":
        """Return the failure of a file, with the error as its reason."""
        return cls(name, str(error) if isinstance(error, ClientError) else f"{type(error).__name__}: {error}")


@dataclass(kw_only=True)
class Report:
    """A bundle and how many of its files were moved. Sizes in bytes; threads may count at once."""

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

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: all but the lock, and with the clock stopped."""
        return {**self.__dict__, "_lock": None, "_seconds": self.seconds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def count(self, **counters: int) -> None:
        """Add to this report's counters."""
        with self._lock:
            for name, number in counters.items():
                setattr(self, name, getattr(self, name) + number)

    def fail(self, name: str, error: Exception) -> None:
        """Add a failure."""
        with self._lock:
            self.failed.append(Failure.of(name, error))

    def close(self) -> None:
        """Stop the clock, and sort the failures."""
        self._seconds = time.monotonic() - self._began
        self.failed.sort(key=lambda failure: failure.name)

    @property
    def seconds(self) -> float:
        """The seconds that it took, or has taken so far."""
        return time.monotonic() - self._began if self._seconds is None else self._seconds

    @property
    def extent(self) -> str:
        """What there was to do, as `3 files`."""
        return f"{self.files} files"

    @property
    def ok(self) -> bool:
        """Whether everything was done."""
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
    """What this run of an upload did: objects `staged`, files `put`; `already_there` if nothing was left.

    After a dry run it is what an upload would do: `uuid` and `version` are empty if it would make them up.
    """

    staged: int = 0
    put: int = 0
    already_there: bool = False
    dry_run: bool = False
    state: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        own = {"staged": self.staged, "put": self.put, "already_there": self.already_there}
        return {**super().as_json(), **own, "dry_run": self.dry_run, "state": self.state}


@dataclass(kw_only=True)
class DownloadReport(Report):
    """What this run of a download did: files `downloaded`, and `skipped` because they were there and right.

    `received` counts the bytes that came over the network. `placed` has the path of each file whose name the
    file system can't hold.
    """

    downloaded: int = 0
    skipped: int = 0
    received: int = 0
    directory: str = ""
    placed: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        own = {"downloaded": self.downloaded, "skipped": self.skipped, "received": self.received}
        return {**super().as_json(), **own, "directory": self.directory, "placed": self.placed}


@dataclass(kw_only=True)
class ManifestReport(DownloadReport):
    """What a download of the files of a manifest did; `form` is what the manifest is.

    `table` is the path of a table of the files that are there now, with the path of each; empty without one.
    """

    manifest: str = ""
    form: str = ""
    table: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        own = {"manifest": self.manifest, "form": self.form, "table": self.table}
        return {**super().as_json(), **own}
