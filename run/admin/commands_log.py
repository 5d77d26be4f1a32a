"""The audit log of `dss admin`: each command leaves a line before it begins, with the operator's identity."""

import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import requests
from click.core import ParameterSource

from run.admin.audit_lines import AuditLines, FileLines
from run.admin.cloud_logging import CloudLogging
from run.admin.identity import Operator, google_session, operator_of
from shared.access.audit_log import ALLOWED, AuditEntry, AuditFile, utc_text
from shared.clock import SystemClock
from shared.config import Settings
from shared.errors import IllegalArguments
from shared.identifiers import Fqid, check_uuid


def log_command(settings: Settings) -> None:
    """Write a line about the command that runs. If that fails, warn on stderr: the command goes on."""
    context = click.get_current_context(silent=True)
    if context is None:
        return
    try:
        entry = entry_of(context, operator_of(settings))
        if settings.audit_log:
            AuditFile(Path(settings.audit_log)).append(entry)
        else:
            cloud_logging(settings, google_session()).write(entry)
    except Exception as error:  # noqa: BLE001 # an outage of logs must not stop a repair
        print(f"dss: warning: this command is not in the audit log: {error}", file=sys.stderr)


def audit_lines(settings: Settings) -> AuditLines:
    """Return the log to read: the file of DSS_AUDIT_LOG, or else Cloud Logging. Raise GoogleAuthError."""
    if settings.audit_log:
        return FileLines(Path(settings.audit_log))
    return cloud_logging(settings, google_session())


def cloud_logging(settings: Settings, session: requests.Session) -> CloudLogging:
    """Return Cloud Logging, by the settings."""
    return CloudLogging(session, settings.project, bucket=settings.audit_log_bucket)


def entry_of(context: click.Context, operator: Operator) -> AuditEntry:
    """Return the line of a command: its name, the options that were given, and the object among them."""
    given = {
        name: _as_json(value)
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    kind, fqid = next(_objects(given), ("", ("", "")))
    return AuditEntry(
        time=utc_text(SystemClock().now()),
        operation=" ".join(_names(context)),
        decision=ALLOWED,
        identity=operator.name,
        issuer=operator.issuer,
        address=socket.gethostname(),
        kind=kind,
        uuid=fqid[0],
        version=fqid[1],
        arguments=given,
    )


def _names(context: click.Context) -> list[str]:
    """Return the names of a command and its groups, without the program's."""
    names: list[str] = []
    while context.parent:
        names.insert(0, context.info_name or "")
        context = context.parent
    return names


def _objects(given: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the UUIDs, with or without version, among the arguments of a command."""
    for name, value in given.items():
        for text in value if isinstance(value, list) else [value]:
            if name != "confirmation" and (parsed := _parsed(str(text))):
                yield ("run" if name == "run" else ""), parsed


def _parsed(text: str) -> tuple[str, str] | None:
    try:
        if "." in text:
            fqid = Fqid.parse(text)
            return fqid.uuid, fqid.version
        return check_uuid(text), ""
    except IllegalArguments:
        return None


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_as_json(one) for one in value]
    return value if isinstance(value, bool | int | float | str) else str(value)
