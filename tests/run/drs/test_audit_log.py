"""Lines of the audit log about DRS: who was handed a signed URL, who read managed data, who was refused."""

from dataclasses import replace

import pytest

from local.api import api_process
from run.api.interfaces import Interfaces
from run.drs.document import DRS_PATH
from shared.bindings import change_binding
from shared.system import Dss
from tests.support.access_world import bind
from tests.support.api import Api, Version, new_uuid, put_bundle, put_collection, put_file
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


def managed(admin: Api, dss: Dss, clouds: Clouds, *readers: str) -> Version:
    """Return a new file for some readers only."""
    file = put_file(admin, clouds.stage("gcp", new_uuid().encode()))
    bind(dss, file.uuid, readers=frozenset(readers))
    return file


BULK = {
    "drs.post_objects": ("POST", "/objects", lambda ids: {"bulk_object_ids": ids}),
    "drs.post_accesses": (
        "POST",
        "/objects/access",
        lambda ids: {
            "bulk_object_access_ids": [
                {"bulk_object_id": one, "bulk_access_ids": ["https.gcp", "gs.gcp"]} for one in ids
            ]
        },
    ),
}


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_request_names_what_is_refused_and_the_managed_data_that_it_reads(
    api: Api, admin: Api, dss: Dss, clouds: Clouds, lines: AuditLines, file: Version, name: str
) -> None:
    read, refused = managed(admin, dss, clouds, "dss"), managed(admin, dss, clouds, "lab")
    method, path, body = BULK[name]
    ids = [refused.uuid, str(read), str(file), f"{new_uuid()}", "no id"]
    trace, headers = new_trace()

    api.request(method, DRS_PATH + path, json=body(ids), headers=headers)

    allowed, other = lines.of_trace(trace)
    assert (allowed.decision, allowed.uuids, allowed.versions) == ("allowed", (read.uuid,), (read.version,))
    assert (other.decision, other.uuids, other.urls) == ("forbidden", (refused.uuid,), 0)
    assert (other.operation, other.status) == (name, 200)


def test_what_is_refused_by_options_is_in_the_log_also_if_it_is_hidden(
    stack: dict[str, str], admin: Api, dss: Dss, clouds: Clouds, lines: AuditLines
) -> None:
    hidden = managed(admin, dss, clouds, "lab")
    body = {"bulk_object_ids": [str(hidden), f"{new_uuid()}"]}

    with api_process(stack, {"DSS_HIDE_MANAGED": "true"}) as process:
        for path, names in (("/objects", (hidden.uuid,)), (f"/objects/{hidden}", ())):
            trace, headers = new_trace()

            Api(process.url).request(
                "OPTIONS", DRS_PATH + path, json=body if path == "/objects" else None, headers=headers
            )

            [line] = lines.of_trace(trace)
            assert (line.decision, line.uuids) == ("hidden", names)
            assert line.is_about(hidden.uuid)


def test_expand_names_the_managed_bundles_of_which_it_lists_the_files(
    api: Api, dss: Dss, lines: AuditLines, file: Version
) -> None:
    bundles = [put_bundle(api, "gcp", [file.named("name")]) for _ in range(2)]
    bind(dss, bundles[0].uuid, readers=frozenset(("dss",)))
    collection = put_collection(api, "gcp", [bundle.linked("bundle") for bundle in bundles])
    trace, headers = new_trace()

    api.get(f"{DRS_PATH}/objects/{collection}", expand=True, headers=headers)

    [line] = lines.of_trace(trace)
    assert (line.decision, line.uuid, line.uuids) == ("allowed", collection.uuid, (bundles[0].uuid,))
    assert line.versions == (bundles[0].version,)
