"""Objects of S3 copied onto themselves, so that their bucket's life cycle starts counting again, or stops.

An object that was uploaded in parts is copied in the same parts, so that its ETag stays the same.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from shared.checksums import etag_of_parts, part_count
from shared.errors import CopyTakesLonger, ObjectChanged
from shared.stores.base import StoredObject
from shared.stores.s3 import uploads
from shared.stores.s3.errors import source_pinned, translated
from shared.stores.s3.temporary import marks

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def renew(client: "S3Client", source: StoredObject, last_used: datetime | None, *, most_parts: int) -> None:
    """Do what `ObjectStore.renew` says. Raises CopyTakesLonger if it has more than `most_parts` parts."""
    if part_count(source.size) > most_parts:
        raise CopyTakesLonger(f"s3://{source.bucket}/{source.key}: it has too many parts for one request")
    if "-" in source.revision:
        _renew_parts(client, source, last_used)
        return
    with source_pinned(source), translated(source.bucket, source.key):
        answer = client.copy_object(
            Bucket=source.bucket,
            Key=source.key,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceIfMatch=source.revision,
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
            ContentType=source.content_type,
            **marks(last_used),
        )
    etag = answer["CopyObjectResult"]["ETag"].strip('"')
    if etag != source.revision:
        # Servers that only speak like S3 may ignore the condition.
        raise ObjectChanged(f"s3://{source.bucket}/{source.key}: it was replaced meanwhile")


def _renew_parts(client: "S3Client", source: StoredObject, last_used: datetime | None) -> None:
    with uploads.copied(client, source, source.bucket, source.key, last_used) as (upload, parts):
        etags = {number: part.etag for number, part in parts.items()}
        etag = etag_of_parts(bytes.fromhex(part) for part in etags.values())
        if etag != source.revision:
            raise ObjectChanged(f"s3://{source.bucket}/{source.key}: in parts it has another ETag, {etag!r}")
        uploads.complete(client, upload, etags, replaces=True)
