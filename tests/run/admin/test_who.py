"""`dss admin who`: who read and wrote something, and that commands of operators leave lines themselves."""

import getpass
import io
import json
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.config import ADMIN_EMAIL
from run.admin.audit_lines import FileLines, backwards
from shared.access.audit_log import AuditEntry, AuditFile
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.audit_lines import AuditLines
from tests.support.clouds import Clouds
from tests.support.command_line import Outcome, dss_here

WRITER = "writer@example.org"


@pytest.fixture(scope="module")
def file(api: Api, admin: Api, anyone: Api, clouds: Clouds) -> Version:
    """A file that a writer put, whose URL a stranger got, and an admin by a bundle."""
    file = put_file(api, clouds.stage("gcp", b"content"))
    anyone.get(f"/v1/files/{file.uuid}", replica="gcp")
    bundle = put_bundle(api, "gcp", [file.named("name")])
    admin.get(f"/v1/bundles/{bundle.uuid}", replica="gcp", presignedurls=True)
    return file


def who(stack: Mapping[str, str], *arguments: object) -> Outcome:
    return dss_here(stack, "admin", "who", *arguments)


def test_it_shows_who_read_and_wrote_a_file_the_newest_first(stack: dict[str, str], file: Version) -> None:
    outcome = who(stack, file.uuid)

    assert (outcome.code, outcome.err) == (0, "")
    head, *rows = [line.split() for line in outcome.out.splitlines()]
    assert head == ["time", "who", "from", "operation", "version", "decision", "urls", "until"]
    shown = [(row[1], row[2], row[3], row[5], row[6]) for row in rows]
    assert shown == [
        (ADMIN_EMAIL, "127.0.0.1", "bundles.get", "allowed", "1"),
        ("-", "127.0.0.1", "files.get", "allowed", "1"),
        (WRITER, "127.0.0.1", "files.put", "allowed", "-"),
    ]
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)


def test_it_shows_a_page_at_a_time_and_nothing_older_than_asked_for(
    stack: dict[str, str], file: Version
) -> None:
    pages = [who(stack, file.uuid.upper(), "--max", 1, "--json").json]
    while pages[-1]["older"]:
        pages.append(who(stack, file.uuid, "--max", 1, "--json", "--page", pages[-1]["older"]).json)
    lines = [line for page in pages for line in page["lines"]]
    put = datetime.fromisoformat(lines[2]["time"])
    since = who(stack, file.uuid, "--json", "--since", (put + timedelta(microseconds=1)).isoformat()).json
    recent = who(stack, file.uuid, "--json", "--since", "1d").json

    assert [line["operation"] for line in lines] == ["bundles.get", "files.get", "files.put"]
    assert all(len(page["lines"]) <= 1 for page in pages)
    assert [line["operation"] for line in since["lines"]] == ["bundles.get", "files.get"]
    assert recent["lines"] == lines
    assert recent["uuid"] == file.uuid


def test_what_nobody_touched_has_no_lines_and_wrong_arguments_are_named(stack: dict[str, str]) -> None:
    assert who(stack, new_uuid(), "--json").json["lines"] == []
    for arguments, words in (
        (("rubbish",), "'rubbish' is not a UUID"),
        ((new_uuid(), "--since", "once"), "--since: 'once'"),
        ((new_uuid(), "--page", "-1"), "--page: '-1'"),
    ):
        outcome = who(stack, *arguments)
        assert (outcome.code, words in outcome.err) == (1, True), outcome.err


def test_each_command_of_an_operator_leaves_a_line_before_it_begins(
    stack: dict[str, str], tmp_path: Path
) -> None:
    env = {**stack, "DSS_AUDIT_LOG": str(tmp_path / "audit.log")}
    uuid, replica = new_uuid(), f"no-{new_uuid()[:8]}"

    dss_here(env, "admin", "audit", "--replica", replica, "--repair")
    who(env, uuid, "--max", 5)
    dss_here(env, "admin", "runs", "show", uuid)

    audit, reading, run = AuditLines(env).all()
    for line in (audit, reading, run):
        assert (line.identity, line.issuer, line.address) == (getpass.getuser(), "os", socket.gethostname())
        assert line.decision == "allowed"
    assert (audit.operation, audit.uuid) == ("admin audit", "")
    assert audit.arguments == {"replicas": [replica], "repair": True}
    assert (reading.operation, reading.uuid, reading.arguments["at_most"]) == ("admin who", uuid, 5)
    assert (run.operation, run.kind, run.uuid) == ("admin runs show", "run", uuid)
    assert [line["operation"] for line in who(env, uuid, "--json").json["lines"]] == ["admin runs show"]


def test_a_command_that_cannot_be_logged_says_so_and_goes_on(stack: dict[str, str]) -> None:
    outcome = dss_here(
        {**stack, "DSS_AUDIT_LOG": "/dev/full"}, "admin", "replication", "--seconds", 0, "--json"
    )

    assert outcome.code == 0 and "replicas" in outcome.json
    assert "warning: this command is not in the audit log: " in outcome.err
    assert "No space left" in outcome.err


def test_a_line_that_is_cut_off_hides_no_other(tmp_path: Path) -> None:
    uuid, path = new_uuid(), tmp_path / "audit.log"
    log = AuditFile(path)
    entries = [
        AuditEntry(
            time=f"2026-01-0{day}T00:00:00.000000Z",
            operation="files.get",
            decision="allowed",
            uuid=uuid,
            request_id="0123456789",
        )
        for day in range(1, 4)
    ]
    log.append(entries[0])
    with path.open("a") as file:
        file.write(json.dumps(entries[1].as_json())[:-5] + "\n")
    log.append(entries[2])

    page = FileLines(path).about(uuid, since="", count=10, page="")

    assert page.lines == [entries[2], entries[0]]
    assert FileLines(tmp_path / "none").about(uuid, since="", count=10, page="").lines == ()


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"."))), st.integers(1, 9))
def test_lines_are_read_backwards_at_any_length(lines: list[bytes], block: int) -> None:
    content = b"".join(line + b"\n" for line in lines)

    found = list(backwards(io.BytesIO(content), len(content), block))

    assert [line for _, line in found if line] == [line for line in reversed(lines) if line]
    for start, line in found:
        assert content[start : start + len(line)] == line
        # A page that begins there has all that is older.
        assert [line for _, line in backwards(io.BytesIO(content), start, block) if line] == [
            older for at, older in found if at < start and older
        ]
