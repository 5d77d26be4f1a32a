"""Show who read and wrote something, by the audit log, for `dss admin who`."""

import re
from datetime import UTC, datetime, timedelta

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.commands_log import audit_lines
from run.admin.operator import operator_settings
from run.admin.report import table
from shared.access.audit_log import AuditEntry, utc_text
from shared.clock import SystemClock
from shared.identifiers import check_uuid

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"([0-9]{1,5})([mhd])")
_COLUMNS = ("time", "who", "from", "operation", "version", "decision", "urls", "until")


def run_who(context: Context, uuid: str, *, since: str | None, at_most: int, page: str) -> int:
    """Show a page of the lines about a file, bundle or collection, the newest first. Return 0."""
    with operator_settings() as settings:
        name, start = check_uuid(uuid), _moment(since) if since else ""
        found = audit_lines(settings).about(name, since=start, count=at_most, page=page)
    rows = [list(_COLUMNS), *(_row(line, name) for line in found.lines)]
    more = f"older lines: --page {found.older}" if found.older else ""
    text = "\n".join([*table(rows), *filter(None, [more])])
    result = {
        "uuid": name,
        "lines": [entry.as_json() for entry in found.lines],
        "older": found.older or None,
    }
    context.show(result, text)
    return 0


def _row(entry: AuditEntry, uuid: str) -> list[str]:
    return [
        entry.time,
        entry.identity or "-",
        entry.address or "-",
        entry.operation,
        " ".join(entry.versions_of(uuid)) or "-",
        entry.decision,
        f"{entry.urls:,}" if entry.urls else "-",
        entry.expires or "-",
    ]


def _moment(text: str) -> str:
    """Return a time that is given in ISO 8601, UTC unless it says otherwise, or as some time ago: 7d, 12h."""
    if ago := _AGO.fullmatch(text):
        return utc_text(SystemClock().now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"--since: {text[:80]!r} is neither a time (2026-01-12T09:30) nor 30m, 12h, 7d"
        ) from error
    return utc_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
