"""Files by DRS: what an object says, and that its bytes can be read."""

import hashlib

import requests

from shared.checksums import checksums_of
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
