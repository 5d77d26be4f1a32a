"""Lines of the audit log about DRS: who was handed a signed URL, who read managed data, who was refused."""

from dataclasses import replace

import pytest

from run.api.interfaces import Interfaces
from run.drs.document import DRS_PATH
from shared.bindings import change_binding
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, put_file
from tests.support.audit_lines import AuditLines, new_trace
from tests.support.clouds import Clouds

PAIRS = {"bulk_object_access_ids": [{"bulk_object_id": "FILE", "bulk_access_ids": ["https.gcp", "gs.gcp"]}]}
IDS = {"bulk_object_ids": ["FILE"]}
# How to call each operation, whether it names the file, and how many signed URLs it hands out.
ROWS = {
    "drs.service_info": ("GET", "/service-info", None, 0),
    "drs.get_object": ("GET", "/objects/FILE", None, 0),
    "drs.post_object": ("POST", "/objects/FILE", {}, 0),
    "drs.options_object": ("OPTIONS", "/objects/FILE", None, 0),
    "drs.post_objects": ("POST", "/objects", IDS, 0),
    "drs.options_objects": ("OPTIONS", "/objects", IDS, 0),
    "drs.get_access": ("GET", "/objects/FILE/access/https.gcp", None, 1),
    "drs.post_access": ("POST", "/objects/FILE/access/gs.gcp", {}, 1),
    "drs.post_accesses": ("POST", "/objects/access", PAIRS, 2),
}


@pytest.fixture(scope="module")
def file(api: Api, clouds: Clouds) -> Version:
    """A file on gcp."""
    return put_file(api, clouds.stage("gcp", b"content"))


@pytest.fixture(scope="module")
def lines(stack: dict[str, str]) -> AuditLines:
    return AuditLines(stack)


def named(value: object, file: Version) -> object:
    """Return a body with the id of the file."""
    if isinstance(value, dict):
        return {name: named(member, file) for name, member in value.items()}
    if isinstance(value, list):
        return [named(member, file) for member in value]
    return str(file) if value == "FILE" else value


def test_every_operation_has_a_row_here() -> None:
    [drs] = [interface for interface in Interfaces.load() if interface.area == "drs"]
    assert set(ROWS) == {operation.operation_id for operation in drs.operations}


@pytest.mark.parametrize("name", ROWS)
def test_signed_urls_leave_a_line_and_nothing_else_does(
    api: Api, file: Version, lines: AuditLines, name: str
) -> None:
    method, path, body, urls = ROWS[name]
    trace, headers = new_trace()

    where = DRS_PATH + path.replace("FILE", str(file))
    answer = api.request(method, where, json=named(body, file), headers=headers)

    assert answer.status_code == 200, answer.text
    found = lines.of_trace(trace)
    if not urls:
        assert found == []
        return
    [line] = found
    assert (line.operation, line.kind, line.decision, line.urls) == (name, "object", "allowed", urls)
    assert line.handed_out == (file.uuid,)
    assert (line.uuid, line.version) == (("", "") if body == PAIRS else (file.uuid, file.version))
    assert line.identity == "writer@example.org"


def test_reads_of_managed_data_and_refusals_leave_lines(
    anyone: Api, admin: Api, dss: Dss, clouds: Clouds, lines: AuditLines
) -> None:
    file = put_file(admin, clouds.stage("gcp", new_uuid().encode()))
    change_binding(
        dss,
        file.uuid,
        "operator@example.org",
        lambda before: replace(before, readers=frozenset(("lab",))),
    )
    for client, decision in ((anyone, "unauthorized"), (admin, "allowed")):
        trace, headers = new_trace()

        client.get(f"{DRS_PATH}/objects/{file}", headers=headers)

        [line] = lines.of_trace(trace)
        assert (line.operation, line.decision) == ("drs.get_object", decision)
        assert (line.uuid, line.version) == (file.uuid, file.version)
