"""Amazon S3 behind the `ObjectStore` protocol."""

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, cast

from shared.checksums import MIB, Checksums, part_count
from shared.clock import Deadline
from shared.errors import (
    CopyTakesLonger,
    InvalidChecksum,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StoreError,
)
from shared.stores.base import (
    Piece,
    Reader,
    StoredObject,
    UnfinishedUpload,
    Upload,
    UploadName,
    intact,
)
from shared.stores.s3 import temporary, uploads
from shared.stores.s3.errors import source_pinned, translated
from shared.stores.s3.joining import join
from shared.stores.s3.renewal import renew
from shared.stores.streams import Sequential

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, HeadObjectOutputTypeDef

# A request begins no more parts than this (16 GiB of the smallest): at the 100 MB/s or so of a server-side
# part copy it could not finish them.
_MAX_INLINE_PARTS = 256
# Objects up to so many bytes are in memory while they are written.
_HELD_BYTES = 8 * MIB


class S3:
    """Objects in S3.

    S3's CopyObject has no does-not-exist precondition, so content is proved before it is copied: by the
    source's ETag if that is the MD5, else by the MD5s that S3 computes of the parts of an upload, which is
    completed only if they match the claim.
    """

    scheme = "s3"
    signs_by_requests = False
    parts_prefix = ""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Describe an object, in one request."""
        with translated(bucket, key):
            head = self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        return _described(bucket, key, head)

    def known_blob(
        self, bucket: str, key: str, *, size: int, content_type: str, checksums: Checksums
    ) -> StoredObject:
        """Describe a blob without a request: its ETag is its `s3_etag`."""
        etag = checksums.s3_etag
        return StoredObject(
            bucket=bucket,
            key=key,
            size=size,
            content_type=content_type,
            revision=etag,
            md5=None if "-" in etag else etag,
        )

    def read_all(self, bucket: str, key: str) -> bytes:
        """Return the whole content of an object, in one request."""
        with translated(bucket, key):
            answer = self._client.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            data = answer["Body"].read()
        return intact(_described(bucket, key, answer), data, f"s3://{bucket}/{key}")

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return the tags of an object, in one request."""
        with translated(bucket, key):
            answer = self._client.get_object_tagging(Bucket=bucket, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, in order, a thousand a request; S3 lists no content types."""
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
        """Return a reader of a range of the content that `source` describes."""
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
        """Write a new object, in one request. Raises ObjectExists if there is one."""
        self._put(bucket, key, data, content_type, hashlib.md5(data, usedforsecurity=False).digest())

    def create_from(
        self, bucket: str, key: str, data: Reader, *, size: int, content_type: str, checksums: Checksums
    ) -> None:
        """Write a new object of one part; S3 compares it with its MD5, its `s3_etag`.

        It is sent as it is read if it is large, else held in memory: then a request that fails is repeated.
        """
        md5 = bytes.fromhex(checksums.s3_etag)
        if size > _HELD_BYTES:
            self._put(bucket, key, Sequential(data, size), content_type, md5)
            return
        # Grown in place: chunks that are joined at the end would be in memory twice.
        content = bytearray()
        while len(content) <= size and (chunk := data.read(min(MIB, size + 1 - len(content)))):
            content += chunk
        if len(content) != size:
            raise InvalidChecksum(f"s3://{bucket}/{key}: {size} bytes were expected, {len(content)} came")
        self._put(bucket, key, content, content_type, md5)

    def _put(
        self,
        bucket: str,
        key: str,
        data: bytes | bytearray | Sequential,
        content_type: str,
        md5: bytes,
    ) -> None:
        with translated(bucket, key):
            answer = self._client.put_object(
                Bucket=bucket,
                Key=key,
                Body=cast(bytes, data),
                ContentType=content_type,
                ContentMD5=base64.b64encode(md5).decode(),
                ContentLength=len(data),
                IfNoneMatch="*",
            )
        # S3 has compared the MD5; servers that only speak like S3 may not have.
        if answer["ETag"].strip('"') != md5.hex():
            self.delete(bucket, key)
            raise InvalidChecksum(f"s3://{bucket}/{key}: the content does not match its checksums")

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        with translated(bucket, key):
            self._client.delete_object(Bucket=bucket, Key=key)

    def erase(self, bucket: str, key: str) -> None:
        """Remove all versions of an object, and the markers of its deletions."""
        with translated(bucket, key):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
            for page in pages:
                rows = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                for version in [row["VersionId"] for row in rows if row["Key"] == key]:
                    self._client.delete_object(Bucket=bucket, Key=key, VersionId=version)

    def copy(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        deadline: Deadline,
        last_used: datetime | None = None,
        fresh: bool = False,
    ) -> None:
        """Copy an object so that its ETag at the destination is its `s3_etag`: in parts if that has parts.

        Raises InvalidChecksum before anything is at `key`, ObjectChanged, and CopyTakesLonger if there are
        too many parts for the deadline.
        """
        source.check(checksums)
        if not fresh and self._holds(bucket, key, source.size, checksums):
            return
        parts = part_count(source.size)
        if parts > _MAX_INLINE_PARTS:
            raise CopyTakesLonger(
                f"s3://{source.bucket}/{source.key}: it has {parts} parts, too many for one request"
            )
        if parts > 1:
            self._copy_in_parts(source, bucket, key, checksums, deadline, last_used)
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
                **temporary.marks(last_used),
            )
        etag = answer["CopyObjectResult"]["ETag"].strip('"')
        if etag != checksums.s3_etag:
            self.delete(bucket, key)
            raise ObjectChanged(f"s3://{source.bucket}/{source.key}: its copy has another ETag, {etag!r}")

    def _holds(self, bucket: str, key: str, size: int, checksums: Checksums) -> bool:
        try:
            stored = self.stat(bucket, key)
        except ObjectNotFound:
            return False
        return stored.size == size and stored.revision == checksums.s3_etag

    def renew(self, found: StoredObject, last_used: datetime | None) -> None:
        """Copy an object onto itself, with the tag of temporary ones or without."""
        try:
            renew(self._client, found, last_used, most_parts=_MAX_INLINE_PARTS)
        except ObjectNotFound as error:
            raise ObjectChanged(f"{error.title}: it was deleted meanwhile") from error

    def _copy_in_parts(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        checksums: Checksums,
        deadline: Deadline,
        last_used: datetime | None,
    ) -> None:
        with uploads.copied(self._client, source, bucket, key, last_used, deadline) as (upload, parts):
            try:
                self._finish(upload, parts, checksums)
            except ObjectExists:
                # Another process has copied the same content meanwhile.
                self.abort_upload(upload)

    def _prove_in_parts(self, source: StoredObject, bucket: str, key: str, checksums: Checksums) -> None:
        """Have S3 compute the MD5 of a small object whose ETag is no MD5."""
        if source.size == 0:
            # S3 copies no empty part, and the MD5 of nothing is known.
            uploads.check_parts([hashlib.md5(b"", usedforsecurity=False).hexdigest()], checksums)
            return
        with uploads.begun(
            self._client, bucket, key, size=source.size, content_type=source.content_type
        ) as upload:
            etag = uploads.copy_part(self._client, upload, 1, source, 0, source.size)
            self.abort_upload(upload)
        uploads.check_parts([etag], checksums)

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Write the pieces as parts: large ones are copied server side, small ones read and put together."""
        join(self._client, bucket, pieces, key, content_type=content_type)

    def begin_upload(
        self, bucket: str, key: str, *, size: int, content_type: str, last_used: datetime | None = None
    ) -> Upload:
        """Begin a multipart upload."""
        return uploads.begin(
            self._client, bucket, key, size=size, content_type=content_type, last_used=last_used
        )

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part as it is read, a few KiB in memory. Raises Unavailable if the reader ends early."""
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
        uploads.copy_part(self._client, upload, number, source, first, size)

    def parts(self, upload: Upload) -> Mapping[int, int]:
        """Return the size of each part that is there."""
        return {number: part.size for number, part in uploads.parts_of(self._client, upload).items()}

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Prove by the parts' MD5s what the ETag will be, and complete the upload only then."""
        self._finish(upload, uploads.parts_of(self._client, upload), checksums)

    def _finish(self, upload: Upload, parts: uploads.Parts, checksums: Checksums) -> None:
        if list(parts) != list(range(1, part_count(upload.size) + 1)):
            raise StoreError(f"s3://{upload.bucket}/{upload.key}: parts are missing")
        if sum(part.size for part in parts.values()) != upload.size:
            raise InvalidChecksum(f"s3://{upload.bucket}/{upload.key}: a part has another size")
        etags = {number: part.etag for number, part in parts.items()}
        uploads.check_parts(list(etags.values()), checksums)
        uploads.complete(self._client, upload, etags, replaces=upload.last_used is not None)

    def uploads(self, bucket: str) -> Iterator[UnfinishedUpload]:
        """Yield the multipart uploads that are not complete, a thousand a request."""
        return uploads.unfinished(self._client, bucket)

    def abort_upload(self, upload: UploadName) -> None:
        """Remove an upload and its parts."""
        uploads.abort(self._client, upload)

    def sign_get(
        self,
        bucket: str,
        key: str,
        *,
        lifetime: timedelta,
        disposition: str | None = None,
        content_type: str | None = None,
        user_project: str = "",
    ) -> str:
        """Return a presigned URL; it dies earlier if the credentials that sign it do."""
        parameters = {"Bucket": bucket, "Key": key}
        if disposition:
            parameters["ResponseContentDisposition"] = disposition
        if content_type:
            parameters["ResponseContentType"] = content_type
        with translated(bucket, key):
            return self._client.generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=int(lifetime.total_seconds())
            )

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket answers; raise what S3 answers if not."""
        with translated(bucket, ""):
            self._client.head_bucket(Bucket=bucket)


def _described(
    bucket: str, key: str, head: "HeadObjectOutputTypeDef | GetObjectOutputTypeDef"
) -> StoredObject:
    etag = head["ETag"].strip('"')
    # An ETag is no MD5 if the object was uploaded in parts, or is encrypted with a customer's key.
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
        last_used=temporary.last_used(head),
        md5=etag if plain and "SSECustomerAlgorithm" not in head else None,
        crc32c=base64.b64decode(crc32c).hex() if crc32c else None,
    )


class _Body:
    """The body of an answer of S3; turns its errors into the house's."""

    def __init__(self, body: "StreamingBody", source: StoredObject) -> None:
        self._body = body
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` of the next bytes."""
        with translated(self._source.bucket, self._source.key):
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        """Close the connection."""
        self._body.close()
