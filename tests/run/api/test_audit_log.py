"""The audit log: one line for each write, refusal and handed-out URL, and never a secret in it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from local.api import api_process
from local.config import ADMIN_EMAIL
from local.issuer.client import request_token
from run.api.audit_log import Noted
from run.api.contract import Contract
from run.api.lookup_limit import MOST_OF_CLIENT
from shared.access import PUBLIC, Action, Decision, Resource, Verdict
from shared.access.audit_log import AuditEntry
from shared.bindings import change_binding
from shared.events.publishing import publish_event
from shared.identifiers import Fqid
from shared.messages import ObjectEvent
from shared.system import Dss
from tests.run.api.test_access import bind
from tests.support.api import Api, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.audit_lines import AuditLines, new_trace
from tests.support.audit_rows import ROWS, SUBSCRIPTION, World, bundle_urls, new_item
from tests.support.clouds import Clouds
from tests.support.dss import open_dss

OPERATIONS = {operation.operation_id: operation for operation in Contract.load().operations}


class Nobody:
    """A publisher without topics: nobody subscribes."""

    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        pass


@pytest.fixture(scope="module")
def world(stack: dict[str, str], admin: Api, clouds: Clouds) -> World:
    file = put_file(admin, clouds.stage("gcp", b"content"))
    bundle = put_bundle(admin, "gcp", [file.named("one"), file.named("two")])
    with open_dss(stack) as dss:
        event = ObjectEvent(replica="gcp", bucket=clouds.main["gcp"], key=f"bundles/{bundle}")
        publish_event(replace(dss, publisher=Nobody()), event, lambda _: None)
    subscription = admin.put("/v1/subscriptions", replica="gcp", json=SUBSCRIPTION).json()["uuid"]
    return World(
        admin=admin,
        clouds=clouds,
        file=file,
        bundle=bundle,
        collection=put_collection(admin, "gcp", []),
        subscription=subscription,
    )


@pytest.fixture(scope="module")
def lines(stack: dict[str, str]) -> AuditLines:
    return AuditLines(stack)


def test_every_operation_has_a_row_here() -> None:
    assert set(ROWS) == set(OPERATIONS)


@pytest.mark.parametrize("name", ROWS)
def test_each_operation_leaves_the_line_that_is_due(
    world: World, lines: AuditLines, stack: dict[str, str], name: str
) -> None:
    row, (trace, headers) = ROWS[name], new_trace()

    answer, uuid = row.ask(world, headers)

    assert answer.status_code in row.statuses, answer.text
    found = lines.of_trace(trace)
    if not row.kind:
        assert found == []
        return
    [line] = found
    assert (line.operation, line.kind, line.uuid, line.urls) == (name, row.kind, uuid, row.urls)
    assert (line.decision, line.status) == (row.decision, answer.status_code)
    assert (line.identity, line.issuer) == (ADMIN_EMAIL, stack["OIDC_ISSUER"])
    assert line.address == "127.0.0.1"
    assert line.request_id == answer.headers["X-Request-Id"] == trace
    assert bool(line.expires) == bool(row.urls)


WRITERS_ONLY = [name for name, operation in OPERATIONS.items() if operation.needs is Action.CONTRIBUTE]


@pytest.mark.parametrize("name", WRITERS_ONLY)
def test_a_refused_caller_leaves_a_line(
    anyone: Api, lines: AuditLines, stack: dict[str, str], name: str
) -> None:
    uuid, operation = new_uuid(), OPERATIONS[name]
    path = operation.rule.replace("<uuid>", uuid)
    in_query = {"uuid": uuid} if name == "collections.put" else {}
    callers = {"": (401, "unauthorized"), stack["DSS_TOKEN_OTHER_GROUP"]: (403, "forbidden")}
    for token, (status, decision) in callers.items():
        trace, headers = new_trace()

        answer = anyone.signed_in(token).request(operation.method, path, headers=headers, **in_query)

        assert answer.status_code == status
        [line] = lines.of_trace(trace)
        assert (line.operation, line.decision, line.address) == (name, decision, "127.0.0.1")
        assert line.identity == ("reader@example.org" if token else "")
        assert line.uuid == (uuid if "<uuid>" in operation.rule or in_query else "")


def test_a_line_names_all_files_that_were_written_and_another_those_refused(
    world: World, lines: AuditLines, api: Api, dss: Dss
) -> None:
    owned = put_file(world.admin, world.clouds.stage("gcp", b"content"))
    change_binding(dss, owned.uuid, "operator", lambda before: replace(before, owner_group=new_uuid()))
    written = [new_item(new_uuid()) for _ in range(2)]
    refused, wrong = new_item(owned.uuid), {**new_item(new_uuid()), "sha256": "0" * 64}
    trace, headers = new_trace()
    body = {"files": [written[0], refused, wrong, written[1]]}

    answer = api.post("/v1/files/batch", replica="gcp", headers=headers, json=body)

    assert [row["status"] for row in answer.json()["files"]] == [201, 403, 422, 201]
    allowed, forbidden = lines.of_trace(trace)
    assert (allowed.decision, forbidden.decision) == ("allowed", "forbidden")
    assert allowed.uuids == tuple(item["uuid"] for item in written)
    assert allowed.versions == tuple(item["version"] for item in written)
    assert (forbidden.uuids, forbidden.versions) == ((owned.uuid,), (refused["version"],))
    assert allowed.is_about(written[1]["uuid"])
    assert allowed.versions_of(written[1]["uuid"]) == [written[1]["version"]]
    assert not allowed.is_about(owned.uuid)


def test_a_line_names_the_files_whose_urls_were_handed_out_and_the_version(
    world: World, lines: AuditLines
) -> None:
    trace, headers = new_trace()
    bundle_urls(world, headers)

    [line] = lines.of_trace(trace)

    # One file under two names: two URLs.
    assert (line.urls, line.handed_out) == (2, (world.file.uuid,))
    assert line.version == world.bundle.version
    assert line.time < line.expires


def test_a_caller_of_an_open_operation_is_known_by_a_valid_token_only(
    world: World, anyone: Api, lines: AuditLines, stack: dict[str, str]
) -> None:
    for token, identity in ((None, ""), ("no.valid.token", ""), (stack["DSS_TOKEN"], "writer@example.org")):
        trace, headers = new_trace()

        answer = anyone.signed_in(token).get(f"/v1/files/{world.file.uuid}", replica="gcp", headers=headers)

        assert answer.status_code == 302
        [line] = lines.of_trace(trace)
        assert (line.identity, line.address) == (identity, "127.0.0.1")


def test_a_read_that_starts_a_checkout_is_a_write(
    world: World, stack: dict[str, str], lines: AuditLines
) -> None:
    # A user of its own: this checkout stays under way, and a caller may have a few.
    email = f"{new_uuid()}@example.org"
    reader = Api(stack["DSS_URL"], request_token(stack, email, "dss"))
    trace, headers = new_trace()

    reader.get(f"/v1/files/{world.file.uuid}", replica="gcp", directurl=True, headers=headers)

    [line] = lines.of_trace(trace)
    assert (line.operation, line.identity, line.urls) == ("files.get", email, 0)
    assert (line.uuid, line.version, line.decision) == (world.file.uuid, world.file.version, "allowed")


def test_a_request_that_writes_nothing_leaves_no_line(world: World, lines: AuditLines) -> None:
    for path, query in ((f"files/{new_uuid()}", {}), (f"files/{world.file.uuid}", {"version": "wrong"})):
        trace, headers = new_trace()

        answer = world.request("GET", path, headers, **query)
        refused = world.request("PUT", path, headers, **query)

        assert (answer.status_code, refused.status_code) == (404 if not query else 400, 400)
        assert lines.of_trace(trace) == []


def test_the_log_holds_no_token_and_no_signature(
    world: World, lines: AuditLines, anyone: Api, stack: dict[str, str]
) -> None:
    tokens = [value for name, value in stack.items() if "TOKEN" in name and value.count(".") == 2]
    secret = f"secret{new_uuid()}"
    for token in (*tokens, secret):
        caller = anyone.signed_in(token)
        headers = {"X-Cloud-Trace-Context": token, "traceparent": f"00-{token}-1-1", "User-Agent": token}
        for path in (f"files/{world.file.uuid}", f"bundles/{world.bundle.uuid}", f"files/{token}", "events"):
            query = {"replica": "gcp", "presignedurls": "true", "version": None, "content_disposition": token}
            caller.get(f"/v1/{path}", headers=headers, **query)
            caller.get(f"/v1/{path}", headers=headers, **query, token=token)
            caller.put(f"/v1/{path}", headers=headers, json={"source_url": f"gs://a/{token}"}, version=token)
            caller.put("/v1/collections", headers=headers, uuid=token, version=token, replica=token)

    text = lines.path.read_text()

    assert len(tokens) >= 3 and len(text) > 1000
    for word in (*tokens, secret, "eyJ", "ignature", "X-Goog", "X-Amz", "Credential", "://sub"):
        assert word not in text, word


def test_a_log_that_cannot_be_written_is_an_error_and_fails_no_request(
    world: World, stack: dict[str, str]
) -> None:
    with api_process(stack, {"DSS_AUDIT_LOG": "/dev/full"}) as process:
        answer = Api(process.url).get(f"/v1/files/{world.file.uuid}", replica="gcp")

        assert answer.status_code == 302
        [line] = printed(process.log.read_text(), "audit line not written")
        assert (line["severity"], line["line"]["uuid"]) == ("ERROR", world.file.uuid)
        assert "No space left" in line["reason"]


def test_without_a_file_lines_are_entries_of_cloud_logging(world: World, stack: dict[str, str]) -> None:
    trace, headers = new_trace()
    with api_process(stack, {"DSS_AUDIT_LOG": None}) as process:
        Api(process.url).get(f"/v1/files/{world.file.uuid}", replica="gcp", headers=headers)

        [line] = printed(process.log.read_text(), f"audit: files.get file {world.file.uuid} allowed")
        assert line["logging.googleapis.com/labels"] == {"dss_log": "audit"}
        project = stack["GOOGLE_CLOUD_PROJECT"]
        assert line["logging.googleapis.com/trace"] == f"projects/{project}/traces/{trace}"
        assert AuditEntry.of(line).handed_out == (world.file.uuid,)


def printed(text: str, message: str) -> list[dict[str, Any]]:
    """Return the lines of JSON with this message."""
    return [row for row in parsed(text) if row.get("message") == message]


def parsed(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def test_while_an_issuer_does_not_answer_reads_go_on_and_are_logged(
    world: World, without_issuer: Api, lines: AuditLines
) -> None:
    trace, headers = new_trace()

    answer = without_issuer.get(f"/v1/files/{world.file.uuid}", replica="gcp", headers=headers)

    assert answer.status_code == 302
    [line] = lines.of_trace(trace)
    assert (line.identity, line.decision) == ("", "allowed")


def test_forged_tokens_of_one_client_hide_nobody_else_from_the_log(
    world: World, proxied: Api, lines: AuditLines
) -> None:
    path, forger = f"/v1/files/{world.file.uuid}", {"X-Forwarded-For": "198.51.100.7"}
    for number in range(MOST_OF_CLIENT + 2):
        token = {"Authorization": f"Bearer ya29.forged-{new_uuid()}-{number}"}
        assert proxied.signed_in(None).get(path, replica="gcp", headers=forger | token).status_code == 302
    trace, headers = new_trace()

    proxied.get(path, replica="gcp", headers=headers)

    assert [line.identity for line in lines.of_trace(trace)] == ["writer@example.org"]


def test_reads_of_managed_data_are_logged_with_their_reader_and_so_are_refusals(
    world: World, api: Api, stack: dict[str, str], lines: AuditLines, dss: Dss
) -> None:
    file = put_file(api, world.clouds.stage("gcp", b"managed"))
    bind(dss, file.uuid, "dss")
    trace, headers = new_trace()

    for token in (stack["DSS_TOKEN"], stack["DSS_TOKEN_OTHER_GROUP"], None):
        api.signed_in(token).head(f"/v1/files/{file.uuid}", replica="gcp", headers=headers)

    assert [(line.decision, line.identity, line.uuid, line.urls) for line in lines.of_trace(trace)] == [
        ("allowed", "writer@example.org", file.uuid, 0),
        ("forbidden", "reader@example.org", file.uuid, 0),
        ("unauthorized", "", file.uuid, 0),
    ]


def test_a_404_that_hides_something_is_a_refusal_and_another_is_none(
    world: World, api: Api, stack: dict[str, str], lines: AuditLines, dss: Dss
) -> None:
    file = put_file(api, world.clouds.stage("gcp", b"hidden"))
    bind(dss, file.uuid, "dss")
    trace, headers = new_trace()

    with api_process(stack, {"DSS_HIDE_MANAGED": "true"}) as process:
        other = Api(process.url, stack["DSS_TOKEN_OTHER_GROUP"])
        answers = [
            other.get(f"/v1/files/{uuid}", replica="gcp", headers=headers) for uuid in (file.uuid, new_uuid())
        ]

    assert [answer.status_code for answer in answers] == [404, 404]
    [line] = lines.of_trace(trace)
    assert (line.uuid, line.decision, line.identity) == (file.uuid, "hidden", "reader@example.org")


@pytest.mark.parametrize(
    ("status", "verdict", "expected"),
    [
        (401, None, "unauthorized"),
        (403, None, "forbidden"),
        (404, None, None),
        (404, Verdict.HIDDEN, "hidden"),
        (404, Verdict.FORBIDDEN, None),
        (410, Verdict.PURGED, "purged"),
        (429, None, "limited"),
        (200, None, None),
    ],
)
def test_a_refusal_is_known_by_its_status_and_a_hidden_object_by_its_verdict(
    status: int, verdict: Verdict | None, expected: str | None
) -> None:
    seen = Noted()
    if verdict:
        seen.decided(Action.READ, Resource(name="it"), Decision(verdict=verdict))

    assert seen.decision(status) == expected


@pytest.mark.parametrize(("readers", "expected"), [({"lab"}, "allowed"), ({PUBLIC}, None), (set(), None)])
def test_a_read_of_managed_data_leaves_a_line(readers: set[str], expected: str | None) -> None:
    seen = Noted()
    allowed = Decision(verdict=Verdict.ALLOWED)

    seen.decided(Action.READ, Resource(name="it", readers=frozenset(readers)), allowed)

    assert seen.decision(200) == expected
    assert seen.decision(404) is None


def test_a_line_names_a_thousand_objects_and_the_rest_are_in_further_ones() -> None:
    names = [Fqid(new_uuid(), now()) for _ in range(2_001)]
    seen = Noted()

    for name in names:
        seen.read_managed(name)
        seen.refuse(name, Verdict.FORBIDDEN)

    parts = [names[:1_000], names[1_000:2_000], names[2_000:]]
    expected = [(decision, part) for decision in ("allowed", "forbidden") for part in parts]
    assert list(seen.lines(200)) == expected
