"""No checksum is believed that nobody computed: a false claim leaves nothing, and its name stays free."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from local.api import api_process
from shared.checksums import CHECKSUM_NAMES, MIB, Checksums, checksums_of
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.copies import distinct_bytes
from tests.support.waiting import wait_until

# What is larger is verified by the copy workflow.
INLINE = 6 * MIB
LARGE = 7 * MIB


@pytest.fixture(scope="module")
def api(whole_system: dict[str, str]) -> Iterator[Api]:
    """An API of a system with workflows, asked by somebody who may write."""
    with api_process(whole_system, {"DSS_INLINE_VERIFY_BYTES": str(INLINE)}) as process:
        yield Api(process.url, whole_system["DSS_TOKEN"])


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    """Both of its clouds."""
    return Clouds(whole_system)


def claims(checksums: Checksums) -> dict[str, str]:
    """Return checksums as metadata of an object."""
    return {f"dss-{name}": getattr(checksums, name) for name in CHECKSUM_NAMES}


def flipped(checksums: Checksums, name: str) -> Checksums:
    """Return checksums of which one has another first digit."""
    right = getattr(checksums, name)
    return replace(checksums, **{name: f"{int(right[0], 16) ^ 1:x}{right[1:]}"})


def put(api: Api, source: str, file: Version) -> requests.Response:
    """Return the answer to a PUT of a file."""
    body = {"source_url": source, "creator_uid": 1}
    return api.put(f"/v1/files/{file.uuid}", version=file.version, json=body)


def ended(api: Api, file: Version, replica: str) -> requests.Response:
    """Return the answer to a GET of a file once it is there, or is known not to come."""

    def answers() -> list[requests.Response]:
        read = api.get(f"/v1/files/{file.uuid}", replica=replica, version=file.version)
        # An answer that is an error is false.
        return [] if read.status_code == 404 else [read]

    (read,) = wait_until(answers, f"{file} is verified")
    return read


def put_and_wait(api: Api, source: str, file: Version, replica: str) -> requests.Response:
    """PUT a file, small or large; return the problem, or the answer to a GET of it."""
    answer = put(api, source, file)
    return answer if answer.status_code == 422 else ended(api, file, replica)


# The workflow computes all four alike, wherever the object is.
CLAIMS = [
    *((replica, 20, name) for replica in REPLICAS for name in CHECKSUM_NAMES),
    *(("gcp", LARGE, name) for name in ("sha256", "crc32c")),
    *(("aws", LARGE, name) for name in ("sha1", "s3_etag")),
]


@pytest.mark.parametrize(("replica", "size", "name"), CLAIMS)
def test_a_false_claim_is_refused_and_leaves_the_name_free(
    api: Api, clouds: Clouds, replica: str, size: int, name: str
) -> None:
    data = distinct_bytes(size)
    false, file = flipped(checksums_of(data), name), Version(new_uuid(), now())

    problem = put_and_wait(api, clouds.stage(replica, data, metadata=claims(false)), file, replica)

    assert (problem.status_code, problem.json()["code"]) == (422, "invalid_checksum"), problem.text
    assert name in problem.json()["title"]
    assert api.head(f"/v1/files/{file.uuid}", replica=replica).status_code in (404, 422)
    for each in ("gcp", "aws"):
        assert clouds.keys(each, false.blob_key) == clouds.keys(each, f"files/{file.uuid}") == []
    assert put_and_wait(api, clouds.stage(replica, data), file, replica).status_code == 302


def test_a_composed_object_of_gcs_with_the_etag_of_other_parts_is_refused(api: Api, clouds: Clouds) -> None:
    data = distinct_bytes(66 * MIB)
    right = checksums_of(data)
    wrong, file = replace(right, s3_etag="f" * 32 + "-2"), Version(new_uuid(), now())
    bucket = clouds.gcs.bucket(clouds.staging["gcp"])
    pieces = [bucket.blob(f"{new_uuid()}/{number}") for number in range(2)]
    for piece, part in zip(pieces, (data[: 35 * MIB], data[35 * MIB :]), strict=True):
        piece.upload_from_string(part)
    whole = bucket.blob(f"{new_uuid()}/whole")
    whole.content_type = "text/plain"
    whole.metadata = claims(wrong)
    whole.compose(pieces)
    source = f"gs://{bucket.name}/{whole.name}"

    problem = put_and_wait(api, source, file, "gcp")

    assert (problem.status_code, problem.json()["code"]) == (422, "invalid_checksum"), problem.text
    whole.metadata = claims(right)
    whole.patch()
    assert put_and_wait(api, source, file, "gcp").status_code == 302


def multipart(clouds: Clouds, data: bytes, size: int, metadata: dict[str, str]) -> str:
    """Upload an object to S3 in parts of `size` bytes; return its URL."""
    place = {"Bucket": clouds.staging["aws"], "Key": f"{new_uuid()}/parts"}
    upload = clouds.s3.create_multipart_upload(**place, Metadata=metadata)["UploadId"]
    parts: list[dict[str, Any]] = []
    for number, first in enumerate(range(0, len(data), size), 1):
        part = clouds.s3.upload_part(
            **place, UploadId=upload, PartNumber=number, Body=data[first : first + size]
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    clouds.s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    return f"s3://{place['Bucket']}/{place['Key']}"


@pytest.mark.parametrize("size", [INLINE, LARGE], ids=["small", "large"])
def test_an_object_of_s3_in_other_parts_is_taken_for_what_it_is(api: Api, clouds: Clouds, size: int) -> None:
    other, data = distinct_bytes(size), distinct_bytes(size)
    known, file = Version(new_uuid(), now()), Version(new_uuid(), now())
    assert put_and_wait(api, clouds.stage("aws", other), known, "aws").status_code == 302

    # Its ETag says nothing of its content: so the claims of another file, whose blob exists, are tried on it.
    false = multipart(clouds, data, 5 * MIB, claims(checksums_of(other)))
    problem = put_and_wait(api, false, file, "aws")
    assert (problem.status_code, problem.json()["code"]) == (422, "invalid_checksum"), problem.text

    right = multipart(clouds, data, 5 * MIB, claims(checksums_of(data)))
    read = put_and_wait(api, right, file, "aws")
    assert requests.get(read.headers["Location"], timeout=60).content == data
    assert put(api, right, file).status_code == 200


def test_a_new_large_file_whose_content_is_there_is_written_at_once(
    api: Api, clouds: Clouds, replica: str
) -> None:
    source = clouds.stage(replica, distinct_bytes(LARGE))
    first = Version(new_uuid(), now())
    assert put(api, source, first).status_code == 202
    assert ended(api, first, replica).status_code == 302

    # The file may be read a moment before its job has ended, and a PUT is answered by the job until then.
    wait_until(lambda: put(api, source, first).status_code == 200, f"the job of {first} ends")
    put_file(api, source)


def test_a_bundle_and_a_collection_wait_for_files_that_are_verified(
    api: Api, clouds: Clouds, replica: str
) -> None:
    files = [Version(new_uuid(), now()) for _ in range(2)]
    for file in files:
        assert put(api, clouds.stage(replica, distinct_bytes(LARGE)), file).status_code == 202

    put_bundle(api, replica, [files[0].named("large")])
    put_collection(api, replica, [files[1].linked()])


def test_a_bundle_does_not_wait_for_files_that_nobody_verifies(
    api: Api, clouds: Clouds, replica: str
) -> None:
    file, data = Version(new_uuid(), now()), distinct_bytes(LARGE)
    false = claims(flipped(checksums_of(data), "sha1"))
    assert put_and_wait(api, clouds.stage(replica, data, metadata=false), file, replica).status_code == 422
    put_bundle(api, replica, [file.named("large")], status=400)
    put_bundle(api, replica, [Version(new_uuid(), now()).named("nothing")], status=400)


def test_a_file_has_its_own_content_type_wherever_it_is_read(api: Api, clouds: Clouds, replica: str) -> None:
    data = os.urandom(20)
    types = ("binary/octet-stream", 'application/json; dcp-type="metadata/x"')
    files = [put_file(api, clouds.stage(replica, data, content_type=kind)) for kind in types]
    bundle = put_bundle(api, replica, [file.named(f"{n}.json") for n, file in enumerate(files)])
    path, query = f"/v1/bundles/{bundle.uuid}", {"replica": replica, "version": bundle.version}

    presigned = api.get(path, presignedurls=True, **query).json()["bundle"]["files"]
    assert [served_type(file["url"]) for file in sorted(presigned, key=lambda file: file["name"])] == [*types]
    for file, kind in zip(files, types, strict=True):
        read = api.get(f"/v1/files/{file.uuid}", replica=replica, version=file.version)
        assert served_type(read.headers["Location"]) == kind
        direct = wait_until(lambda: direct_url(api, f"/v1/files/{file.uuid}", replica), "it is checked out")  # noqa: B023
        assert stored_type(clouds, direct) == kind


def served_type(url: str) -> str:
    """Return the Content-Type under which a URL is served."""
    answer = requests.get(url, timeout=60)
    assert answer.status_code == 200
    return answer.headers["Content-Type"]


def direct_url(api: Api, path: str, replica: str) -> str | None:
    """Return the URL of a checked out file, if it is there."""
    answer = api.get(path, replica=replica, directurl=True)
    return answer.headers["Location"] if answer.status_code == 302 else None


def stored_type(clouds: Clouds, url: str) -> str:
    """Return the content type of an object by its URL."""
    scheme, _, place = url.partition("://")
    bucket, _, key = place.partition("/")
    if scheme == "gs":
        blob = clouds.gcs.bucket(bucket).get_blob(key)
        assert blob
        return str(blob.content_type)
    return str(clouds.s3.head_object(Bucket=bucket, Key=key)["ContentType"])
