"""Uploads to stores that have none: each part is an object of the bucket, under a prefix of its own."""

import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from itertools import groupby

from shared.errors import ObjectNotFound
from shared.parallel import map_in_threads
from shared.stores.base import StoredObject, UnfinishedUpload, Upload, UploadName

PREFIX = "uploads/"
_ID = re.compile(PREFIX + "[0-9a-f]{32}")
_PARALLEL_DELETES = 16


def new_id() -> str:
    """Return the id of a new upload: the prefix of the keys of all its objects."""
    return PREFIX + uuid.uuid4().hex


def part_key(upload: UploadName, number: int) -> str:
    """Return the key of a part. Raises ObjectNotFound if the upload's id is none of `new_id`."""
    if not _ID.fullmatch(upload.id):
        raise ObjectNotFound(f"{upload.bucket}/{upload.key}: there is no upload {upload.id[:80]!r}")
    return f"{upload.id}.{number:05d}"


class PartsAside(ABC):
    """The methods of `ObjectStore` about such uploads, except those that write and join parts."""

    parts_prefix = PREFIX

    @abstractmethod
    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield objects, as `ObjectStore.list` does."""

    @abstractmethod
    def delete(self, bucket: str, key: str) -> None:
        """Remove an object, as `ObjectStore.delete` does."""

    def begin_upload(
        self, bucket: str, key: str, *, size: int, content_type: str, last_used: datetime | None = None
    ) -> Upload:
        """Return a new upload, which exists as soon as it has a part."""
        return Upload(
            bucket=bucket, key=key, size=size, content_type=content_type, id=new_id(), last_used=last_used
        )

    def parts(self, upload: Upload) -> Mapping[int, int]:
        """Return the size of each part."""
        names = ((found.key.partition(".")[2], found.size) for found in self.list(upload.bucket, upload.id))
        return {int(name): size for name, size in names if name.isdigit()}

    def uploads(self, bucket: str) -> Iterator[UnfinishedUpload]:
        """Yield the uploads that have an object, with the time of the last one."""
        objects = self.list(bucket, self.parts_prefix)
        for upload, parts in groupby(objects, lambda part: part.key.partition(".")[0]):
            touched = max(part.written for part in parts if part.written)
            yield UnfinishedUpload(bucket=bucket, key="", id=upload, touched=touched)

    def abort_upload(self, upload: UploadName) -> None:
        """Remove all objects of an upload; an id that is none of `new_id` has none."""
        if _ID.fullmatch(upload.id):
            keys = [found.key for found in self.list(upload.bucket, upload.id)]
            for _ in map_in_threads(partial(self.delete, upload.bucket), keys, threads=_PARALLEL_DELETES):
                pass
