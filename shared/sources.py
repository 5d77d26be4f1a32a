"""Source objects: where the content of a new file comes from, and what is claimed of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.checksums import CHECKSUM_NAMES, Checksums
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
from shared.stores.base import StoredObject

_URL = re.compile(r"([a-z][a-z0-9]*)://([^/]+)/(.+)", re.DOTALL)
# What either cloud lets a bucket be called, and what it never does: whatever else a URL says would end in the
# path of a request to the cloud and change its meaning. GCS: 3 to 222 characters; S3: 255 in old buckets.
_BUCKET = re.compile(r"(?=.{3,255}\Z)[A-Za-z0-9]([A-Za-z0-9_-]|\.(?!\.))*[A-Za-z0-9]")
# GCS and S3: a key is at most 1,024 bytes; GCS takes none that is "." or "..".
_MAX_KEY_BYTES = 1024
_UNFIT_KEY = re.compile(r"\.{1,2}\Z|.*[\x00-\x1f\x7f]", re.DOTALL)
_MAX_CONTENT_TYPE = 255
# Labs' tools call a checksum `dss-sha256`, in metadata or tags; the `hca` tool says `hca-dss-sha256`.
_PREFIXES = ("dss-", "hca-dss-")


@dataclass(frozen=True, kw_only=True)
class Source:
    """An object in a replica's cloud, with the checksums that its owner claims for it."""

    replica: Replica
    object: StoredObject
    checksums: Checksums


def find_source(replicas: Replicas, url: str) -> Source:
    """Return the source object at a `gs://` or `s3://` URL; what the cloud knows agrees with its claims.

    One request; a second one, for tags, only where the metadata lack a checksum. Raises
    UnknownSourceSchema, IllegalArguments for a URL of another form, NotFound, Forbidden where it may not be
    read, MissingChecksum, InvalidChecksum where a claim is malformed or contradicts the cloud, and
    Unprocessable for a content type that no HTTP header can carry, or whatever else the cloud says no to.
    """
    scheme, bucket, key = _parts(url)
    replica = replicas.of_scheme(scheme)
    try:
        found = replica.store.stat(bucket, key)
        claims = _claims(found.metadata)
        if not _complete(claims):
            claims = _claims(replica.store.tags(bucket, key)) | claims
    except ObjectNotFound as error:
        raise NotFound(f"source_url: {error.title}") from error
    except AccessDenied as error:
        raise Forbidden(f"source_url: {error.title}") from error
    except StoreError as error:
        raise Unprocessable(f"source_url: {error.title}") from error
    _check_content_type(found.content_type)
    missing = [name for name in CHECKSUM_NAMES if name not in claims]
    if missing:
        raise MissingChecksum(
            f"source_url: {url[:200]} has no {' and no '.join(missing)} in its metadata (dss-{missing[0]})"
        )
    checksums = Checksums.parse(claims)
    _check_size(claims, found.size)
    found.check(checksums)
    return Source(replica=replica, object=found, checksums=checksums)


def _parts(url: str) -> tuple[str, str, str]:
    """Return scheme, bucket and key of a URL. Raises IllegalArguments for what neither cloud has."""
    match = _URL.fullmatch(url)
    if not match:
        raise IllegalArguments(f"source_url: {url[:200]!r} does not have the form scheme://bucket/key")
    scheme, bucket, key = match.groups()
    if not _BUCKET.fullmatch(bucket):
        raise IllegalArguments(f"source_url: {bucket[:200]!r} is no name of a bucket")
    if len(key.encode()) > _MAX_KEY_BYTES or _UNFIT_KEY.match(key):
        raise IllegalArguments(
            f"source_url: {key[:200]!r} is no key: it is '.' or '..', has a control character, or over "
            f"{_MAX_KEY_BYTES} bytes"
        )
    return scheme, bucket, key


def _claims(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums (and the size, if given) that metadata or tags claim, by their plain names."""
    claims = {}
    for name, value in metadata.items():
        # Servers and proxies disagree on underscores in the names of headers, so a dash will do as well.
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


def _check_content_type(content_type: str) -> None:
    # It comes back as a header of every answer about the file.
    if len(content_type) > _MAX_CONTENT_TYPE or not (content_type.isascii() and content_type.isprintable()):
        raise Unprocessable(
            f"content-type: {content_type[:80]!r} is not printable ASCII of {_MAX_CONTENT_TYPE} bytes at most"
        )
