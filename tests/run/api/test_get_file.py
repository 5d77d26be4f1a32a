"""HEAD and GET /files: the description of a file, and the signed URL that serves its bytes."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from shared.checksums import checksums_of
from tests.support.api import Version, assert_problem, new_uuid, now, put_file

OTHER_REPLICA = {"gcp": "aws", "aws": "gcp"}


def fetch(url: str, **headers: str) -> requests.Response:
    """Return the answer of a signed URL to a client without credentials."""
    # Without this, `requests` says that it takes gzip, and undoes it.
    return requests.get(url, headers={"Accept-Encoding": "identity", **headers}, timeout=60)


def test_head_and_get_have_the_same_headers(api, anyone, clouds, replica):
    data = b"the content"
    checksums = checksums_of(data)
    source = clouds.stage(replica, data, content_type="text/plain; charset=utf-8")
    file = put_file(api, source, creator_uid=2**63 - 1)
    described = {
        "X-DSS-CREATOR-UID": str(2**63 - 1),
        "X-DSS-VERSION": file.version,
        "X-DSS-CONTENT-TYPE": "text/plain; charset=utf-8",
        "X-DSS-SIZE": str(len(data)),
        "X-DSS-CRC32C": checksums.crc32c,
        "X-DSS-S3-ETAG": checksums.s3_etag,
        "X-DSS-SHA1": checksums.sha1,
        "X-DSS-SHA256": checksums.sha256,
    }
    for method, status in (("HEAD", 200), ("GET", 302)):
        for version in (file.version, None):
            answer = anyone.request(method, f"/v1/files/{file.uuid}", replica=replica, version=version)
            assert answer.status_code == status
            assert {name: answer.headers[name] for name in described} == described
            assert answer.content == b""
    assert answer.headers["Content-Type"] == "application/json"


def test_the_newest_version_is_found_in_any_order_of_writes(api, clouds, replica):
    uuid = new_uuid()
    versions = [f"20{year}-01-01T000000.000000Z" for year in (21, 23, 22)]
    for version in versions:
        put_file(api, clouds.stage(replica, version.encode()), file=Version(uuid, version))
        newest = api.head(f"/v1/files/{uuid}", replica=replica).headers["X-DSS-VERSION"]
        assert newest == max(versions[: versions.index(version) + 1])
    for version in versions:
        answer = api.head(f"/v1/files/{uuid}", replica=replica, version=version)
        assert answer.headers["X-DSS-VERSION"] == version


def test_each_replica_has_its_own_newest_version(api, clouds):
    uuid = new_uuid()
    older, newer = (Version(uuid, f"202{digit}-01-01T000000.000000Z") for digit in (1, 2))
    for replica in ("gcp", "aws"):
        created = {"gcp": 201, "aws": 200}[replica]
        put_file(api, clouds.stage(replica, b"old"), file=older, status=created)
    put_file(api, clouds.stage("aws", b"new"), file=newer)
    assert api.head(f"/v1/files/{uuid}", replica="gcp").headers["X-DSS-VERSION"] == older.version
    assert api.head(f"/v1/files/{uuid}", replica="aws").headers["X-DSS-VERSION"] == newer.version


def test_a_file_of_the_other_replica_only_is_404(api, file, replica):
    for version in (file.version, None):
        where = {"replica": OTHER_REPLICA[replica], "version": version}
        assert_problem(api.get(f"/v1/files/{file.uuid}", **where), 404, "not_found", file.uuid)
        assert api.head(f"/v1/files/{file.uuid}", **where).status_code == 404


def test_an_unknown_file_or_version_is_404(api, file, replica):
    unknown = api.get(f"/v1/files/{new_uuid()}", replica=replica)
    assert_problem(unknown, 404, "not_found")
    other = api.get(f"/v1/files/{file.uuid}", replica=replica, version=now())
    assert_problem(other, 404, "not_found", file.uuid)


def test_the_signed_url_serves_the_bytes_to_anybody(anyone, file, replica):
    answer = fetch(anyone.get(f"/v1/files/{file.uuid}", replica=replica).headers["Location"])
    assert (answer.status_code, answer.content) == (200, b"content of a file")
    assert answer.headers["Content-Length"] == "17"
    assert "Content-Encoding" not in answer.headers


def test_the_signed_url_serves_ranges(anyone, file, replica):
    # Old clients send their Range to the API too, which has no content of its own to cut.
    redirect = anyone.get(f"/v1/files/{file.uuid}", replica=replica, headers={"Range": "bytes=8-"})
    assert redirect.status_code == 302
    answer = fetch(redirect.headers["Location"], Range="bytes=8-9")
    assert (answer.status_code, answer.content) == (206, b"of")
    assert answer.headers["Content-Range"] == "bytes 8-9/17"


def test_the_signed_url_has_the_disposition_that_was_asked_for(anyone, file, replica):
    wanted = 'attachment; filename="a b&c=d.txt"'
    redirect = anyone.get(f"/v1/files/{file.uuid}", replica=replica, content_disposition=wanted)
    assert fetch(redirect.headers["Location"]).headers["Content-Disposition"] == wanted
    plain = fetch(anyone.get(f"/v1/files/{file.uuid}", replica=replica).headers["Location"])
    assert "Content-Disposition" not in plain.headers


def test_the_signed_url_lives_an_hour(anyone, file, replica):
    location = anyone.get(f"/v1/files/{file.uuid}", replica=replica).headers["Location"]
    query = parse_qs(urlsplit(location).query)
    assert query["X-Goog-Expires" if replica == "gcp" else "X-Amz-Expires"] == ["3600"]


def test_a_source_with_content_encoding_is_served_as_it_is_stored(api, clouds, replica):
    data = b"\x1f\x8b would be gzip, if anybody believed it"
    file = put_file(api, clouds.stage(replica, data, content_encoding="gzip", content_type="gzip"))
    redirect = api.get(f"/v1/files/{file.uuid}", replica=replica)
    assert redirect.headers["X-DSS-CONTENT-TYPE"] == "gzip"
    answer = fetch(redirect.headers["Location"])
    assert answer.content == data
    assert "Content-Encoding" not in answer.headers


def test_the_metadata_of_the_source_does_not_follow_into_the_store(api, clouds, replica):
    data = new_uuid().encode()
    put_file(api, clouds.stage(replica, data))
    key = checksums_of(data).blob_key
    if replica == "gcp":
        blob = clouds.gcs.bucket(clouds.main[replica]).get_blob(key)
        assert not blob.metadata
    else:
        where = {"Bucket": clouds.main[replica], "Key": key}
        assert clouds.s3.head_object(**where)["Metadata"] == {}
        assert clouds.s3.get_object_tagging(**where)["TagSet"] == []


@pytest.mark.parametrize("token", ["rubbish", "e30=", "🎫", "x" * 4000])
@pytest.mark.parametrize("directurl", [None, "true"])
def test_an_invented_token_is_400(api, file, replica, token, directurl):
    answer = api.get(f"/v1/files/{file.uuid}", replica=replica, token=token, directurl=directurl)
    assert_problem(answer, 400, "illegal_token", "token")


@pytest.mark.parametrize("directurl", ["False", "false", "0"])
def test_a_direct_url_is_given_on_request_only(api, file, replica, directurl):
    assert api.get(f"/v1/files/{file.uuid}", replica=replica, directurl=directurl).status_code == 302


@pytest.mark.parametrize("disposition", ["a\nb: c", "ü", "\x00", "a\x7f"])
def test_a_disposition_that_cannot_be_a_header_is_400(api, file, replica, disposition):
    answer = api.get(f"/v1/files/{file.uuid}", replica=replica, content_disposition=disposition)
    assert_problem(answer, 400, "illegal_arguments", "content_disposition")
