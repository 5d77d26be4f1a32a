"""Amazon S3 behind the `ObjectStore` protocol."""

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, TYPE_CHECKING, cast

from boto3 import Session
from botocore.config import Config

from shared.checksums import MIB, Checksums, etag_of_parts, part_count, part_size
from shared.clock import Deadline
from shared.errors import (
    CopyTakesLonger,
    InvalidChecksum,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StoreError,
)
from shared.stores.base import Piece, Reader, StoredObject, Upload
from shared.stores.s3_errors import source_pinned, translated
from shared.stores.s3_joining import join
from shared.stores.streams import Sequential

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

_CONNECTIONS = 64
# Parts that one request copies at once.
_PARALLEL_PARTS = 16
# More parts than this (16 GiB of the smallest) are not begun within a request: at the 100 MB/s or so of a
# server-side part copy they would not be finished either.
_MAX_INLINE_PARTS = 256


class S3:
    """Objects in S3.

    S3's CopyObject knows no does-not-exist precondition, so content is proved before it is copied: by the
    source's ETag where that is the MD5, else by the MD5s that S3 gives the parts of an upload that is not
    completed until they fit the claim.
    """

    scheme = "s3"
    copies_in_parts = True

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Return what S3 knows of an object, in one request."""
        with translated(bucket, key):
            head = self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        etag = head["ETag"].strip('"')
        # An ETag is no MD5 where the object was uploaded in parts, or is encrypted with a customer's key.
        plain = "-" not in etag and head.get("ServerSideEncryption", "AES256") == "AES256"
        crc32c = head.get("ChecksumCRC32C") if head.get("ChecksumType") == "FULL_OBJECT" else None
        return StoredObject(
            bucket=bucket,
            key=key,
            size=head["ContentLength"],
            content_type=head.get("ContentType") or "application/octet-stream",
            metadata=head["Metadata"],
            revision=etag,
            written=head["LastModified"],
            md5=etag if plain and "SSECustomerAlgorithm" not in head else None,
            crc32c=base64.b64decode(crc32c).hex() if crc32c else None,
        )

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return the tags of an object, in one request."""
        with translated(bucket, key):
            answer = self._client.get_object_tagging(Bucket=bucket, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, in order, a thousand a request; content types are not told."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, StartAfter=after
        )
        with translated(bucket, prefix):
            for page in pages:
                for row in page.get("Contents", []):
                    etag = row["ETag"].strip('"')
                    yield StoredObject(
                        bucket=bucket,
                        key=row["Key"],
                        size=row["Size"],
                        content_type="application/octet-stream",
                        revision=etag,
                        written=row["LastModified"],
                        md5=None if "-" in etag else etag,
                    )

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of a range, of just the content that was looked at."""
        if size == 0:
            # No range of S3 is empty.
            return io.BytesIO()
        with source_pinned(source), translated(source.bucket, source.key):
            body = self._client.get_object(
                Bucket=source.bucket,
                Key=source.key,
                Range=f"bytes={first}-{first + size - 1}",
                IfMatch=source.revision,
            )["Body"]
        return _Body(body, source)

    def create(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write a new object, in one request. Raises ObjectExists where there is one."""
        self._put(bucket, key, data, content_type, hashlib.md5(data, usedforsecurity=False).digest())

    def create_from(
        self, bucket: str, key: str, data: Reader, *, size: int, content_type: str, checksums: Checksums
    ) -> None:
        """Write a new object of one part, held in memory; S3 compares it with its MD5, its `s3_etag`."""
        # Grown in place: chunks that are joined at the end would be in memory twice.
        content = bytearray()
        while len(content) <= size and (chunk := data.read(min(MIB, size + 1 - len(content)))):
            content += chunk
        if len(content) != size:
            raise InvalidChecksum(f"s3://{bucket}/{key}: {size} bytes are wanted, not {len(content)}")
        self._put(bucket, key, content, content_type, bytes.fromhex(checksums.s3_etag))

    def _put(self, bucket: str, key: str, data: bytes | bytearray, content_type: str, md5: bytes) -> None:
        with translated(bucket, key):
            answer = self._client.put_object(
                Bucket=bucket,
                Key=key,
                Body=cast(bytes, data),
                ContentType=content_type,
                ContentMD5=base64.b64encode(md5).decode(),
                IfNoneMatch="*",
            )
        # S3 has compared the MD5 by itself; servers that only speak like S3 may not have.
        if answer["ETag"].strip('"') != md5.hex():
            self.delete(bucket, key)
            raise InvalidChecksum(f"s3://{bucket}/{key}: the content is other than its checksums say")

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        with translated(bucket, key):
            self._client.delete_object(Bucket=bucket, Key=key)

    def copy(
        self, source: StoredObject, bucket: str, key: str, *, checksums: Checksums, deadline: Deadline
    ) -> None:
        """Copy an object so that its ETag at the destination is its `s3_etag`: in parts where that has parts.

        Raises InvalidChecksum before anything is at `key`, ObjectChanged, and CopyTakesLonger where the
        parts are too many for the deadline.
        """
        source.check(checksums)
        if self._holds(bucket, key, source.size, checksums):
            return
        parts = part_count(source.size)
        if parts > _MAX_INLINE_PARTS:
            raise CopyTakesLonger(f"s3://{source.bucket}/{source.key}: {parts} parts are to be copied")
        if parts > 1:
            self._copy_in_parts(source, bucket, key, checksums, deadline)
            return
        if source.md5 is None:
            self._prove_in_parts(source, bucket, key, checksums)
        with source_pinned(source), translated(source.bucket, source.key):
            answer = self._client.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource={"Bucket": source.bucket, "Key": source.key},
                CopySourceIfMatch=source.revision,
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                ContentType=source.content_type,
            )
        etag = answer["CopyObjectResult"]["ETag"].strip('"')
        if etag != checksums.s3_etag:
            self.delete(bucket, key)
            raise ObjectChanged(f"s3://{source.bucket}/{source.key}: its copy has another ETag, {etag!r}")

    def _holds(self, bucket: str, key: str, size: int, checksums: Checksums) -> bool:
        try:
            there = self.stat(bucket, key)
        except ObjectNotFound:
            return False
        return there.size == size and there.revision == checksums.s3_etag

    def copy_more(
        self, source: StoredObject, bucket: str, key: str, *, checksums: Checksums, token: str
    ) -> str:
        """Raise StoreError: S3 copies large objects in parts."""
        raise StoreError(f"s3://{source.bucket}/{source.key}: S3 copies large objects in parts")

    def _copy_in_parts(
        self, source: StoredObject, bucket: str, key: str, checksums: Checksums, deadline: Deadline
    ) -> None:
        size = part_size(source.size)

        def copy(number: int) -> None:
            if deadline.passed:
                raise CopyTakesLonger(f"s3://{source.bucket}/{source.key}: copying its parts takes longer")
            first = (number - 1) * size
            self.copy_part(upload, number, source, first, min(size, source.size - first))

        with self._upload(bucket, key, source) as upload, ThreadPoolExecutor(_PARALLEL_PARTS) as threads:
            list(threads.map(copy, range(1, part_count(source.size) + 1)))
            try:
                self.finish_upload(upload, checksums)
            except ObjectExists:
                # Somebody else has copied the same content meanwhile; this upload is of no use any more.
                self.abort_upload(upload)

    def _prove_in_parts(self, source: StoredObject, bucket: str, key: str, checksums: Checksums) -> None:
        """Let S3 compute the MD5 of a small object whose ETag does not tell it."""
        if source.size == 0:
            # S3 copies no empty part, and an empty content needs no asking.
            _check_parts([hashlib.md5(b"", usedforsecurity=False).hexdigest()], checksums)
            return
        with self._upload(bucket, key, source) as upload:
            self.copy_part(upload, 1, source, 0, source.size)
            etags = [part.etag for part in self._parts(upload).values()]
            self.abort_upload(upload)
        _check_parts(etags, checksums)

    @contextmanager
    def _upload(self, bucket: str, key: str, source: StoredObject) -> Iterator[Upload]:
        """Begin a multipart upload, and abort it if what is done with it fails."""
        upload = self.begin_upload(bucket, key, size=source.size, content_type=source.content_type)
        try:
            yield upload
        except BaseException:
            self.abort_upload(upload)
            raise

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Write the pieces as parts: large ones are copied server side, small ones read and put together."""
        join(self._client, bucket, pieces, key, content_type=content_type)

    def begin_upload(self, bucket: str, key: str, *, size: int, content_type: str) -> Upload:
        """Begin a multipart upload."""
        with translated(bucket, key):
            answer = self._client.create_multipart_upload(Bucket=bucket, Key=key, ContentType=content_type)
        return Upload(bucket=bucket, key=key, size=size, content_type=content_type, id=answer["UploadId"])

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part as it is read, a few KiB in memory. Raises StoreError where the reader ends early."""
        stream = Sequential(data, size)
        with translated(upload.bucket, upload.key):
            self._client.upload_part(
                Bucket=upload.bucket,
                Key=upload.key,
                UploadId=upload.id,
                PartNumber=number,
                Body=cast(IO[bytes], stream),
                ContentLength=size,
            )

    def copy_part(self, upload: Upload, number: int, source: StoredObject, first: int, size: int) -> None:
        """Write a part from a range of an object of S3, server side."""
        with source_pinned(source), translated(source.bucket, source.key):
            self._client.upload_part_copy(
                Bucket=upload.bucket,
                Key=upload.key,
                UploadId=upload.id,
                PartNumber=number,
                CopySource={"Bucket": source.bucket, "Key": source.key},
                CopySourceRange=f"bytes={first}-{first + size - 1}",
                CopySourceIfMatch=source.revision,
            )

    def parts(self, upload: Upload) -> Mapping[int, int]:
        """Return the size of each part that is there."""
        return {number: part.size for number, part in self._parts(upload).items()}

    def _parts(self, upload: Upload) -> "dict[int, _Part]":
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=upload.bucket, Key=upload.key, UploadId=upload.id
        )
        with translated(upload.bucket, upload.key):
            return {
                row["PartNumber"]: _Part(row["ETag"].strip('"'), row["Size"])
                for page in pages
                for row in page.get("Parts", [])
            }

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Prove by the parts' MD5s what the ETag will be, and complete the upload only then."""
        parts = sorted(self._parts(upload).items())
        if [number for number, _ in parts] != list(range(1, part_count(upload.size) + 1)):
            raise StoreError(f"s3://{upload.bucket}/{upload.key}: parts are missing")
        if sum(part.size for _, part in parts) != upload.size:
            raise InvalidChecksum(f"s3://{upload.bucket}/{upload.key}: a part has another size")
        _check_parts([part.etag for _, part in parts], checksums)
        with translated(upload.bucket, upload.key):
            self._client.complete_multipart_upload(
                Bucket=upload.bucket,
                Key=upload.key,
                UploadId=upload.id,
                IfNoneMatch="*",
                MultipartUpload={
                    "Parts": [{"PartNumber": number, "ETag": part.etag} for number, part in parts]
                },
            )

    def abort_upload(self, upload: Upload) -> None:
        """Remove an upload and its parts."""
        try:
            with translated(upload.bucket, upload.key):
                self._client.abort_multipart_upload(Bucket=upload.bucket, Key=upload.key, UploadId=upload.id)
        except ObjectNotFound:
            return

    def sign_get(self, bucket: str, key: str, *, lifetime: timedelta, disposition: str | None = None) -> str:
        """Return a presigned URL; it dies earlier if the credentials that sign it do."""
        parameters = {"Bucket": bucket, "Key": key}
        if disposition:
            parameters["ResponseContentDisposition"] = disposition
        with translated(bucket, key):
            return self._client.generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=int(lifetime.total_seconds())
            )

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket answers; raise what S3 says if not."""
        with translated(bucket, ""):
            self._client.head_bucket(Bucket=bucket)


@dataclass(frozen=True)
class _Part:
    etag: str
    size: int


class _Body:
    """The body of an answer of S3, whose errors are the house's."""

    def __init__(self, body: "StreamingBody", source: StoredObject) -> None:
        self._body = body
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many of the next bytes."""
        with translated(self._source.bucket, self._source.key):
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()


def _check_parts(etags: list[str], checksums: Checksums) -> None:
    etag = etag_of_parts(bytes.fromhex(etag) for etag in etags)
    if etag != checksums.s3_etag:
        raise InvalidChecksum(f"s3_etag: {checksums.s3_etag!r} is claimed, the content has {etag!r}")


def open_client(session: Session, *, region: str = "", endpoint_url: str = "") -> "S3Client":
    """Return a client for S3, or for the server that `endpoint_url` or else AWS_ENDPOINT_URL names."""
    return session.client(
        "s3",
        region_name=region or None,
        endpoint_url=endpoint_url or None,
        config=Config(
            signature_version="s3v4",
            max_pool_connections=_CONNECTIONS,
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 4},
            # Every write proves its bytes by Content-MD5 or by the MD5s of its parts, which is what ETags
            # rest on; S3's further checksums would change the form of the upload for nothing.
            request_checksum_calculation="when_required",
            # A body that is sent as it is read cannot be read twice, once to be signed.
            s3={"payload_signing_enabled": False},
        ),
    )
