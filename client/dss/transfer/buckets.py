"""Buckets that a person can read or write: a source of bundles that nobody serves, a place for an export.

What is done here are small objects, and copies that the cloud makes itself: no content of a file passes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from dss.errors import InvalidInput
from dss.transfer.staging import gs_client, gs_errors, s3_client, s3_errors

# Of one request; a rewrite within a bucket is one for any size, or comes in steps below that.
_GS_SECONDS = 120
# The tags of the `hca` tool, which a DSS of any age takes for the checksums of a source object.
TAG_PREFIX = "hca-dss-"
# S3: an object has at most so many tags.
_MOST_TAGS = 10


class Bucket(Protocol):
    """A bucket, safe to share among threads; `url` is gs://NAME or s3://NAME.

    Every method raises StagingFailed if the cloud refuses or fails.
    """

    url: str

    def read(self, key: str) -> bytes | None:
        """Return the content of an object, None if there is none."""
        ...

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size in bytes of each object whose key begins so, in order."""
        ...

    def write(self, key: str, content: bytes, content_type: str) -> None:
        """Write an object, over any that is there."""
        ...

    def copy(self, key: str, to: str) -> None:
        """Copy an object to another key, over any that is there, inside the cloud."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if it exists."""
        ...

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Add tags (on GCS, which has none: metadata) to an object; those that it has stay."""
        ...


def open_bucket(location: str, *, option: str, right: str) -> Bucket:
    """Return the bucket at gs://BUCKET or s3://BUCKET.

    `option` is that of the command line which named it, and `right` what is done there, for the advice in
    errors. Raises InvalidInput for other texts, with a prefix too, and MissingExtra.
    """
    parts = urlsplit(location)
    makers: dict[str, Callable[..., object]] = {"gs": _GsBucket, "s3": _S3Bucket}
    if parts.scheme not in makers or not parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(f"{option}: {location[:120]!r} is not of the form gs://BUCKET or s3://BUCKET")
    if parts.path.strip("/"):
        raise InvalidInput(
            f"{option}: {location[:120]!r} names a place in a bucket; give {parts.scheme}://{parts.netloc}"
        )
    advice = {"option": option, "right": right}
    return cast(Bucket, makers[parts.scheme](parts.netloc, f"{option} {location}", advice))


class _GsBucket:
    """See Bucket."""

    def __init__(self, name: str, what: str, advice: Mapping[str, str]) -> None:
        self.url = f"gs://{name}"
        self._bucket = gs_client(what, self.url, **advice).bucket(name)
        self._advice = advice

    def _errors(self, key: str) -> AbstractContextManager[None]:
        return gs_errors(f"{self.url}/{key}", **self._advice)

    def read(self, key: str) -> bytes | None:
        from google.api_core.exceptions import NotFound

        with self._errors(key):
            try:
                content: bytes = self._bucket.blob(key).download_as_bytes(timeout=_GS_SECONDS)
            except NotFound:
                return None
        return content

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._errors(prefix):
            for blob in self._bucket.list_blobs(prefix=prefix, timeout=_GS_SECONDS):
                yield blob.name, blob.size or 0

    def write(self, key: str, content: bytes, content_type: str) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        with self._errors(key):
            # The same content again is the same object, so the call is safe to repeat.
            self._bucket.blob(key).upload_from_string(
                content, content_type=content_type, timeout=_GS_SECONDS, retry=DEFAULT_RETRY
            )

    def copy(self, key: str, to: str) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        source, target = self._bucket.blob(key), self._bucket.blob(to)
        rewrite = partial(target.rewrite, source, timeout=_GS_SECONDS, retry=DEFAULT_RETRY)
        with self._errors(key):
            token, _, _ = rewrite()
            while token is not None:
                token, _, _ = rewrite(token=token)

    def delete(self, key: str) -> None:
        from google.api_core.exceptions import NotFound

        with self._errors(key):
            try:
                self._bucket.blob(key).delete(timeout=_GS_SECONDS)
            except NotFound:
                return

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        blob = self._bucket.blob(key)
        with self._errors(key):
            blob.reload(timeout=_GS_SECONDS)
            blob.metadata = {**(blob.metadata or {}), **tags}
            blob.patch(if_metageneration_match=blob.metageneration, timeout=_GS_SECONDS)


class _S3Bucket:
    """See Bucket."""

    def __init__(self, name: str, what: str, advice: Mapping[str, str]) -> None:
        self.url = f"s3://{name}"
        self._name = name
        self._client: Any = s3_client(what, self.url, **advice)
        self._advice = advice

    def _errors(self, key: str) -> AbstractContextManager[None]:
        return s3_errors(f"{self.url}/{key}", **self._advice)

    def read(self, key: str) -> bytes | None:
        with self._errors(key):
            try:
                content: bytes = self._client.get_object(Bucket=self._name, Key=key)["Body"].read()
            except self._client.exceptions.NoSuchKey:
                return None
        return content

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
            for page in pages:
                for row in page.get("Contents", ()):
                    yield row["Key"], row["Size"]

    def write(self, key: str, content: bytes, content_type: str) -> None:
        with self._errors(key):
            self._client.put_object(Bucket=self._name, Key=key, Body=content, ContentType=content_type)

    def copy(self, key: str, to: str) -> None:
        with self._errors(key):
            # Above 5 GB, what one call copies, boto3 copies parts.
            self._client.copy({"Bucket": self._name, "Key": key}, self._name, to)

    def delete(self, key: str) -> None:
        with self._errors(key):
            self._client.delete_object(Bucket=self._name, Key=key)

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        with self._errors(key):
            there = self._client.get_object_tagging(Bucket=self._name, Key=key)["TagSet"]
            merged = {**{row["Key"]: row["Value"] for row in there}, **tags}
            if len(merged) > _MOST_TAGS:
                raise InvalidInput(
                    f"{self.url}/{key} has {len(there)} tags; with {', '.join(tags)} it would have more than "
                    f"{_MOST_TAGS}, the most that S3 takes: remove some"
                )
            tag_set = [{"Key": name, "Value": value} for name, value in merged.items()]
            self._client.put_object_tagging(Bucket=self._name, Key=key, Tagging={"TagSet": tag_set})
