"""PUT /files: which requests create a file, and which are refused and leave nothing behind."""

import json

import pytest

from shared.checksums import checksums_of
from tests.support.api import Version, assert_problem, new_uuid, now, put_file
from tests.support.clouds import SCHEMES, checksum_metadata

OTHER_REPLICA = {"gcp": "aws", "aws": "gcp"}


def unique(size: int = 20) -> bytes:
    """Return content that no other test has, so that its blob is not there yet."""
    return new_uuid().encode().ljust(size, b".")


def put(api, source_url, file=None, **body):
    """Return the answer to a PUT of a source object."""
    file = file or Version(new_uuid(), now())
    body = {"source_url": source_url, "creator_uid": 1, **body}
    return api.put(f"/v1/files/{file.uuid}", version=file.version, json=body)


def sha256_of(api, replica, file):
    """Return the sha256 that the API gives for a file."""
    return api.head(f"/v1/files/{file.uuid}", replica=replica, version=file.version).headers["X-DSS-SHA256"]


def assert_nothing_left(clouds, replica, data, file):
    """Fail if a blob of the content, or a manifest of the file, is in the main bucket."""
    assert clouds.keys(replica, f"blobs/{checksums_of(data).sha256}") == []
    assert clouds.keys(replica, f"files/{file.uuid}") == []


def test_a_new_file_is_201_and_the_same_again_is_200(api, clouds, replica):
    file = Version(new_uuid(), now())
    source = clouds.stage(replica, b"same")
    first, second = put(api, source, file), put(api, source, file)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == {"version": file.version}


def test_other_content_creator_or_content_type_under_the_same_name_is_409(api, clouds, replica):
    file = put_file(api, clouds.stage(replica, b"first"))
    answers = [
        put(api, clouds.stage(replica, b"second"), file),
        put(api, clouds.stage(replica, b"first"), file, creator_uid=2),
        put(api, clouds.stage(replica, b"first", content_type="text/plain"), file),
        put(api, clouds.stage(OTHER_REPLICA[replica], b"other"), file),
    ]
    for answer in answers:
        assert_problem(answer, 409, "file_already_exists", str(file))
    assert api.head(f"/v1/files/{file.uuid}", replica=replica).headers["X-DSS-SIZE"] == "5"


def test_blob_and_manifest_are_written_as_the_design_has_them(api, clouds, replica):
    data = unique()
    checksums = checksums_of(data)
    file = put_file(api, clouds.stage(replica, data, content_type="text/plain"), creator_uid=7)
    assert clouds.read(replica, checksums.blob_key) == data
    assert json.loads(clouds.read(replica, f"files/{file}")) == {
        "format": "0.0.4",
        "creator_uid": 7,
        "version": file.version,
        "content-type": "text/plain",
        "size": len(data),
        "crc32c": checksums.crc32c,
        "s3-etag": checksums.s3_etag,
        "sha1": checksums.sha1,
        "sha256": checksums.sha256,
    }


def test_a_uuid_in_upper_case_is_the_same_file(api, clouds, replica):
    file = Version(new_uuid(), now())
    source = clouds.stage(replica, b"x")
    assert put(api, source, Version(file.uuid.upper(), file.version)).status_code == 201
    assert put(api, source, file).status_code == 200
    assert api.head(f"/v1/files/{file.uuid.upper()}", replica=replica).status_code == 200


@pytest.mark.parametrize("prefix", ["dss-", "hca-dss-"])
def test_checksums_are_found_under_both_spellings_of_metadata(api, clouds, replica, prefix):
    file = put_file(api, clouds.stage(replica, b"data", metadata=checksum_metadata(b"data", prefix)))
    assert sha256_of(api, replica, file) == checksums_of(b"data").sha256


@pytest.mark.parametrize("prefix", ["dss-", "hca-dss-"])
def test_metadata_may_have_dashes_instead_of_underscores(api, clouds, replica, prefix):
    metadata = {name.replace("_", "-"): value for name, value in checksum_metadata(b"data", prefix).items()}
    file = put_file(api, clouds.stage(replica, b"data", metadata=metadata))
    assert sha256_of(api, replica, file) == checksums_of(b"data").sha256


@pytest.mark.parametrize("prefix", ["dss-", "hca-dss-"])
def test_on_s3_checksums_may_be_tags(api, clouds, prefix):
    file = put_file(api, clouds.stage("aws", b"data", metadata={}, tags=checksum_metadata(b"data", prefix)))
    headers = api.head(f"/v1/files/{file.uuid}", replica="aws").headers
    assert headers["X-DSS-S3-ETAG"] == checksums_of(b"data").s3_etag


def test_checksums_in_upper_case_are_lowered(api, clouds, replica):
    metadata = {name: value.upper() for name, value in checksum_metadata(b"data").items()}
    file = put_file(api, clouds.stage(replica, b"data", metadata=metadata))
    headers = api.head(f"/v1/files/{file.uuid}", replica=replica).headers
    assert headers["X-DSS-SHA256"] == checksums_of(b"data").sha256


@pytest.mark.parametrize("name", ["sha256", "sha1", "s3_etag", "crc32c"])
def test_a_missing_checksum_is_named(api, clouds, replica, name):
    metadata = checksum_metadata(b"data")
    del metadata[f"dss-{name}"]
    answer = put(api, clouds.stage(replica, b"data", metadata=metadata))
    assert_problem(answer, 422, "missing_checksum", name)


def test_a_blob_of_another_dss_has_its_checksums_in_its_key(api, clouds, replica):
    key = f"blobs/{'.'.join(checksum_metadata(b'of another', '').values())}"

    file = put_file(api, clouds.stage(replica, b"of another", metadata={}, key=key))
    false = put(api, clouds.stage(replica, b"other bytes", metadata={}, key=key))

    assert sha256_of(api, replica, file) == checksums_of(b"of another").sha256
    assert_problem(false, 422, "invalid_checksum")


@pytest.mark.parametrize("wrong", ["", "rubbish", "g" * 64, "0" * 63])
@pytest.mark.parametrize("name", ["sha256", "sha1", "s3_etag", "crc32c"])
def test_a_malformed_checksum_is_named(api, clouds, name, wrong):
    metadata = {**checksum_metadata(b"data"), f"dss-{name}": wrong}
    answer = put(api, clouds.stage("gcp", b"data", metadata=metadata))
    assert_problem(answer, 422, "invalid_checksum", name)


@pytest.mark.parametrize(
    ("replica", "name", "wrong"),
    [
        ("gcp", "crc32c", "0" * 8),
        ("gcp", "s3_etag", "0" * 32),
        ("aws", "s3_etag", "0" * 32),
        ("gcp", "s3_etag", "0" * 32 + "-2"),
        ("aws", "s3_etag", "0" * 32 + "-2"),
        ("gcp", "size", "21"),
        ("aws", "size", "21"),
    ],
)
def test_a_checksum_that_contradicts_the_cloud_is_refused_and_leaves_nothing(
    api, clouds, replica, name, wrong
):
    data, file = unique(), Version(new_uuid(), now())
    metadata = {**checksum_metadata(data), f"dss-{name}": wrong}
    answer = put(api, clouds.stage(replica, data, metadata=metadata), file)
    assert_problem(answer, 422, "invalid_checksum", name)
    assert_nothing_left(clouds, replica, data, file)
    # The name is not taken by what was refused.
    put_file(api, clouds.stage(replica, data), file=file)


def test_a_source_uploaded_in_parts_of_another_size_is_proved_by_its_content(api, clouds):
    part = 5 * 1024 * 1024
    data = unique(part + 100)
    right = checksum_metadata(data)

    def stage(metadata):
        key = f"{new_uuid()}/content"
        where = {"Bucket": clouds.staging["aws"], "Key": key}
        upload = clouds.s3.create_multipart_upload(**where, Metadata=metadata)["UploadId"]
        parts = []
        for number, piece in enumerate((data[:part], data[part:]), 1):
            done = clouds.s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=piece)
            parts.append({"PartNumber": number, "ETag": done["ETag"]})
        clouds.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        return f"s3://{where['Bucket']}/{key}"

    file = Version(new_uuid(), now())
    answer = put(api, stage({**right, "dss-s3_etag": "0" * 32}), file)
    assert_problem(answer, 422, "invalid_checksum", "s3_etag")
    assert_nothing_left(clouds, "aws", data, file)
    uploads = clouds.s3.list_multipart_uploads(Bucket=clouds.main["aws"]).get("Uploads", [])
    assert not [upload for upload in uploads if checksums_of(data).sha256 in upload["Key"]]
    put_file(api, stage(right), file=file)
    [key] = clouds.keys("aws", f"blobs/{checksums_of(data).sha256}")
    etag = clouds.s3.head_object(Bucket=clouds.main["aws"], Key=key)["ETag"].strip('"')
    assert etag == checksums_of(data).s3_etag


def test_an_empty_file_is_a_file(api, clouds, replica):
    file = put_file(api, clouds.stage(replica, b""))
    assert api.head(f"/v1/files/{file.uuid}", replica=replica).headers["X-DSS-SIZE"] == "0"


@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=ütf", "text/\x01plain", "a" * 300, "text/плоский"]
)
def test_a_content_type_that_cannot_be_a_header_is_422(api, clouds, content_type):
    source = clouds.stage("gcp", b"data")
    blob = clouds.gcs.bucket(clouds.staging["gcp"]).blob(source.split("/", 3)[3])
    blob.content_type = content_type
    blob.patch()
    assert_problem(put(api, source), 422, "unprocessable", "content-type")


def test_a_source_that_does_not_exist_is_404(configured, clouds, replica):
    for bucket in (clouds.staging[replica], "closed-no-such-bucket"):
        answer = put(configured, f"{SCHEMES[replica]}://{bucket}/no/such/key")
        assert_problem(answer, 404, "not_found", "source_url", bucket)


def test_a_source_that_may_not_be_read_is_403(configured, clouds, replica):
    bucket = f"closed-{new_uuid()}"
    if replica == "gcp":
        closed = clouds.gcs.bucket(bucket)
        closed.labels = {"dss-local-deny": "read"}
        closed.create()
        source = clouds.stage(replica, b"secret", bucket=bucket)
    else:
        clouds.s3.create_bucket(Bucket=bucket)
        source = clouds.stage(replica, b"secret", bucket=bucket)
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:HeadObject"],
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        clouds.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert_problem(put(configured, source), 403, "Forbidden", "source_url", bucket, "access is denied")


@pytest.mark.parametrize(
    "url", ["wasb://container/blob", "wasb://x", "https://example.org/x", "file:///etc/passwd", "no url", ""]
)
def test_a_source_of_an_unknown_scheme_is_400(api, url):
    assert_problem(put(api, url), 400, "unknown_source_schema", "source_url")


@pytest.mark.parametrize("scheme", ["gs", "s3"])
@pytest.mark.parametrize(
    "rest",
    [
        *("", "/", "bucket", "bucket/", "/key", "a b/key", "../key", "./key", "ü/key", "b/key", "bucket?x/y"),
        *("bucket/..", "bucket/.", "bucket/a\nb", "bucket/" + "k" * 1025, "b" * 300 + "/key", "a..b/key"),
        *("arn:aws:s3:us-east-1:1:accesspoint/x", "arn:aws:s3:::b/key", "%00/key", "-bucket/key"),
    ],
)
def test_a_source_url_of_another_form_is_400(api, scheme, rest):
    assert_problem(put(api, f"{scheme}://{rest}"), 400, "illegal_arguments", "source_url")


@pytest.mark.parametrize("key", ["a/../b", "%2e%2e", "a b+c&d=e?f#g", "ü/é", "a//b", "'\"<>"])
def test_keys_of_sources_may_hold_what_the_clouds_allow(api, clouds, replica, key):
    data = unique()
    file = put_file(api, clouds.stage(replica, data, key=f"{new_uuid()}/{key}"))
    assert sha256_of(api, replica, file) == checksums_of(data).sha256
    assert clouds.read(replica, checksums_of(data).blob_key) == data


def test_concurrent_twins_share_one_blob(api, clouds, replica):
    data = unique()
    for _ in range(2):
        put_file(api, clouds.stage(replica, data))
    assert clouds.keys(replica, f"blobs/{checksums_of(data).sha256}") == [checksums_of(data).blob_key]
