"""What an upload has done so far, on disk, so that the next run does only the rest.

The state is a file of JSON lines: which upload this is, then each step that was done, appended when it was
done; the last line about a file counts. A line torn by a kill or by a full disk does not count: that step is
repeated. So the state never says more than what was done. (One JSON document, rewritten for each file, would
cost the square of their number.)
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dss import environment
from dss.atomic_files import replacing
from dss.checksums import Checksums
from dss.errors import InvalidInput, NotRecorded
from dss.transfer.directory import Stamp
from dss.transfer.parallel import only_process

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """The file version that is made of a local file, and how far it got.

    `staged` is the URL of its staged object while there is one; `put` is true once the DSS has the file.
    """

    name: str
    uuid: str
    version: str
    stamp: Stamp
    checksums: Checksums
    staged: str | None = None
    put: bool = False


@dataclass(frozen=True, kw_only=True)
class BundleEntry:
    """The bundle version that the upload makes; `digest` is of its files, empty until its first PUT."""

    uuid: str
    version: str
    digest: str = ""
    done: bool = False


def default_path(directory: Path, url: str, replica: str) -> Path:
    """Return the default path of an upload's state, in the user's cache directory."""
    name = hashlib.sha256(f"{directory.resolve()}\n{url}\n{replica}".encode("utf-8", "surrogateescape"))
    return environment.cache_directory() / "uploads" / f"{name.hexdigest()[:32]}.jsonl"


def identity_of(directory: Path, url: str, replica: str) -> dict[str, str]:
    """Return what makes an upload another one: its directory, and where it goes."""
    return {"directory": str(directory), "url": url, "replica": replica}


class RecordedUpload:
    """What is recorded of one upload, as it was when its file was read; InvalidInput for another file."""

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self.path = path
        self.files: dict[str, FileEntry] = {}
        self.bundle: BundleEntry | None = None
        self.unreadable_lines = 0
        self._identity = {"format": _FORMAT, **identity}
        self._read()

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        if not content:
            return
        head, *lines = content.split(b"\n")[:-1] or [b""]
        self._check_head(head)
        # An empty line ends a torn one.
        for line in filter(None, lines):
            try:
                self._apply(json.loads(line))
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                self.unreadable_lines += 1

    def _check_head(self, line: bytes) -> None:
        try:
            upload = json.loads(line)["upload"]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise InvalidInput(
                f"{self.path} is not the state of an upload; remove it, or give another --state"
            ) from error
        if upload != self._identity:
            raise InvalidInput(
                f"{self.path} is the state of another upload, {upload}; remove it, or give another --state"
            )

    def _apply(self, record: dict[str, Any]) -> None:
        if "bundle" in record:
            self.bundle = BundleEntry(**record["bundle"])
        else:
            values = record["file"]
            parts = {"stamp": Stamp(**values["stamp"]), "checksums": Checksums(**values["checksums"])}
            entry = FileEntry(**{**values, **parts})
            self.files[entry.name] = entry


@contextlib.contextmanager
def _recording(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"{path}: cannot record what is done: {error.strerror or error}"
        raise NotRecorded(f"{why}; free some space there, or name another file with --state") from error


class UploadState(RecordedUpload):
    """The state of one upload; see `open_state`. Threads may record at once.

    Every method raises NotRecorded if the file can't be written.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        super().__init__(path, identity)
        self._lock = threading.Lock()
        self._torn = False
        self._rewrite()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _rewrite(self) -> None:
        records: list[dict[str, Any]] = [{"upload": self._identity}]
        if self.bundle:
            records.append({"bundle": dataclasses.asdict(self.bundle)})
        records += [{"file": dataclasses.asdict(entry)} for entry in self.files.values()]
        with _recording(self.path), replacing(self.path) as stream:
            stream.writelines(f"{json.dumps(record)}\n".encode() for record in records)

    def record_file(self, entry: FileEntry) -> FileEntry:
        """Record how far a file got, and return it."""
        self._append({"file": dataclasses.asdict(entry)})
        self.files[entry.name] = entry
        return entry

    def record_bundle(self, entry: BundleEntry) -> BundleEntry:
        """Record how far the bundle got, and return it."""
        self._append({"bundle": dataclasses.asdict(entry)})
        self.bundle = entry
        return entry

    def _append(self, record: dict[str, Any]) -> None:
        line = (json.dumps(record) + "\n").encode()
        with self._lock, _recording(self.path):
            # The rest of a torn line must not become part of this one.
            data = b"\n" + line if self._torn else line
            written = os.write(self._fd, data)
            self._torn = written != len(data)
            if self._torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


@contextlib.contextmanager
def open_state(path: Path, *, directory: Path, url: str, replica: str) -> Iterator[UploadState]:
    """Give the state of an upload, to this process alone.

    Raises Busy if another process has it, InvalidInput if the file is not the state of this upload, and
    NotRecorded if it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with only_process(path.with_name(path.name + ".lock"), f"the upload of {directory}"):
        state = UploadState(path, identity_of(directory, url, replica))
        try:
            yield state
        finally:
            state.close()
