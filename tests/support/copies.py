"""Sources to copy, and the uploads that copies leave unfinished."""

import os

from shared.checksums import MIB, Checksums, checksums_of
from shared.replicas import Replica
from shared.stores.base import StoredObject
from shared.system import Dss
from tests.support.api import new_uuid
from tests.support.clouds import Clouds


def stage_source(dss: Dss, clouds: Clouds, replica: str, data: bytes) -> tuple[StoredObject, Checksums, str]:
    """Return a source object, its checksums, and a key that nothing has yet."""
    bucket, key = clouds.stage(replica, data, metadata={}).split("://")[1].split("/", 1)
    return dss.replicas.named(replica).store.stat(bucket, key), checksums_of(data), f"test/{new_uuid()}"


def distinct_bytes(size: int) -> bytes:
    """Return bytes of which each MiB is different."""
    block = os.urandom(MIB)
    return b"".join(index.to_bytes(8) + block[8:] for index in range(-(-size // MIB)))[:size]


def unfinished_uploads(clouds: Clouds, place: Replica, key: str = "") -> list[str]:
    """Return the unfinished uploads on a replica; on S3 only those to keys that begin with `key`.

    Tests that kill an uploader leave some.
    """
    if place.name == "gcp":
        return clouds.keys("gcp", "uploads/")
    found = clouds.s3.list_multipart_uploads(Bucket=place.bucket, Prefix=key)
    return [upload["UploadId"] for upload in found.get("Uploads", [])]
