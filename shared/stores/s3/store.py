"""Amazon S3 behind the `ObjectStore` protocol."""

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, cast

from shared.checksums import MIB, Checksums, part_count, part_size
from shared.clock import Deadline
from shared.errors import (
    CopyTakesLonger,
    InvalidChecksum,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StoreError,
)
from shared.stores.base import Piece, Reader, StoredObject, UnfinishedUpload, Upload, UploadName
from shared.stores.s3 import temporary as s3_temporary
from shared.stores.s3.errors import source_pinned, translated
from shared.stores.s3.joining import join
from shared.stores.s3.parts import Body, Part, Parts, check_parts, unfinished
from shared.stores.streams import Sequential

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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
    parts_prefix = ""

    def __init__(self, client: "S3Client") -> None:
        self.client = client

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Return what S3 knows of an object, in one request."""
        with translated(bucket, key):
            head = self.client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
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
            last_used=s3_temporary.last_used(head),
            md5=etag if plain and "SSECustomerAlgorithm" not in head else None,
            crc32c=base64.b64decode(crc32c).hex() if crc32c else None,
        )

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return the tags of an object, in one request."""
        with translated(bucket, key):
            answer = self.client.get_object_tagging(Bucket=bucket, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, in order, a thousand a request; content types are not told."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
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
            body = self.client.get_object(
                Bucket=source.bucket,
                Key=source.key,
                Range=f"bytes={first}-{first + size - 1}",
                IfMatch=source.revision,
            )["Body"]
        return Body(body, source)

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
            answer = self.client.put_object(
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
            self.client.delete_object(Bucket=bucket, Key=key)

    def copy(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        deadline: Deadline,
        last_used: datetime | None = None,
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
            self._copy_in_parts(source, bucket, key, checksums, deadline, last_used)
            return
        if source.md5 is None:
            self._prove_in_parts(source, bucket, key, checksums)
        with source_pinned(source), translated(source.bucket, source.key):
            answer = self.client.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource={"Bucket": source.bucket, "Key": source.key},
                CopySourceIfMatch=source.revision,
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                ContentType=source.content_type,
                **s3_temporary.marks(last_used),
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

    def renew(self, found: StoredObject, last_used: datetime | None) -> None:
        """Copy an object onto itself, with the tag of temporary ones or without."""
        try:
            s3_temporary.renew(self, found, last_used, most_parts=_MAX_INLINE_PARTS)
        except ObjectNotFound as error:
            raise ObjectChanged(f"{error.title}: it was deleted meanwhile") from error

    def copy_more(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        token: str,
        last_used: datetime | None = None,
    ) -> str:
        """Raise StoreError: S3 copies large objects in parts."""
        raise StoreError(f"s3://{source.bucket}/{source.key}: S3 copies large objects in parts")

    def _copy_in_parts(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        checksums: Checksums,
        deadline: Deadline,
        last_used: datetime | None,
    ) -> None:
        with self.copied_parts(source, bucket, key, last_used, deadline) as (upload, _):
            try:
                self.finish_upload(upload, checksums)
            except ObjectExists:
                # Somebody else has copied the same content meanwhile; this upload is of no use any more.
                self.abort_upload(upload)

    @contextmanager
    def copied_parts(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        last_used: datetime | None,
        deadline: Deadline | None = None,
    ) -> Iterator[tuple[Upload, Parts]]:
        """Yield an upload that has all parts of an object; it is aborted if what is done with it fails.

        Raises CopyTakesLonger where the deadline passes.
        """
        size = part_size(source.size)

        def copy(number: int) -> None:
            if deadline and deadline.passed:
                raise CopyTakesLonger(f"s3://{source.bucket}/{source.key}: copying its parts takes longer")
            first = (number - 1) * size
            self.copy_part(upload, number, source, first, min(size, source.size - first))

        with self._upload(bucket, key, source, last_used) as upload:
            with ThreadPoolExecutor(_PARALLEL_PARTS) as threads:
                list(threads.map(copy, range(1, part_count(source.size) + 1)))
            yield upload, self._parts(upload)

    def _prove_in_parts(self, source: StoredObject, bucket: str, key: str, checksums: Checksums) -> None:
        """Let S3 compute the MD5 of a small object whose ETag does not tell it."""
        if source.size == 0:
            # S3 copies no empty part, and an empty content needs no asking.
            check_parts([hashlib.md5(b"", usedforsecurity=False).hexdigest()], checksums)
            return
        with self._upload(bucket, key, source) as upload:
            self.copy_part(upload, 1, source, 0, source.size)
            etags = [part.etag for part in self._parts(upload).values()]
            self.abort_upload(upload)
        check_parts(etags, checksums)

    @contextmanager
    def _upload(
        self, bucket: str, key: str, source: StoredObject, last_used: datetime | None = None
    ) -> Iterator[Upload]:
        """Begin a multipart upload, and abort it if what is done with it fails."""
        upload = self.begin_upload(
            bucket, key, size=source.size, content_type=source.content_type, last_used=last_used
        )
        try:
            yield upload
        except BaseException:
            self.abort_upload(upload)
            raise

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Write the pieces as parts: large ones are copied server side, small ones read and put together."""
        join(self.client, bucket, pieces, key, content_type=content_type)

    def begin_upload(
        self, bucket: str, key: str, *, size: int, content_type: str, last_used: datetime | None = None
    ) -> Upload:
        """Begin a multipart upload."""
        with translated(bucket, key):
            answer = self.client.create_multipart_upload(
                Bucket=bucket, Key=key, ContentType=content_type, **s3_temporary.marks(last_used)
            )
        return Upload(
            bucket=bucket,
            key=key,
            size=size,
            content_type=content_type,
            id=answer["UploadId"],
            last_used=last_used,
        )

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part as it is read, a few KiB in memory. Raises StoreError where the reader ends early."""
        stream = Sequential(data, size)
        with translated(upload.bucket, upload.key):
            self.client.upload_part(
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
            self.client.upload_part_copy(
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

    def _parts(self, upload: Upload) -> Parts:
        pages = self.client.get_paginator("list_parts").paginate(
            Bucket=upload.bucket, Key=upload.key, UploadId=upload.id
        )
        with translated(upload.bucket, upload.key):
            rows = [row for page in pages for row in page.get("Parts", [])]
        rows.sort(key=lambda row: row["PartNumber"])
        return {row["PartNumber"]: Part(row["ETag"].strip('"'), row["Size"]) for row in rows}

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Prove by the parts' MD5s what the ETag will be, and complete the upload only then."""
        parts = self._parts(upload)
        if list(parts) != list(range(1, part_count(upload.size) + 1)):
            raise StoreError(f"s3://{upload.bucket}/{upload.key}: parts are missing")
        if sum(part.size for part in parts.values()) != upload.size:
            raise InvalidChecksum(f"s3://{upload.bucket}/{upload.key}: a part has another size")
        check_parts([part.etag for part in parts.values()], checksums)
        self.complete(upload, parts, replaces=upload.last_used is not None)

    def complete(self, upload: Upload, parts: Parts, *, replaces: bool) -> None:
        """Make an object of parts that are proved. Raises ObjectExists where it may not replace one."""
        condition: dict[str, Any] = {} if replaces else {"IfNoneMatch": "*"}
        with translated(upload.bucket, upload.key):
            self.client.complete_multipart_upload(
                Bucket=upload.bucket,
                Key=upload.key,
                UploadId=upload.id,
                MultipartUpload={
                    "Parts": [{"PartNumber": number, "ETag": part.etag} for number, part in parts.items()]
                },
                **condition,
            )

    def uploads(self, bucket: str) -> Iterator[UnfinishedUpload]:
        """Yield the multipart uploads that are not complete, a thousand a request."""
        return unfinished(self.client, bucket)

    def abort_upload(self, upload: UploadName) -> None:
        """Remove an upload and its parts."""
        try:
            with translated(upload.bucket, upload.key):
                self.client.abort_multipart_upload(Bucket=upload.bucket, Key=upload.key, UploadId=upload.id)
        except ObjectNotFound:
            return

    def sign_get(self, bucket: str, key: str, *, lifetime: timedelta, disposition: str | None = None) -> str:
        """Return a presigned URL; it dies earlier if the credentials that sign it do."""
        parameters = {"Bucket": bucket, "Key": key}
        if disposition:
            parameters["ResponseContentDisposition"] = disposition
        with translated(bucket, key):
            return self.client.generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=int(lifetime.total_seconds())
            )

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket answers; raise what S3 says if not."""
        with translated(bucket, ""):
            self.client.head_bucket(Bucket=bucket)
