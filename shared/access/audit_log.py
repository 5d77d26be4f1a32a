"""The audit log: who wrote, who was refused, who was handed a signed URL, and what operators did.

It has nothing to do with the audit of `shared/maintenance/audit.py`, which compares buckets with the catalog.
A line never holds a token, a URL, or text that a caller made up.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import structlog

from shared.config import Settings
from shared.logs import LABELS
from shared.tracing import trace_fields

# The label by which terraform/audit_log.tf routes the lines, and `dss admin who` finds them.
LABEL = "dss_log"
LABEL_VALUE = "audit"

ALLOWED = "allowed"
# The fields of an entry that are lists in JSON.
_LISTS = ("uuids", "versions", "handed_out")

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One line: who did what to what, and whether they were allowed to.

    `time` is UTC in ISO 8601. `identity` is the e-mail address that a valid token proves, empty for a
    stranger, and `issuer` who vouched for it; `address` is the caller's. `operation` is one of the contract,
    as `files.get`, or a command, as `admin access add`. `kind`, `uuid` and `version` name the object, as far
    as the request has one; `uuids` and `versions`, in one order, the objects of a request about many.
    `decision` is `allowed`, or the refusal. `urls` counts the signed URLs of the
    answer, which expire at `expires`; `handed_out` has the UUIDs of their files, or the ids of their
    journals. `requests` is how many refused ones a line stands for, if not for one of its own. `arguments`
    are those of a command.
    """

    time: str
    operation: str
    decision: str
    identity: str = ""
    issuer: str = ""
    address: str = ""
    kind: str = ""
    uuid: str = ""
    version: str = ""
    status: int = 0
    requests: int = 0
    uuids: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    urls: int = 0
    expires: str = ""
    handed_out: tuple[str, ...] = ()
    request_id: str = ""
    trace_id: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def is_about(self, uuid: str) -> bool:
        """Whether an object has this UUID, or a URL of this file was handed out."""
        return uuid == self.uuid or uuid in self.uuids or uuid in self.handed_out

    def versions_of(self, uuid: str) -> Sequence[str]:
        """Return the versions of a UUID that the line is about; none if it names no version."""
        if uuid == self.uuid:
            return [self.version] if self.version else []
        return [version for name, version in zip(self.uuids, self.versions, strict=False) if name == uuid]

    def as_json(self) -> dict[str, Any]:
        """Return the fields that have a value."""
        return {row.name: value for row in fields(self) if (value := getattr(self, row.name))}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the entry of a line, without fields of other releases. Raise ValueError if it is none."""
        known = {one.name: row[one.name] for one in fields(cls) if one.name in row}
        try:
            return cls(**{**known, **{name: tuple(known.get(name, ())) for name in _LISTS}})
        except TypeError as error:
            raise ValueError(f"not a line of the audit log: {error}") from error


def utc_text(moment: datetime) -> str:
    """Return a moment in UTC as `2026-01-12T09:30:00.000000Z`, which sorts in order of time."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


class AuditLog:
    """Where lines are written to, at once: a request is answered after its line is there."""

    def __init__(self, write: Callable[[AuditEntry], None]) -> None:
        self._write = write

    @classmethod
    def of(cls, settings: Settings) -> "AuditLog":
        """Return the log of a service: the file of DSS_AUDIT_LOG, or else standard output."""
        if settings.audit_log:
            return cls(AuditFile(Path(settings.audit_log)).append)
        return cls(StandardOutput(settings.project).print)

    def write(self, make: Callable[[], AuditEntry]) -> None:
        """Make a line and write it. It raises nothing: what fails is an error in the ordinary log."""
        entry: AuditEntry | None = None
        try:
            entry = make()
            self._write(entry)
        except Exception as error:  # noqa: BLE001 # no request fails because its line does
            line = entry.as_json() if entry else None
            _log.error("audit line not written", error=type(error).__name__, reason=str(error), line=line)


class AuditFile:
    """A file with a line of JSON for each entry, to which several processes append."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: AuditEntry) -> None:
        """Append a line in one piece; the file is made if it isn't there. Raise OSError."""
        line = json.dumps(entry.as_json()).encode() + b"\n"
        # Opened for each line: so the file may be rotated at any time.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(file, line) != len(line):
                raise OSError(f"{self._path}: the disk is full; the line is cut off")
        finally:
            os.close(file)


class StandardOutput:
    """Standard output, where Cloud Run takes each line of JSON for an entry of Cloud Logging."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._lock = threading.Lock()

    def print(self, entry: AuditEntry) -> None:
        """Print a line in one piece. Raise OSError."""
        line = json.dumps({**cloud_fields(entry, self._project), **entry.as_json()})
        with self._lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def message_of(entry: AuditEntry) -> str:
    """Return what Cloud Logging shows of an entry in a list."""
    return " ".join(filter(None, ("audit:", entry.operation, entry.kind, entry.uuid, entry.decision)))


def cloud_fields(entry: AuditEntry, project: str) -> dict[str, Any]:
    """Return the fields beside those of the entry by which Cloud Logging finds and routes a line."""
    return {
        "message": message_of(entry),
        "severity": "NOTICE",
        LABELS: {LABEL: LABEL_VALUE},
        **trace_fields(entry.trace_id, project),
    }
