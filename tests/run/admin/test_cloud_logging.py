"""The audit log in Cloud Logging: what is asked of its REST API, and what becomes of its answers."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import click
import pytest
import requests

from dss.errors import OperationFailed
from run.admin.cloud_logging import CloudLogging
from run.admin.commands_log import entry_of
from run.admin.identity import Operator, email_of
from shared.access.audit_log import AuditEntry
from tests.support.api import new_uuid
from tests.support.server_threads import in_thread

UUID = new_uuid()
BUCKET = "projects/p/locations/us-east1/buckets/dss-audit"


class LoggingServer(ThreadingHTTPServer):
    """Records requests, and gives the answers that a test has prepared, in order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, Any]] = []
        self.answers: list[tuple[int, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: LoggingServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.path, json.loads(body) if body else None))
        status, answer = self.server.answers.pop(0)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[LoggingServer]:
    server = LoggingServer()
    with in_thread(server):
        yield server


def logging(server: LoggingServer, bucket: str = BUCKET) -> CloudLogging:
    return CloudLogging(requests.Session(), "p", bucket=bucket, url=server.url)


def test_a_command_writes_an_entry_with_the_label_by_which_it_is_routed(server: LoggingServer) -> None:
    server.answers = [(200, {})]
    entry = AuditEntry(
        time="2026-01-12T09:30:00.000000Z",
        operation="admin access add",
        decision="allowed",
        identity="ada@example.org",
        uuid=UUID,
        arguments={"group": "lab"},
    )

    logging(server).write(entry)

    [(path, body)] = server.requests
    [row] = body["entries"]
    assert (path, body["logName"]) == ("/v2/entries:write", "projects/p/logs/dss-audit")
    assert (row["labels"], row["timestamp"]) == ({"dss_log": "audit"}, entry.time)
    assert AuditEntry.of(row["jsonPayload"]) == entry


def test_the_lines_about_a_uuid_are_asked_for_newest_first_in_the_bucket_that_keeps_them(
    server: LoggingServer,
) -> None:
    # As Cloud Run stores a printed line: its time is the entry's. The first page is empty: Cloud Logging has
    # not looked far enough.
    payload = {
        "operation": "files.get",
        "decision": "allowed",
        "handed_out": [UUID],
        "status": 302,
        "message": "…",
    }
    entry = {"timestamp": "2026-01-12T09:30:00.000001Z", "jsonPayload": payload}
    server.answers = [(200, {"nextPageToken": "a"}), (200, {"entries": [entry], "nextPageToken": "b"})]

    page = logging(server).about(UUID, since="2026-01-01T00:00:00.000000Z", count=1, page="")

    [line] = page.lines
    assert (line.time, line.handed_out, page.older) == (entry["timestamp"], (UUID,), "b")
    (path, first), (_, second) = server.requests
    assert (path, first["resourceNames"]) == ("/v2/entries:list", [f"{BUCKET}/views/_AllLogs"])
    assert (first["orderBy"], first["pageSize"]) == ("timestamp desc", 1)
    assert ("pageToken" not in first, second["pageToken"]) == (True, "a")
    assert (
        first["filter"]
        == second["filter"]
        == " AND ".join(
            (
                'labels.dss_log="audit"',
                'timestamp>="2026-01-01T00:00:00.000000Z"',
                f'(jsonPayload.uuid="{UUID}" OR jsonPayload.uuids="{UUID}" OR '
                f'jsonPayload.handed_out="{UUID}")',
                'jsonPayload.operation!="admin who"',
            )
        )
    )


def test_without_a_bucket_the_project_is_read_and_a_search_without_end_ends(server: LoggingServer) -> None:
    server.answers = [(200, {"nextPageToken": str(number)}) for number in range(100)]

    page = logging(server, bucket="").about(UUID, since="", count=10, page="x")

    assert (page.lines, page.older) == ([], str(len(server.requests) - 1))
    assert server.requests[0][1]["resourceNames"] == ["projects/p"]
    assert server.requests[0][1]["pageToken"] == "x"
    assert len(server.requests) <= 20


def test_a_refusal_of_cloud_logging_is_an_error_with_its_reason(server: LoggingServer) -> None:
    server.answers = [(403, {"error": {"message": "Permission denied for views.access"}})]

    with pytest.raises(OperationFailed, match="403 Permission denied for views"):
        logging(server).about(UUID, since="", count=1, page="")
    server.shutdown()
    server.server_close()
    with pytest.raises(OperationFailed, match="Cloud Logging, entries:list"):
        logging(server).about(UUID, since="", count=1, page="")


class Account:
    """Google credentials, as far as they tell whose they are."""

    def __init__(self, **known: str) -> None:
        vars(self).update(known)


def test_an_operator_is_the_owner_of_the_google_credentials(server: LoggingServer) -> None:
    url, session = f"{server.url}/userinfo", requests.Session()
    server.answers = [(200, {"email": "ada@example.org"}), (200, {"email": "vm@p"}), (401, {})]

    assert email_of(session, Account(service_account_email="a@p.iam"), url) == "a@p.iam"
    assert email_of(session, Account(account="bob@example.org"), url) == "bob@example.org"
    assert email_of(session, Account(account=""), url) == "ada@example.org"
    assert email_of(session, Account(service_account_email="default"), url) == "vm@p"
    assert email_of(session, Account(), url) == ""


def test_a_line_has_the_object_among_the_arguments_that_were_given() -> None:
    entries: list[AuditEntry] = []

    @click.group()
    def program() -> None:
        pass

    @program.group()
    def admin() -> None:
        pass

    @admin.command()
    @click.argument("what")
    @click.argument("group")
    @click.option("--reason", default="none")
    @click.option("--confirmation")
    @click.pass_context
    def access(context: click.Context, **_: str) -> None:
        entries.append(entry_of(context, Operator(name="ada@example.org", issuer="os")))

    version = "2026-01-12T093000.000000Z"
    program(
        ["admin", "access", f"{UUID}.{version}", "lab", "--confirmation", new_uuid()], standalone_mode=False
    )
    program(["admin", "access", "lab", UUID, "--reason", "consent"], standalone_mode=False)

    first, second = entries
    assert (first.operation, first.uuid, first.version) == ("admin access", UUID, version)
    assert "reason" not in first.arguments
    assert (second.uuid, second.version) == (UUID, "")
    assert second.arguments == {"what": "lab", "group": UUID, "reason": "consent"}
