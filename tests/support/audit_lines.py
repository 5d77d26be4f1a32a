"""The audit log of a running system, as a test reads it."""

import json
from collections.abc import Mapping
from pathlib import Path

from shared.access.audit_log import AuditEntry
from tests.support.api import new_uuid


class AuditLines:
    """The lines of the file that DSS_AUDIT_LOG names in the environment of a system."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.path = Path(env["DSS_AUDIT_LOG"])

    def of_trace(self, trace: str) -> list[AuditEntry]:
        """Return the lines of the requests with this trace id."""
        return [entry for entry in self.all() if entry.trace_id == trace]

    def all(self) -> list[AuditEntry]:
        """Return all lines, the oldest first."""
        return [AuditEntry.of(json.loads(line)) for line in self.path.read_text().splitlines()]


def new_trace() -> tuple[str, dict[str, str]]:
    """Return a new trace id, and the headers of a request that belongs to it."""
    trace = new_uuid().replace("-", "")
    return trace, {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
