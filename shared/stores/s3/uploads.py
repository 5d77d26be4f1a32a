"""Multipart uploads of S3: begin, copy server side, prove by the MD5s of parts, complete, abort."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.checksums import Checksums, etag_of_parts, part_count, part_size
from shared.clock import Deadline
from shared.deadlines import inherited
from shared.errors import CopyTakesLonger, InvalidChecksum, ObjectNotFound
from shared.stores.base import StoredObject, UnfinishedUpload, Upload, UploadName
from shared.stores.s3.errors import source_pinned, translated
from shared.stores.s3.temporary import marks

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Parts that one request copies at once.
_PARALLEL_PARTS = 16


@dataclass(frozen=True)
class Part:
    """A part of an upload, as S3 describes it; `size` in bytes."""

    etag: str
    size: int


Parts = Mapping[int, Part]


def begin(
    client: "S3Client",
    bucket: str,
    key: str,
    *,
    size: int,
    content_type: str,
    last_used: datetime | None = None,
) -> Upload:
    """Begin a multipart upload."""
    with translated(bucket, key):
        answer = client.create_multipart_upload(
            Bucket=bucket, Key=key, ContentType=content_type, **marks(last_used)
        )
    return Upload(
        bucket=bucket,
        key=key,
        size=size,
        content_type=content_type,
        id=answer["UploadId"],
        last_used=last_used,
    )


@contextmanager
def begun(
    client: "S3Client",
    bucket: str,
    key: str,
    *,
    size: int,
    content_type: str,
    last_used: datetime | None = None,
) -> Iterator[Upload]:
    """Begin a multipart upload, and abort it if the block fails."""
    upload = begin(client, bucket, key, size=size, content_type=content_type, last_used=last_used)
    try:
        yield upload
    except BaseException:
        abort(client, upload)
        raise


@contextmanager
def copied(
    client: "S3Client",
    source: StoredObject,
    bucket: str,
    key: str,
    last_used: datetime | None,
    deadline: Deadline | None = None,
) -> Iterator[tuple[Upload, Parts]]:
    """Yield an upload that has all parts of an object, copied server side; abort it if the block fails.

    Raises CopyTakesLonger if the deadline passes.
    """
    size = part_size(source.size)

    def copy(number: int) -> tuple[int, Part]:
        if deadline and deadline.passed:
            raise CopyTakesLonger(f"s3://{source.bucket}/{source.key}: copying its parts takes longer")
        first = (number - 1) * size
        count = min(size, source.size - first)
        return number, Part(copy_part(client, upload, number, source, first, count), count)

    with begun(
        client, bucket, key, size=source.size, content_type=source.content_type, last_used=last_used
    ) as upload:
        with ThreadPoolExecutor(_PARALLEL_PARTS) as threads:
            parts = dict(threads.map(inherited(copy), range(1, part_count(source.size) + 1)))
        yield upload, parts


def copy_part(
    client: "S3Client", upload: Upload, number: int, source: StoredObject, first: int, size: int
) -> str:
    """Write a part from a range of an object of S3, server side; return the part's ETag."""
    with source_pinned(source), translated(source.bucket, source.key):
        answer = client.upload_part_copy(
            Bucket=upload.bucket,
            Key=upload.key,
            UploadId=upload.id,
            PartNumber=number,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceRange=f"bytes={first}-{first + size - 1}",
            CopySourceIfMatch=source.revision,
        )
    return answer["CopyPartResult"]["ETag"].strip('"')


def parts_of(client: "S3Client", upload: UploadName) -> Parts:
    """Return the parts of an upload, in order of their numbers."""
    pages = client.get_paginator("list_parts").paginate(
        Bucket=upload.bucket, Key=upload.key, UploadId=upload.id
    )
    with translated(upload.bucket, upload.key):
        rows = [row for page in pages for row in page.get("Parts", [])]
    rows.sort(key=lambda row: row["PartNumber"])
    return {row["PartNumber"]: Part(row["ETag"].strip('"'), row["Size"]) for row in rows}


def check_parts(etags: list[str], checksums: Checksums) -> None:
    """Raise InvalidChecksum if an object of these parts would have another ETag than is claimed."""
    etag = etag_of_parts(bytes.fromhex(etag) for etag in etags)
    if etag != checksums.s3_etag:
        raise InvalidChecksum(f"s3_etag: {checksums.s3_etag!r} is claimed, the content has {etag!r}")


def complete(client: "S3Client", upload: UploadName, etags: Mapping[int, str], *, replaces: bool) -> None:
    """Make an object of parts that are proved. Raises ObjectExists if it must not replace one."""
    condition: dict[str, Any] = {} if replaces else {"IfNoneMatch": "*"}
    with translated(upload.bucket, upload.key):
        client.complete_multipart_upload(
            Bucket=upload.bucket,
            Key=upload.key,
            UploadId=upload.id,
            MultipartUpload={
                "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in etags.items()]
            },
            **condition,
        )


def abort(client: "S3Client", upload: UploadName) -> None:
    """Remove an upload and its parts; ignore one that has ended."""
    try:
        with translated(upload.bucket, upload.key):
            client.abort_multipart_upload(Bucket=upload.bucket, Key=upload.key, UploadId=upload.id)
    except ObjectNotFound:
        return


def unfinished(client: "S3Client", bucket: str) -> Iterator[UnfinishedUpload]:
    """Yield the multipart uploads of a bucket that are not complete, a thousand a request."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    with translated(bucket, ""):
        for page in pages:
            for row in page.get("Uploads", []):
                yield UnfinishedUpload(
                    bucket=bucket, key=row["Key"], id=row["UploadId"], touched=row["Initiated"]
                )
