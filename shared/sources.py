"""Source objects: the content of a new file, and the checksums claimed for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.checksums import CHECKSUM_NAMES, Checksums, claims_of_key
from shared.errors import (
    AccessDenied,
    Forbidden,
    IllegalArguments,
    InvalidChecksum,
    MissingChecksum,
    NotFound,
    ObjectNotFound,
    StoreError,
    Unprocessable,
)
from shared.replicas import Replica, Replicas
from shared.stores.base import StoredObject, bucket_url

_URL = re.compile(r"([a-z][a-z0-9]*)://([^/]+)/(.+)", re.DOTALL)
# The bucket names that either cloud allows. Any other text would become part of the path of a request to the
# cloud and could change its meaning. GCS: 3 to 222 characters; S3: 255 in old buckets.
_BUCKET = re.compile(r"(?=.{3,255}\Z)[A-Za-z0-9]([A-Za-z0-9_-]|\.(?!\.))*[A-Za-z0-9]")
# GCS and S3: a key is at most 1,024 bytes; GCS takes none that is "." or "..".
_MAX_KEY_BYTES = 1024
_UNFIT_KEY = re.compile(r"\.{1,2}\Z|.*[\x00-\x1f\x7f]", re.DOTALL)
_MAX_CONTENT_TYPE = 255
# The names of checksums in metadata or tags: `dss-sha256`, and `hca-dss-sha256` from the `hca` tool.
_PREFIXES = ("dss-", "hca-dss-")


@dataclass(frozen=True, kw_only=True)
class SourceLocation:
    """A key in a bucket of a replica's cloud, where a source object may be."""

    replica: Replica
    bucket: str
    key: str

    @property
    def url(self) -> str:
        """The `gs://` or `s3://` URL."""
        return bucket_url(self.replica.store, self.bucket, self.key)


@dataclass(frozen=True, kw_only=True)
class Source:
    """An object in a replica's cloud, with the checksums that its metadata, tags or key claim."""

    replica: Replica
    object: StoredObject
    checksums: Checksums


def source_at(replicas: Replicas, url: str) -> SourceLocation:
    """Return where a `gs://` or `s3://` URL leads. No request.

    Raises UnknownSourceSchema, and IllegalArguments for a malformed URL.
    """
    replica = replicas.of_scheme(url.partition("://")[0])
    bucket, key = _bucket_and_key(url)
    return SourceLocation(replica=replica, bucket=bucket, key=key)


def find_source(where: SourceLocation) -> Source:
    """Return the source object at a location, whose claims agree with what the cloud knows.

    One request; a second one, for tags, only if metadata and key lack a checksum. Raises NotFound, Forbidden
    if the object is not readable, MissingChecksum, InvalidChecksum if a claim is malformed or contradicts the
    cloud, and Unprocessable if the content type does not fit into an HTTP header, or the cloud refuses the
    request for another reason.
    """
    store = where.replica.store
    try:
        found = store.stat(where.bucket, where.key)
        # The blobs of another DSS have their checksums in their keys only.
        claims = claims_of_key(where.key) | claims_of(found.metadata)
        if not _complete(claims):
            claims = claims_of(store.tags(where.bucket, where.key)) | claims
    except ObjectNotFound as error:
        raise NotFound(f"source_url: {error.title}") from error
    except AccessDenied as error:
        raise Forbidden(f"source_url: {error.title}") from error
    except StoreError as error:
        raise Unprocessable(f"source_url: {error.title}") from error
    check_content_type(found.content_type)
    missing = [name for name in CHECKSUM_NAMES if name not in claims]
    if missing:
        lacks = f"has no {' and no '.join(missing)} in its metadata (dss-{missing[0]})"
        raise MissingChecksum(f"source_url: {where.url[:200]} {lacks}")
    checksums = Checksums.parse(claims)
    _check_size(claims, found.size)
    found.check(checksums)
    return Source(replica=where.replica, object=found, checksums=checksums)


def _bucket_and_key(url: str) -> tuple[str, str]:
    """Return bucket and key of a URL. Raises IllegalArguments if neither cloud allows them."""
    match = _URL.fullmatch(url)
    if not match:
        raise IllegalArguments(f"source_url: {url[:200]!r} does not have the form scheme://bucket/key")
    _, bucket, key = match.groups()
    if not _BUCKET.fullmatch(bucket):
        raise IllegalArguments(f"source_url: {bucket[:200]!r} is not a bucket name")
    if len(key.encode()) > _MAX_KEY_BYTES or _UNFIT_KEY.match(key):
        raise IllegalArguments(
            f"source_url: {key[:200]!r} is not a valid key: it is '.' or '..', has a control character, or "
            f"is longer than {_MAX_KEY_BYTES} bytes"
        )
    return bucket, key


def claims_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums (and the size, if given) that metadata or tags claim, without prefixes."""
    claims = {}
    for name, value in metadata.items():
        # Some servers and proxies change underscores in header names, so `s3-etag` is accepted as well.
        lowered = name.lower().replace("s3-etag", "s3_etag")
        for prefix in _PREFIXES:
            if lowered.startswith(prefix):
                claims[lowered.removeprefix(prefix)] = value
    return claims


def _complete(claims: Mapping[str, str]) -> bool:
    return all(name in claims for name in CHECKSUM_NAMES)


def _check_size(claims: Mapping[str, str], size: int) -> None:
    if "size" in claims and claims["size"] != str(size):
        raise InvalidChecksum(f"size: {claims['size'][:80]!r} is claimed, the object has {size} bytes")


def check_content_type(content_type: str) -> None:
    """Raise Unprocessable if a content type does not fit into an HTTP header."""
    # Every answer about the file has it as a header.
    if len(content_type) > _MAX_CONTENT_TYPE or not (content_type.isascii() and content_type.isprintable()):
        raise Unprocessable(
            f"content-type: {content_type[:80]!r} is not printable ASCII of {_MAX_CONTENT_TYPE} bytes at most"
        )
