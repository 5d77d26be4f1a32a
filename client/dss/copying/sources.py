"""Where bundles are copied from: a DSS that answers, or the bucket of one that nobody serves any more.

A bucket has all that it takes (docs/architecture.md has its keys): a manifest under `bundles/UUID.VERSION`,
and the content of each file under `blobs/`, in a key that is made of its four checksums.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from dss.api import bundles
from dss.api.session import Session
from dss.checksums import CHECKSUM_NAMES
from dss.errors import InvalidInput, OperationFailed, WrongContent
from dss.references import Reference, parse
from dss.transfer.buckets import TAG_PREFIX, Bucket, open_bucket

_OPTION = "--source"
_SCHEMES = {"gcp": "gs", "aws": "s3"}
_DEAD = ".dead"


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a bundle to copy; `url` is that of its blob, gs:// or s3://."""

    name: str
    uuid: str
    version: str
    indexed: bool
    size: int
    checksums: Mapping[str, str]
    url: str


@dataclass(frozen=True, kw_only=True)
class SourceBundle:
    """A bundle version to copy, with its files."""

    uuid: str
    version: str
    files: Sequence[SourceFile]

    @property
    def fqid(self) -> str:
        """UUID.VERSION."""
        return f"{self.uuid}.{self.version}"


class Source(Protocol):
    """Where bundles are copied from; safe to share among threads."""

    replica: str

    def bundle(self, wanted: Reference) -> SourceBundle:
        """Return a bundle version, the newest one if `wanted` names none. Raises ClientError."""
        ...

    def bundles(self, prefix: str) -> Iterator[Reference]:
        """Yield every bundle version that is not hidden and whose UUID begins so, in order."""
        ...


class DssSource:
    """A DSS. Its signed URLs tell the bucket of its blobs, unless `bucket` (gs://NAME, s3://NAME) does."""

    def __init__(self, session: Session, bucket: str | None = None) -> None:
        self.replica = session.replica
        self._session = session
        self._bucket = bucket.rstrip("/") if bucket else None

    def bundle(self, wanted: Reference) -> SourceBundle:
        """See Source."""
        signed = self._bucket is None
        found = bundles.bundle(self._session, wanted.uuid, wanted.version, presigned=signed)
        return SourceBundle(
            uuid=found["uuid"], version=found["version"], files=[self._file(row) for row in found["files"]]
        )

    def bundles(self, prefix: str) -> Iterator[Reference]:
        """See Source."""
        for row in bundles.bundles(self._session, prefix or None, per_page=500):
            yield Reference(uuid=row["uuid"], version=row["version"])

    def _file(self, row: Mapping[str, Any]) -> SourceFile:
        checksums = _checksums_of(row)
        key = _blob_key(checksums)
        bucket = self._bucket or bucket_of(str(row.get("url")), key, self.replica)
        return _source_file(row, checksums, f"{bucket}/{key}")


class BucketSource:
    """The bucket of a DSS, read with the rights of the caller."""

    def __init__(self, bucket: Bucket) -> None:
        self.replica = replica_of(bucket.url)
        self._bucket = bucket

    def bundle(self, wanted: Reference) -> SourceBundle:
        """See Source."""
        there = _versions_in(key for key, _ in self._bucket.sizes(f"bundles/{wanted.uuid}."))
        version = wanted.version or (there[-1] if there else None)
        if version is None or version not in there:
            versions = f"; it has {', '.join(there[-3:])} of it" if there else ""
            raise OperationFailed(
                f"{self._bucket.url} has no bundle {wanted.fqid}, or a tombstone hides it{versions}"
            )
        manifest = self._json(f"bundles/{wanted.uuid}.{version}")
        try:
            return SourceBundle(
                uuid=wanted.uuid, version=version, files=[self._file(row) for row in manifest["files"]]
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WrongContent(
                f"{self._bucket.url}/bundles/{wanted.uuid}.{version} is not the manifest of a bundle: "
                f"{type(error).__name__}: {error}"
            ) from error

    def bundles(self, prefix: str) -> Iterator[Reference]:
        """See Source."""
        keys: list[str] = []
        uuid = ""
        for key, _ in self._bucket.sizes(f"bundles/{prefix}"):
            of_uuid = _name_in(key).partition(".")[0]
            if of_uuid != uuid:
                yield from _references(uuid, keys)
                keys, uuid = [], of_uuid
            keys.append(key)
        yield from _references(uuid, keys)

    def _file(self, row: Mapping[str, Any]) -> SourceFile:
        if not all(_named(row, name) for name in CHECKSUM_NAMES):
            # The file's own manifest has what an old bundle's does not.
            row = {**self._json(f"files/{row['uuid']}.{row['version']}"), **row}
        checksums = _checksums_of(row)
        return _source_file(row, checksums, f"{self._bucket.url}/{_blob_key(checksums)}")

    def _json(self, key: str) -> dict[str, Any]:
        content = self._bucket.read(key)
        if content is None:
            raise OperationFailed(f"{self._bucket.url}/{key} does not exist")
        try:
            found = json.loads(content)
        except ValueError as error:
            raise WrongContent(f"{self._bucket.url}/{key} is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise WrongContent(f"{self._bucket.url}/{key} is not a JSON object")
        return found


class Tagger:
    """Writes the checksums of blobs to the blobs themselves, for a DSS that looks for them there."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def tag(self, file: SourceFile) -> None:
        """Tag a file's blob, whose other tags stay. Raises StagingFailed, MissingExtra and InvalidInput."""
        scheme, _, rest = file.url.partition("://")
        name, _, key = rest.partition("/")
        location = f"{scheme}://{name}"
        with self._lock:
            if location not in self._buckets:
                self._buckets[location] = open_bucket(location, option="--fix-tags", right="tag objects")
        tags = {f"{TAG_PREFIX}{name}": value for name, value in file.checksums.items()}
        self._buckets[location].tag(key, tags)


def open_bucket_source(location: str) -> BucketSource:
    """Return the source in a bucket, gs://NAME or s3://NAME. Raises InvalidInput and MissingExtra."""
    return BucketSource(open_bucket(location, option=_OPTION, right="read"))


def is_bucket(location: str) -> bool:
    """Return whether a source is named by the URL of a bucket."""
    return location.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES.values()))


def check_bucket(location: str, replica: str) -> None:
    """Raise InvalidInput unless this is gs://BUCKET or s3://BUCKET in the cloud of a replica."""
    scheme, _, bucket = location.rstrip("/").partition("://")
    if not bucket or "/" in bucket or scheme != _SCHEMES.get(replica):
        raise InvalidInput(
            f"--source-bucket: {location[:120]!r} is not of the form {_SCHEMES.get(replica, 'gs')}://BUCKET, "
            f"as the bucket of replica {replica} is"
        )


def replica_of(location: str) -> str:
    """Return the replica in whose cloud a bucket is, `gs://…` or `s3://…`. Raises InvalidInput for others."""
    for replica, scheme in _SCHEMES.items():
        if location.startswith(f"{scheme}://"):
            return replica
    raise InvalidInput(f"{location[:120]!r} is not of the form gs://BUCKET or s3://BUCKET")


def bucket_of(url: str, key: str, replica: str) -> str:
    """Return gs://BUCKET or s3://BUCKET of the signed URL of an object with this key.

    The bucket is the first step of the path, or of the host where the path is the key alone, as both clouds
    write it. Raises InvalidInput for URLs of another form.
    """
    parts = urlsplit(url)
    before, found, after = unquote(parts.path).rpartition(f"/{key}")
    bucket = before.strip("/")
    if found and not after and not bucket:
        bucket = next(
            (
                parts.netloc.partition(end)[0]
                for end in (".storage.googleapis.com", ".s3.", ".s3-")
                if end in parts.netloc
            ),
            "",
        )
    if not found or after or not bucket or "/" in bucket or replica not in _SCHEMES:
        raise InvalidInput(
            f"the source's URLs, as {url.partition('?')[0][:200]!r}, don't tell the bucket of its blobs; "
            "give it with --source-bucket gs://BUCKET or s3://BUCKET"
        )
    return f"{_SCHEMES[replica]}://{bucket}"


def _source_file(row: Mapping[str, Any], checksums: Mapping[str, str], url: str) -> SourceFile:
    return SourceFile(
        name=str(row["name"]),
        uuid=str(row["uuid"]),
        version=str(row["version"]),
        indexed=bool(row.get("indexed", False)),
        size=int(row["size"]),
        checksums=checksums,
        url=url,
    )


def _named(row: Mapping[str, Any], checksum: str) -> Any:
    # With a dash in manifests, with an underscore in REST.
    return row.get(checksum) or row.get(checksum.replace("_", "-"))


def _checksums_of(row: Mapping[str, Any]) -> dict[str, str]:
    found = {name: str(_named(row, name) or "").lower() for name in CHECKSUM_NAMES}
    missing = [name for name, value in found.items() if not value or "/" in value]
    if missing:
        raise WrongContent(f"file {row.get('name')!r} has no {' and no '.join(missing)} in the manifest")
    return found


def _blob_key(checksums: Mapping[str, str]) -> str:
    return "blobs/" + ".".join(checksums[name] for name in CHECKSUM_NAMES)


def _name_in(key: str) -> str:
    return key.removeprefix("bundles/")


def _versions_in(keys: Iterator[str] | Sequence[str]) -> list[str]:
    """Return the versions of one bundle that no tombstone hides, from keys of its UUID, in order."""
    ends = [_name_in(key).partition(".")[2] for key in keys]
    if "dead" in ends:
        return []
    hidden = {end.removesuffix(_DEAD) for end in ends if end.endswith(_DEAD)}
    return sorted(end for end in ends if end not in hidden and not end.endswith(_DEAD))


def _references(uuid: str, keys: Sequence[str]) -> Iterator[Reference]:
    for version in _versions_in(keys):
        try:
            yield parse(f"{uuid}.{version}")
        except InvalidInput:
            # Something else lies there.
            continue
