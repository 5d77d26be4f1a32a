"""Errors of DRS: their form, and that no input of any kind is a fault of the server."""

import json
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from local.api import api_process
from run.drs.document import DRS_PATH
from shared.bindings import change_binding
from shared.purges.records import declare, new_purge
from shared.system import Dss
from tests.support.api import TIMEOUT, Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.drs import Drs, checked

ODD_IDS = [
    *(
        "access",
        "a",
        "a.b",
        "%2F",
        "a%2Fb",
        "a%2Faccess%2Fb",
        "a//b",
        "..",
        "%2E%2E%2Fetc",
        "%00",
        "%0A",
        "%FF",
    ),
    *("%E2%80%AE", "ä", "😀", "drs%3A%2F%2Fhost%2Fid", "x" * 5000, "*", "{object_id}", "null"),
    *(f"{new_uuid()}.", f".{now()}", f"{new_uuid()}.2026-13-12T093000.000000Z", f"{new_uuid()}.{now()}.dead"),
    new_uuid().upper(),
]
# Not UTF-8, control characters, and longer than any id.
NO_TEXT = ("%00", "%0A", "%FF", "x" * 5000)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_an_id_that_no_object_has_is_404(drs: Drs, method: str) -> None:
    for odd in ODD_IDS:
        body = {} if method == "POST" else None
        # An access id has no OPTIONS.
        of_access = (f"/objects/{odd}/access/a", f"/objects/a/access/{odd}")
        for path in (f"/objects/{odd}", *(of_access if method != "OPTIONS" else ())):
            answer = drs.request(method, path, json=body)

            # `/objects/access` is the bulk call, `/objects/` is `/objects`.
            is_other = odd in ("access", "%2F")
            allowed = {404, *((400, 405) if is_other else ()), *((400,) if odd in NO_TEXT else ())}
            # The decoded path is that of an access id, which has no OPTIONS.
            if method == "OPTIONS" and odd == "a%2Faccess%2Fb":
                allowed = {405}
            assert answer.status_code in allowed, (path, answer.text)


def test_an_id_of_ten_kilobytes_is_refused(drs: Drs) -> None:
    assert drs.get(f"/objects/{'x' * 10_000}").status_code == 414


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(
            ("GET", path, 404)
            for path in ("", "/", "/objects", "/other", "/objects/a/b/c", "/service-info/x")
        ),
        *(("DELETE", "/objects/a", 405), ("PUT", "/objects", 405), ("POST", "/service-info", 405)),
        *(("OPTIONS", "/service-info", 405), ("GET", "/objects/a/access", 404)),
    ],
)
def test_unknown_routes_and_methods_have_errors_of_drs(drs: Drs, method: str, path: str, status: int) -> None:
    answer = drs.request(method, path)

    # `/objects` has POST alone.
    assert answer.status_code == (405 if path == "/objects" else status)


def test_two_slashes_count_as_one_in_front_and_are_an_error_elsewhere(anyone: Api, file: Version) -> None:
    statuses = {
        f"/{DRS_PATH}/objects/{file}": 200,
        f"/{DRS_PATH}/objects/{new_uuid()}": 404,
        f"{DRS_PATH}//objects/{file}": 404,
        "/ga4gh/x": 404,
        "/v1/ga4gh/x": 404,
    }
    for path, status in statuses.items():
        # `requests` makes one slash of two.
        connection = HTTPConnection(urlsplit(anyone.url).netloc, timeout=TIMEOUT)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
        assert ("status_code" in json.loads(answer.read())) == (status == 404)
        connection.close()


def test_errors_of_other_paths_are_still_problems(anyone: Api) -> None:
    for path in ("/v1/unknown", "/other", "/ga4gh"):
        assert anyone.get(path).headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/objects", "/objects/access", "/objects/a", "/objects/a/access/b"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((body, 400) for body in (b"", b"[]", b"null", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000)),
        *((b'{"passports": 1, "bulk_object_ids": 1, "bulk_object_access_ids": {}}', 400), (b"{}", 404)),
        (b'{"passports": [null]}', 400),
        (b'{"passports": "x"}', 400),
    ],
)
def test_a_body_that_is_not_as_declared_is_400(drs: Drs, path: str, body: bytes, status: int) -> None:
    answer = drs.request("POST", path, data=body, headers={"Content-Type": "application/json"})

    needs_list = path in ("/objects", "/objects/access")
    assert answer.status_code == (400 if needs_list else status), answer.text


@pytest.mark.parametrize("ids", [[1], [None], [["a"]], {"a": 1}, "a", None])
def test_ids_that_are_no_texts_are_400(drs: Drs, ids: object) -> None:
    assert drs.post("/objects", {"bulk_object_ids": ids}).status_code == 400
    of_object = [{"bulk_object_id": ids, "bulk_access_ids": ["a"]}]
    pairs = [{"bulk_object_id": "a", "bulk_access_ids": ids}]
    for items in (ids, pairs, *([of_object] if ids != "a" else [])):
        assert drs.post("/objects/access", {"bulk_object_access_ids": items}).status_code == 400


def test_a_body_of_another_type_is_415(drs: Drs) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "rubbish"):
        answer = drs.request(
            "POST", "/objects", data=b'{"bulk_object_ids": []}', headers={"Content-Type": kind}
        )
        assert answer.status_code == 415
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/ld+json"):
        answer = drs.request(
            "POST", "/objects", data=b'{"bulk_object_ids": []}', headers={"Content-Type": kind}
        )
        assert answer.status_code == 200


def test_a_body_that_is_too_large_is_413(drs: Drs) -> None:
    body = json.dumps({"bulk_object_ids": ["x" * 9_000_000]})
    answer = drs.request("POST", "/objects", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("expand", ["maybe", "", "2", "yes"])
def test_an_expand_that_is_neither_true_nor_false_is_400(drs: Drs, file: Version, expand: str) -> None:
    assert drs.get(f"/objects/{file}", expand=expand).status_code == 400
    assert drs.post("/objects", {"bulk_object_ids": []}, expand=expand).status_code == 400
    assert drs.post(f"/objects/{file}", {"expand": expand}).status_code == 400


def test_what_is_deleted_is_404_and_what_is_removed_for_good_is_410(
    api: Api, admin: Api, drs: Drs, dss: Dss, clouds: Clouds
) -> None:
    file = put_file(api, clouds.stage("gcp", new_uuid().encode()))
    bundle = put_bundle(api, "gcp", [file.named("name")])
    collection = put_collection(api, "gcp", [])
    admin.delete(f"/v1/bundles/{bundle.uuid}", replica="gcp", json={"reason": "test"})
    api.delete(f"/v1/collections/{collection.uuid}", replica="gcp")
    owner = drs.signed_in(api.token)
    for one in (bundle, collection):
        assert owner.get(f"/objects/{one}").status_code == 404
        assert owner.get(f"/objects/{one.uuid}").status_code == 404
        assert owner.options(f"/objects/{one}").status_code == 404

    declare(dss, new_purge(dss, file.uuid, "", reason="consent withdrawn", by="operator@example.org"))

    for name in (str(file), file.uuid):
        answer = drs.get(f"/objects/{name}")
        assert answer.status_code == 410
        assert "consent withdrawn" in answer.json()["msg"]
        assert drs.get(f"/objects/{name}/access/https.gcp").status_code == 410
    found = drs.post("/objects", {"bulk_object_ids": [str(file), str(bundle)]}).json()
    assert found["unresolved_drs_objects"] == [
        {"error_code": 410, "object_ids": [str(file)]},
        {"error_code": 404, "object_ids": [str(bundle)]},
    ]


def test_bulk_answers_say_what_the_caller_may_not_read(
    api: Api, drs: Drs, dss: Dss, clouds: Clouds, stack: dict[str, str]
) -> None:
    files = [put_file(api, clouds.stage("gcp", new_uuid().encode())) for _ in range(2)]
    open_one, managed = files
    readers = {"readers": frozenset(("nobody-here",))}
    change_binding(dss, managed.uuid, "operator@example.org", lambda before: replace(before, **readers))
    ids = {"bulk_object_ids": list(map(str, files))}

    for client, status in ((drs, 401), (drs.signed_in(api.token), 403)):
        found = client.post("/objects", ids).json()
        assert found["unresolved_drs_objects"] == [{"error_code": status, "object_ids": [str(managed)]}]
        assert [one["id"] for one in found["resolved_drs_object"]] == [str(open_one)]
    [_, said] = drs.options("/objects", json=ids).json()["resolved_drs_object"]
    assert said == {
        "drs_object_id": str(managed),
        "supported_types": ["BearerAuth"],
        "bearer_auth_issuers": said["bearer_auth_issuers"],
    }
    assert stack["OIDC_ISSUER"] in said["bearer_auth_issuers"]


def test_access_ids_that_the_file_has_not_are_404(drs: Drs, file: Version, replica: str) -> None:
    other = {"gcp": "s3.aws", "aws": "gs.gcp"}[replica]
    for access_id in (other, "https", "gs", f"{new_uuid()}"):
        assert drs.get(f"/objects/{file}/access/{access_id}").status_code == 404


def test_a_deployment_that_secures_all_secures_drs_and_still_answers_who_asks_how(
    stack: dict[str, str], api: Api, clouds: Clouds
) -> None:
    file = put_file(api, clouds.stage("gcp", b"content"))
    with api_process(stack, {"DSS_SECURED": "all"}) as process:
        drs = Drs(Api(process.url))
        assert drs.get(f"/objects/{file}").status_code == 401
        assert drs.get(f"/objects/{file}").headers["WWW-Authenticate"] == "Bearer"
        assert drs.post("/objects", {"bulk_object_ids": []}).status_code == 401
        assert drs.options(f"/objects/{file}").json()["supported_types"] == ["BearerAuth"]
        assert drs.get("/service-info").status_code == 200
        assert drs.signed_in(api.token).get(f"/objects/{file}").status_code == 200


def test_the_route_of_v1_answers_with_its_version_and_its_replica_first(
    anyone: Api, api: Api, drs: Drs, clouds: Clouds
) -> None:
    file = put_file(api, clouds.stage("gcp", b"content"))
    path = "/v1/ga4gh/drs/v1/objects"

    found = checked(anyone.get(f"{path}/{file.uuid}", version=file.version)).json()

    assert found == drs.object(file)
    missing = checked(anyone.get(f"{path}/{new_uuid()}"))
    # An error of DRS, and of v1 as well.
    assert missing.status_code == missing.json()["status"] == missing.json()["status_code"] == 404
    assert missing.json()["title"] == missing.json()["msg"]
