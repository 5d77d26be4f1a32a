"""Objects of S3 that the life cycle of their bucket removes, and those that it passes over.

S3 counts from when an object was written, and has rules for tags but none for what lacks one. So what is to
go has a tag; and a mark in its metadata too, which HEAD tells without another request. To count anew, an
object is copied onto itself, in parts where it has parts, so that its ETag stays what it was.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from shared.checksums import etag_of_parts, part_count
from shared.errors import CopyTakesLonger, ObjectChanged
from shared.stores.base import StoredObject, Upload
from shared.stores.s3.errors import source_pinned, translated
from shared.stores.s3.parts import Parts

# The life cycle rules of terraform/aws/storage.tf and local/ are for this tag.
TAG = ("dss-checkout", "temporary")


class PartCopier(Protocol):
    """What copies an object of S3 in parts, and whose client is at hand; `shared.stores.s3.store.S3` is."""

    client: Any

    def copied_parts(
        self, source: StoredObject, bucket: str, key: str, last_used: datetime | None
    ) -> AbstractContextManager[tuple[Upload, Parts]]:
        """Yield an upload that has all parts of an object; it is aborted if what is done with it fails."""
        ...

    def complete(self, upload: Upload, parts: Parts, *, replaces: bool) -> None:
        """Make an object of parts that are proved."""
        ...


def marks(last_used: datetime | None) -> dict[str, Any]:
    """Return the parameters of a request that writes an object, temporary or not."""
    name, value = TAG
    return {"Tagging": f"{name}={value}", "Metadata": {name: value}} if last_used else {}


def last_used(head: Mapping[str, Any]) -> datetime | None:
    """Return when an object was used last, as far as the life cycle knows; None where it passes it over."""
    name, value = TAG
    written: datetime = head["LastModified"]
    return written if head["Metadata"].get(name) == value else None


def renew(store: PartCopier, found: StoredObject, used: datetime | None, *, most_parts: int) -> None:
    """Do what `ObjectStore.renew` says. What has more parts than `most_parts` takes longer than a call."""
    if part_count(found.size) > most_parts:
        raise CopyTakesLonger(f"s3://{found.bucket}/{found.key}: it has too many parts to be copied at once")
    if "-" in found.revision:
        _renew_parts(store, found, used)
        return
    with source_pinned(found), translated(found.bucket, found.key):
        answer = store.client.copy_object(
            Bucket=found.bucket,
            Key=found.key,
            CopySource={"Bucket": found.bucket, "Key": found.key},
            CopySourceIfMatch=found.revision,
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
            ContentType=found.content_type,
            **marks(used),
        )
    etag = answer["CopyObjectResult"]["ETag"].strip('"')
    if etag != found.revision:
        # Servers that only speak like S3 may not heed the condition.
        raise ObjectChanged(f"s3://{found.bucket}/{found.key}: it was replaced meanwhile")


def _renew_parts(store: PartCopier, found: StoredObject, used: datetime | None) -> None:
    with store.copied_parts(found, found.bucket, found.key, used) as (upload, parts):
        etag = etag_of_parts(bytes.fromhex(part.etag) for part in parts.values())
        if etag != found.revision:
            raise ObjectChanged(f"s3://{found.bucket}/{found.key}: in parts it has another ETag, {etag!r}")
        store.complete(upload, parts, replaces=True)
