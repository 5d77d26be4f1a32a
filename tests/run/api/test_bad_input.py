"""Bad input: each a 4xx that names the field, and never a 500."""

import http.client
import json
import string
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from run.api.contract import Contract
from tests.support.api import PROBLEM, Api, assert_problem, new_uuid, now
from tests.support.operations import ALL_OPERATIONS

UUID = "2f6a0bd3-6a64-4f3e-9c0e-0c4f6f0a9b11"
VERSION = "2024-02-29T235959.000001Z"
FILE = {"uuid": UUID, "version": VERSION, "name": "a", "indexed": False}
OPERATIONS = Contract.load().operations
# A reason that is well-formed hides what it finds, and who fuzzes as an admin finds nothing to hide.
WRITES = ["/v1/files/{uuid}", "/v1/bundles/{uuid}"]

BAD_VERSIONS = [
    *("2020-13-01T000000.000000Z", "2021-02-29T000000.000000Z", "2020-01-01T240000.000000Z"),
    *("2020-01-01T000060.000000Z", "0000-01-01T000000.000000Z", "2020-01-01T00:00:00.000000Z", "rubbish"),
    *("2020-01-01T000000.000000", "2020-01-01T000000.00000Z", "2020-01-01", "", " ", "..", "Z", "1" * 2000),
    *(
        "2020-01-01T000000.000000Z ",
        "2020-01-01T000000.000000z",
        "\u0662\u0660\u0662\u0660-01-01T000000.000000Z",
    ),
]
BAD_UUIDS = [
    "rubbish",
    "0" * 36,
    UUID[:-1],
    f"{UUID}0",
    f"{{{UUID}}}",
    UUID.replace("-", ""),
    "ü",
    "%00",
    "a.b",
]


def path_of(operation: Any, uuid: str = UUID) -> str:
    """Return an operation's path with its ids filled in."""
    filled: str = operation.rule.replace("<entity_type>", "bundles").replace("<field>", "organ")
    for name in ("uuid", "checkout_job_id", "object_id", "access_id", "entity_id", "file_uuid", "keys"):
        filled = filled.replace(f"<{name}>", uuid)
    return filled


@pytest.mark.parametrize("version", BAD_VERSIONS)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_malformed_version_is_400(admin, method, version):
    body = {"files": [], "creator_uid": 1, "reason": "x"}
    answer = admin.request(method, f"/v1/bundles/{UUID}", replica="gcp", version=version, json=body)
    assert_problem(answer, 400, "illegal_version", "version")


@pytest.mark.parametrize("version", BAD_VERSIONS)
def test_a_malformed_version_of_a_file_is_400(api, version):
    assert_problem(
        api.get(f"/v1/files/{UUID}", replica="gcp", version=version), 400, "illegal_version", "version"
    )
    assert api.head(f"/v1/files/{UUID}", replica="gcp", version=version).status_code == 400
    body = {"source_url": "gs://bucket/key", "creator_uid": 1}
    answer = api.put(f"/v1/files/{UUID}", version=version, json=body)
    assert_problem(answer, 400, "illegal_version", "version")
    files = {"files": [{**FILE, "version": version}], "creator_uid": 1}
    answer = api.put(f"/v1/bundles/{UUID}", replica="gcp", version=VERSION, json=files)
    assert_problem(answer, 400, "illegal_version", "json_request_body.files[0].version")


@pytest.mark.parametrize("uuid", BAD_UUIDS)
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if "<uuid>" in one.rule])
def test_an_id_that_is_not_a_uuid_is_400(admin, operation, uuid):
    query = {"replica": "gcp", "version": VERSION}
    known = {name: value for name, value in query.items() if name in operation.query_names}
    answer = admin.request(operation.method, path_of(operation, uuid), **known)
    assert answer.status_code == 400
    if operation.method != "HEAD":
        assert_problem(answer, 400, "illegal_arguments", "uuid")


@pytest.mark.parametrize("replica", ["azure", "", "AWS", "gcp,aws", "gcp ", "\u202e", None])
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if "replica" in one.query_names])
def test_an_unknown_replica_is_400(admin, operation, replica):
    if operation.operation_id.startswith("drs") and replica is None:
        return  # The one operation with a default.
    query = {"replica": replica, "version": VERSION if "version" in operation.query_names else None}
    query |= {"uuid": UUID} if operation.operation_id == "collections.put" else {}
    answer = admin.request(operation.method, path_of(operation), **query)
    assert answer.status_code == 400
    if operation.operation_id.startswith("drs"):
        assert "replica" in answer.json()["msg"]
    elif operation.method != "HEAD":
        assert_problem(answer, 400, "illegal_arguments", "replica")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"per_page": "9"}, "per_page"),
        ({"per_page": "501"}, "per_page"),
        ({"per_page": "many"}, "per_page"),
        ({"per_page": "9" * 5000}, "per_page"),
        ({"start_at": "-1"}, "start_at"),
        ({"start_at": "1.5"}, "start_at"),
        ({"start_at": str(2**63)}, "start_at"),
        ({"presignedurls": "yes"}, "presignedurls"),
        ({"directurls": "2"}, "directurls"),
    ],
)
def test_a_malformed_query_is_400(api, query, name):
    if len(str(query)) > 4000:
        query = {key: value[:3000] for key, value in query.items()}
    answer = api.get(f"/v1/bundles/{UUID}", replica="gcp", **query)
    assert_problem(answer, 400, "illegal_arguments", name)


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"rubbish", b"[]", b"null", b'"x"', b"1", b"\xff\xfe", b"\x00", b"{]", b'{"a":1,}', b"{}{}"),
        *(b'{"creator_uid":NaN}', b'{"creator_uid":1e999}', b"[" * 100_000, b'{"a":' * 100_000),
        b'{"creator_uid":' + b"9" * 10_000 + b"}",
    ],
)
@pytest.mark.parametrize("path", WRITES)
def test_a_body_that_is_not_a_json_object_is_400(api, path, body):
    query = {"version": VERSION, "replica": "gcp" if "bundles" in path else None}
    headers = {"Content-Type": "application/json"}
    answer = api.put(path.format(uuid=UUID), data=body, headers=headers, **query)
    assert_problem(answer, 400, "illegal_arguments", "json_request_body")


@pytest.mark.parametrize("path", WRITES)
def test_a_missing_body_is_400(api, path):
    query = {"version": VERSION, "replica": "gcp" if "bundles" in path else None}
    answer = api.put(path.format(uuid=UUID), **query)
    assert_problem(answer, 400, "illegal_arguments", "json_request_body")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"files": None}, "files"),
        ({"files": {}}, "files"),
        ({"files": "a"}, "files"),
        ({"files": [None]}, "files[0]"),
        ({"files": [[]]}, "files[0]"),
        ({"files": [{}]}, "files[0].uuid"),
        ({"files": [FILE, {**FILE, "uuid": 5}]}, "files[1].uuid"),
        ({"files": [{**FILE, "uuid": "x"}]}, "files[0].uuid"),
        ({"files": [{**FILE, "version": 5}]}, "files[0].version"),
        ({"files": [{**FILE, "name": None}]}, "files[0].name"),
        ({"files": [{**FILE, "name": "a\ud800"}]}, "files"),
        ({"files": [{**FILE, "indexed": "true"}]}, "files[0].indexed"),
        ({"files": [{**FILE, "indexed": 1}]}, "files[0].indexed"),
        ({"creator_uid": "1"}, "creator_uid"),
        ({"creator_uid": 1.5}, "creator_uid"),
        ({"creator_uid": True}, "creator_uid"),
        ({"creator_uid": None}, "creator_uid"),
        ({"creator_uid": 2**63}, "creator_uid"),
        ({"creator_uid": -(2**63) - 1}, "creator_uid"),
    ],
)
def test_a_property_of_the_wrong_type_is_400(api, changes, where):
    body = {"files": [], "creator_uid": 1, **changes}
    answer = api.put(f"/v1/bundles/{UUID}", replica="gcp", version=VERSION, json=body)
    assert_problem(answer, 400, "illegal_arguments", f"json_request_body.{where}")


@pytest.mark.parametrize("missing", ["files", "creator_uid"])
def test_a_missing_property_is_400(api, missing):
    body = {name: value for name, value in (("files", []), ("creator_uid", 1)) if name != missing}
    answer = api.put(f"/v1/bundles/{UUID}", replica="gcp", version=VERSION, json=body)
    assert_problem(answer, 400, "illegal_arguments", f"json_request_body.{missing}")


@pytest.mark.parametrize("source_url", [5, None, [], "x" * 5000, "gs://" + "b" * 60 + "/" + "k" * 5000])
def test_a_malformed_source_url_is_400(api, source_url):
    body = {"source_url": source_url, "creator_uid": 1}
    answer = api.put(f"/v1/files/{UUID}", version=VERSION, json=body)
    assert answer.status_code == 400
    assert "json_request_body.source_url" in answer.json()["title"]


def test_ten_mebibytes_of_json_are_413(api):
    body = json.dumps({"files": [], "creator_uid": 1, "padding": "x" * (10 * 1024 * 1024)})
    for data in (body.encode(), iter([body[: len(body) // 2].encode(), body[len(body) // 2 :].encode()])):
        answer = api.put(f"/v1/bundles/{UUID}", replica="gcp", version=VERSION, data=data)
        assert_problem(answer, 413, "illegal_arguments", "json_request_body")
    # The connection serves on.
    assert api.get("/version").status_code == 200


def test_a_body_may_come_in_chunks(api, replica):
    data = iter([b'{"files"', b': [], "creator', b'_uid": 1}'])
    answer = api.put(f"/v1/bundles/{new_uuid()}", replica=replica, version=now(), data=data)
    assert answer.status_code == 201


def test_a_body_without_a_content_type_is_read_as_json(api, replica):
    query = {"replica": replica, "version": now()}
    answer = api.put(f"/v1/bundles/{new_uuid()}", data=b'{"files":[],"creator_uid":1}', **query)
    assert answer.status_code == 201


def test_the_first_of_repeated_parameters_counts(api, replica):
    other = "aws" if replica == "gcp" else "gcp"
    answer = api.get(f"/v1/bundles/{UUID}?replica={replica}&replica={other}&per_page=10&per_page=9999")
    assert_problem(answer, 404, "not_found", f"replica {replica}")


# Text of any kind, and text that nearly has the form of something.
JUNK = st.one_of(
    st.text(max_size=40),
    st.text(string.printable, max_size=20),
    st.sampled_from(
        [UUID, VERSION, "gcp", "aws", "10", "true", "-1", "", "\x00", "\r\nX: y", "../..", "%", "&="]
    ),
    st.integers().map(str),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), JUNK),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(JUNK, inner, max_size=3)),
    max_leaves=8,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(json.dumps),
    st.fixed_dictionaries(
        {},
        optional={
            "files": st.lists(
                st.fixed_dictionaries(
                    {}, optional={**{n: st.just(v) for n, v in FILE.items()}, "name": JUNK}
                ),
                max_size=3,
            ),
            "creator_uid": st.one_of(st.integers(-5, 5), JSON),
            "source_url": st.one_of(
                JUNK,
                JUNK.map("gs://dss-local-gs-staging/".__add__),
                JUNK.map("s3://dss-local-s3-staging/".__add__),
            ),
            "add_files": JSON,
            "remove_files": JSON,
            "es_query": JSON,
            "name": JUNK,
            "description": JUNK,
            "details": st.dictionaries(JUNK, JSON, max_size=2),
            "contents": st.lists(
                st.fixed_dictionaries(
                    {"type": JUNK, "uuid": st.just(UUID), "version": st.just(VERSION)},
                    optional={"path": JUNK, "fragment": JUNK},
                ),
                max_size=2,
            ),
            "add_contents": JSON,
            "remove_contents": JSON,
            "bulk_object_ids": JSON,
            "bulk_object_access_ids": JSON,
            "passports": JSON,
        },
    ).map(json.dumps),
)


@st.composite
def requests_of_any_kind(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """Draw method, path with query, and body: some of them nearly right."""
    operation = draw(st.sampled_from(list(ALL_OPERATIONS.values())))
    path = path_of(
        operation, draw(st.one_of(st.just(UUID), JUNK.map(lambda text: urlencode({"": text})[1:])))
    )
    names = sorted(operation.query_names)
    good = {"replica": "gcp", "version": VERSION, "uuid": UUID}
    query = {name: good[name] for name in names if name in good and draw(st.integers(0, 9))}
    # An old client's junk, or somebody's attack; now and then a parameter that does not exist.
    for name in draw(st.lists(st.sampled_from([*names, "unknown"]), max_size=2)):
        query[name] = draw(JUNK)
    body = draw(BODIES)
    encoded = urlencode(query, errors="surrogatepass")
    return operation.method, f"{path}?{encoded}", body.encode() if isinstance(body, str) else body


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=requests_of_any_kind())
def test_no_input_is_a_500(api: Api, sent: tuple[str, str, bytes]):
    method, target, body = sent
    address = urlsplit(api.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    # Not by `requests`, which mends URLs before it sends them.
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    assert answer.status < 500 or answer.status == 501, (sent, data)
    if answer.status >= 400 and "/ga4gh/" in target:
        assert answer.headers["Content-Type"] == "application/json"
        if method != "HEAD":
            error = json.loads(data)
            assert (error["status_code"], bool(error["msg"])) == (answer.status, True)
    elif answer.status >= 400 and target.startswith("/browse"):
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert method == "HEAD" or b"<h1>" in data
    elif answer.status >= 400 and not target.startswith(("/v1/", "/imports/")):
        assert answer.headers["Content-Type"] == "application/json"
        if method != "HEAD":
            assert all(json.loads(data)[name] for name in ("Code", "Message"))
    elif answer.status >= 400:
        assert answer.headers["Content-Type"] == PROBLEM
        if method != "HEAD":
            problem = json.loads(data)
            assert (problem["status"], bool(problem["title"])) == (answer.status, True)
