"""The audit log in Cloud Logging, by its REST API: operators read it, and their commands add to it.

The SDKs that the service needs have no client of Cloud Logging, and two requests need none.
"""

from collections.abc import Mapping
from typing import Any

import requests
from google.auth.exceptions import GoogleAuthError

from dss.errors import OperationFailed
from run.admin.audit_lines import READING, LinesPage
from shared.access.audit_log import LABEL, LABEL_VALUE, AuditEntry, message_of

URL = "https://logging.googleapis.com"
_LOG = "dss-audit"
# The fields of a line that name objects; terraform/audit_log.tf indexes them.
_NAMES = ("uuid", "uuids", "handed_out")
# Seconds for one request.
_TIMEOUT_SECONDS = 30
# Cloud Logging may answer a page without entries, because it has not looked through everything yet.
_MOST_REQUESTS = 20


class CloudLogging:
    """The lines of a project in Cloud Logging."""

    def __init__(self, session: requests.Session, project: str, *, bucket: str = "", url: str = URL) -> None:
        """Read from a log bucket, `projects/…/locations/…/buckets/…`, or without one from the project.

        The session adds the credentials of its requests.
        """
        self._session = session
        self._project = project
        self._source = f"{bucket}/views/_AllLogs" if bucket else f"projects/{project}"
        self._url = url

    def write(self, entry: AuditEntry) -> None:
        """Write a line. Raise OperationFailed."""
        log = f"projects/{self._project}/logs/{_LOG}"
        row = {
            "timestamp": entry.time,
            "severity": "NOTICE",
            "labels": {LABEL: LABEL_VALUE},
            "jsonPayload": {"message": message_of(entry), **entry.as_json()},
        }
        self._post("entries:write", {"logName": log, "resource": {"type": "global"}, "entries": [row]})

    def about(self, uuid: str, *, since: str, count: int, page: str) -> LinesPage:
        """Return a page of lines; see `AuditLines`."""
        found: list[AuditEntry] = []
        for _ in range(_MOST_REQUESTS):
            query = {
                "resourceNames": [self._source],
                "filter": filter_of(uuid, since),
                "orderBy": "timestamp desc",
                "pageSize": count - len(found),
                **({"pageToken": page} if page else {}),
            }
            answer = self._post("entries:list", query)
            found += map(_entry, answer.get("entries", ()))
            page = str(answer.get("nextPageToken", ""))
            if not page or len(found) >= count:
                break
        return LinesPage(lines=found, older=page)

    def _post(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._session.post(f"{self._url}/v2/{method}", json=body, timeout=_TIMEOUT_SECONDS)
            if answer.status_code >= 400:
                raise OperationFailed(f"Cloud Logging, {method}: {answer.status_code} {_reason(answer)}")
            parsed: dict[str, Any] = answer.json()
        except (requests.RequestException, GoogleAuthError) as error:
            raise OperationFailed(f"Cloud Logging, {method}: {error}") from error
        return parsed


def filter_of(uuid: str, since: str) -> str:
    """Return the filter, in the language of Cloud Logging, for the lines about a UUID since a time."""
    # A comparison with a repeated field holds if it does for one of its values.
    named = " OR ".join(f'jsonPayload.{field}="{uuid}"' for field in _NAMES)
    return " AND ".join(
        (
            f'labels.{LABEL}="{LABEL_VALUE}"',
            f'timestamp>="{since or "1970-01-01T00:00:00Z"}"',
            f"({named})",
            f'jsonPayload.operation!="{READING}"',
        )
    )


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    # Cloud Run makes `time` of a printed line the entry's timestamp.
    return AuditEntry.of({"time": row["timestamp"], **row["jsonPayload"]})


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason
