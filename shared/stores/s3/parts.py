"""What S3 says of parts, and the bytes that it answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.checksums import Checksums, etag_of_parts
from shared.errors import InvalidChecksum
from shared.stores.base import StoredObject, UnfinishedUpload
from shared.stores.s3.errors import translated

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Part:
    """A part of an upload, as S3 tells of it; `size` in bytes."""

    etag: str
    size: int


Parts = Mapping[int, Part]


class Body:
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


def check_parts(etags: list[str], checksums: Checksums) -> None:
    """Raise InvalidChecksum where an object of these parts would have another ETag than is claimed."""
    etag = etag_of_parts(bytes.fromhex(etag) for etag in etags)
    if etag != checksums.s3_etag:
        raise InvalidChecksum(f"s3_etag: {checksums.s3_etag!r} is claimed, the content has {etag!r}")


def unfinished(client: "S3Client", bucket: str) -> Iterator[UnfinishedUpload]:
    """Yield the multipart uploads of a bucket that are not complete, a thousand a request."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    with translated(bucket, ""):
        for page in pages:
            for row in page.get("Uploads", []):
                yield UnfinishedUpload(
                    bucket=bucket, key=row["Key"], id=row["UploadId"], touched=row["Initiated"]
                )
