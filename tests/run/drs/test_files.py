"""Files by DRS: what an object says, and that its bytes can be read."""

import hashlib
from urllib.parse import parse_qs, urlsplit

import requests

from shared.checksums import checksums_of
from shared.copying.large import copy_order
from shared.files import file_record
from shared.identifiers import Fqid
from shared.sources import find_source, source_at
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, now, put_file
from tests.support.clouds import Clouds
from tests.support.drs import Drs

CONTENT = b"content of a file"
TYPES = {"gcp": "gs", "aws": "s3"}


def test_a_file_is_an_object(drs: Drs, file: Version, replica: str, stack: dict[str, str]) -> None:
    found = drs.object(file)

    sums = checksums_of(CONTENT)
    assert (found["id"], found["name"], found["version"]) == (str(file), file.uuid, file.version)
    assert found["self_uri"] == f"drs://127.0.0.1/{file}"
    assert (found["size"], found["mime_type"]) == (len(CONTENT), "text/plain")
    assert found["created_time"] == found["updated_time"]
    assert found["created_time"].replace(":", "") == file.version
    assert {one["type"]: one["checksum"] for one in found["checksums"]} == {
        "sha-256": sums.sha256,
        "sha1": sums.sha1,
        "crc32c": sums.crc32c,
        "md5": hashlib.md5(CONTENT).hexdigest(),
        "etag": sums.s3_etag,
    }
    assert len(found["checksums"]) == 5
    bucket = stack[{"gcp": "DSS_GS_BUCKET", "aws": "DSS_S3_BUCKET"}[replica]]
    store, https = found["access_methods"]
    assert store["type"] == TYPES[replica]
    assert store["access_url"] == {"url": f"{TYPES[replica]}://{bucket}/{sums.blob_key}"}
    assert https["type"] == "https"
    assert store["access_id"] != https["access_id"]


def test_the_bytes_are_behind_each_signed_url(drs: Drs, file: Version) -> None:
    for method in drs.object(file)["access_methods"]:
        answer = requests.get(drs.url(file, method["access_id"]), timeout=60)

        assert answer.content == CONTENT
        assert answer.headers["Content-Type"] == "text/plain"
        assert answer.headers["Content-Disposition"] == f"attachment; filename={file.uuid}"


def test_a_uuid_alone_is_its_newest_version(api: Api, drs: Drs, clouds: Clouds) -> None:
    old, new = (Version(uuid, now()) for uuid in [new_uuid()] * 2)
    # The newest counts on whichever replica it is.
    put_file(api, clouds.stage("aws", b"newer"), file=new)
    put_file(api, clouds.stage("gcp", b"older"), file=old)

    found = drs.object(old.uuid)

    assert (found["id"], found["self_uri"]) == (str(new), f"drs://127.0.0.1/{new}")
    assert [one["type"] for one in found["access_methods"]] == ["s3", "https"]


def test_the_service_describes_itself(drs: Drs) -> None:
    info = drs.get("/service-info").json()

    assert info["type"] == {"group": "org.ga4gh", "artifact": "drs", "version": "1.5.0"}
    assert info["maxBulkRequestLength"] == info["drs"]["maxBulkRequestLength"] == 1000


def test_a_file_that_is_being_verified_is_202_until_it_is_there(
    api: Api, drs: Drs, dss: Dss, clouds: Clouds, replica: str
) -> None:
    url, file = clouds.stage(replica, new_uuid().encode()), Version(new_uuid(), now())
    source = find_source(source_at(dss.replicas, url))
    record = file_record(Fqid(file.uuid, file.version), 1, source)
    dss.catalog.jobs.begin(copy_order(source.object, source.replica, source.replica, record, verify=True))

    for name in (file, file.uuid):
        assert drs.get(f"/objects/{name}").status_code == 202
        assert drs.post(f"/objects/{name}").status_code == 202
        assert drs.get(f"/objects/{name}/access/https.{replica}").status_code == 404
    [unresolved] = drs.post("/objects", {"bulk_object_ids": [str(file)]}).json()["unresolved_drs_objects"]
    assert unresolved["error_code"] == 404

    put_file(api, url, file=file)
    assert drs.object(file)["size"] == len(new_uuid())


def test_who_pays_is_in_the_signature(drs: Drs, clouds: Clouds, api: Api) -> None:
    file = put_file(api, clouds.stage("gcp", CONTENT))
    by_query = drs.url(file, "gs.gcp", userProject="my-project")
    by_header = drs.url(file, "https.gcp", headers={"x-user-project": "my-project"})
    [pair] = drs.post(
        "/objects/access",
        {"bulk_object_access_ids": [{"bulk_object_id": str(file), "bulk_access_ids": ["gs.gcp"]}]},
        userProject="example.org:my-project",
    ).json()["resolved_drs_object_access_urls"]

    for url, project in (
        (by_query, "my-project"),
        (by_header, "my-project"),
        (pair["url"], "example.org:my-project"),
    ):
        assert parse_qs(urlsplit(url).query)["userProject"] == [project]
        assert requests.get(url, timeout=60).content == CONTENT
        other = url.replace("my-project", "other-project")
        assert requests.get(other, timeout=60).status_code == 403
    for wrong in ("a b", "x&y", "a/b", "ä", "x" * 200):
        assert drs.get(f"/objects/{file}/access/gs.gcp", userProject=wrong).status_code == 400
