"""The staging bucket: objects that carry their four checksums, for the DSS to copy from.

A cloud's SDK is an extra, imported when it is used.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol, cast, runtime_checkable
from urllib.parse import urlsplit

from dss import environment
from dss.checksums import Checksums, part_size
from dss.errors import ContentChanged, InvalidInput, MissingExtra, StagingFailed, translated
from dss.transfer.hashed_stream import HashedStream, hashed
from dss.transfer.vendor_errors import sentence_of

OnBytes = Callable[[int], None]

_GS_LOGIN = "`gcloud auth application-default login`"
_S3_LOGIN = "`aws sso login` or `aws configure`"
_SCHEME_OF = {"gcp": "gs", "aws": "s3"}
# GCS: a chunk of a resumable upload is a multiple of 256 KiB; each is sent again as a whole if it breaks.
_GS_CHUNK_BYTES = 32 * 1024 * 1024
_GS_SECONDS = 120


class Staging(Protocol):
    """A place in a bucket; threads may call `put` and `delete` at once."""

    def put(self, path: Path, key: str, checksums: Checksums, content_type: str, on_bytes: OnBytes) -> str:
        """Store a file with its checksums and return its URL; an equal object that exists already will do.

        Calls `on_bytes` with the number of bytes sent. Raises StagingFailed.
        """
        ...

    def delete(self, url: str) -> None:
        """Remove a staged object, if it exists. Raises StagingFailed."""
        ...


@runtime_checkable
class HashesOnTheWay(Protocol):
    """A staging to which a file can go before its checksums are known."""

    def put_hashed(self, path: Path, key: str, content_type: str, on_bytes: OnBytes) -> tuple[str, Checksums]:
        """Store a file, read once; return its URL, and its checksums, which the object carries, too.

        No object has this key. Raises StagingFailed and ContentChanged.
        """
        ...


def staging_for(replica: str, location: str | None) -> Staging:
    """Return the staging of a replica, at `gs://bucket/prefix` or `s3://bucket/prefix`.

    Raises InvalidInput if there is no location, or if its cloud is not the replica's, and MissingExtra.
    """
    if replica not in _SCHEME_OF:
        raise InvalidInput(
            f"replica: cannot upload to {replica!r}; upload to {' or '.join(_SCHEME_OF)} instead"
        )
    scheme = _SCHEME_OF[replica]
    if not location:
        raise InvalidInput(
            f"no staging bucket: give --staging {scheme}://bucket/prefix, "
            f"or set DSS_{scheme.upper()}_STAGING_BUCKET"
        )
    parts = urlsplit(location if "://" in location else f"{scheme}://{location}")
    if parts.scheme not in _SCHEME_OF.values() or not parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(
            f"--staging: {location!r} is not of the form gs://bucket/prefix or s3://bucket/prefix"
        )
    if parts.scheme != scheme:
        raise InvalidInput(
            f"--staging: {location!r} is not in the cloud of replica {replica}; give {scheme}://bucket/prefix"
        )
    prefix = parts.path.strip("/")
    made = GsStaging if scheme == "gs" else S3Staging
    return cast(Staging, made(parts.netloc, f"{prefix}/" if prefix else ""))


class GsStaging:
    """Staging in a GCS bucket, with the user's application default credentials."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._prefix = prefix
        self._bucket_name = bucket
        self._bucket = gs_client(f"an upload to gs://{bucket}", f"gs://{bucket}").bucket(bucket)

    def put(self, path: Path, key: str, checksums: Checksums, content_type: str, on_bytes: OnBytes) -> str:
        """Store a file; see Staging."""
        size = path.stat().st_size
        url, blob = self._object(key)
        blob.metadata = _metadata(checksums)
        with gs_errors(url), path.open("rb") as stream:
            _send(blob, _Counted(stream, on_bytes), size, content_type)
        self._check(path, url, blob, size, checksums)
        return url

    def put_hashed(self, path: Path, key: str, content_type: str, on_bytes: OnBytes) -> tuple[str, Checksums]:
        """Store a file and hash it on the way; see HashesOnTheWay."""
        size = path.stat().st_size
        url, blob = self._object(key)
        with gs_errors(url), path.open("rb") as stream, hashed(stream, size) as passing:
            _send(blob, _Counted(passing, on_bytes), size, content_type)
            checksums = passing.result()
        self._check(path, url, blob, size, checksums)
        with gs_errors(url):
            blob.metadata = _metadata(checksums)
            blob.patch(if_generation_match=blob.generation, timeout=_GS_SECONDS)
        return url, checksums

    def _object(self, key: str) -> tuple[str, Any]:
        name = self._prefix + key
        return f"gs://{self._bucket_name}/{name}", self._bucket.blob(name, chunk_size=_GS_CHUNK_BYTES)

    def _check(self, path: Path, url: str, blob: Any, size: int, checksums: Checksums) -> None:
        if base64.b64decode(blob.crc32c or "").hex() != checksums.crc32c or (blob.size or 0) != size:
            self.delete(url)
            raise ContentChanged(f"{path} changed while it was being staged, or {url} held something else")

    def delete(self, url: str) -> None:
        """Remove an object; see Staging."""
        from google.api_core.exceptions import NotFound

        bucket, _, key = url.removeprefix("gs://").partition("/")
        with gs_errors(url):
            try:
                self._bucket.client.bucket(bucket).blob(key).delete(timeout=_GS_SECONDS)
            except NotFound:
                return


class S3Staging:
    """Staging in an S3 bucket, with the credentials that boto3 finds."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._prefix = prefix
        self._bucket = bucket
        self._client = s3_client(f"an upload to s3://{bucket}", f"s3://{bucket}")

    def put(self, path: Path, key: str, checksums: Checksums, content_type: str, on_bytes: OnBytes) -> str:
        """Store a file; see Staging. Its parts are cut by the rule of `s3_etag`, so S3 proves that one."""
        from boto3.s3.transfer import TransferConfig

        size = path.stat().st_size
        url = f"s3://{self._bucket}/{self._prefix}{key}"
        # With a dash: servers drop header names that have an underscore.
        metadata = {f"dss-{name.replace('_', '-')}": value for name, value in asdict(checksums).items()}
        config = TransferConfig(
            multipart_threshold=part_size(size) + 1, multipart_chunksize=part_size(size), max_concurrency=4
        )
        with s3_errors(url):
            self._client.upload_file(
                str(path),
                self._bucket,
                self._prefix + key,
                ExtraArgs={"Metadata": metadata, "ContentType": content_type},
                Callback=on_bytes,
                Config=config,
            )
        return url

    def delete(self, url: str) -> None:
        """Remove an object; see Staging."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        with s3_errors(url):
            self._client.delete_object(Bucket=bucket, Key=key)


def _metadata(checksums: Checksums) -> dict[str, str]:
    return {f"dss-{name}": value for name, value in asdict(checksums).items()}


def _send(blob: Any, stream: "_Counted", size: int, content_type: str) -> None:
    from google.api_core.exceptions import PreconditionFailed

    try:
        # The precondition makes the call safe to repeat.
        blob.upload_from_file(
            stream, size=size, content_type=content_type, if_generation_match=0, timeout=_GS_SECONDS
        )
    except PreconditionFailed:
        # An earlier run was killed after this object, before it could record it.
        blob.reload(timeout=_GS_SECONDS)


class _Counted:
    """A stream that reports how far its reader got; seeking back counts as negative."""

    def __init__(self, stream: "IO[bytes] | HashedStream", on_bytes: OnBytes) -> None:
        self._stream = stream
        self._on_bytes = on_bytes

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._on_bytes(len(data))
        return data

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        before = self._stream.tell()
        position = self._stream.seek(offset, whence)
        self._on_bytes(position - before)
        return position


def gs_client(what: str, where: str, **advice: str) -> Any:
    """Return a client of GCS with the user's application default credentials, for many threads.

    Raises MissingExtra, with `what` as what needs the library, and StagingFailed about the bucket at `where`.
    """
    try:
        from google.cloud import storage
    except ImportError as error:
        raise MissingExtra(what, "gcs") from error
    with gs_errors(where, **advice):
        # Objects need no project, and a laptop may have none.
        client = storage.Client(project=environment.google_project() or "none")
        widen_pool(client)
    return client


def s3_client(what: str, where: str, **advice: str) -> Any:
    """Return a client of S3 with the credentials that boto3 finds, for many threads.

    Raises MissingExtra, with `what` as what needs the library, StagingFailed, and InvalidInput if there are
    no credentials for the bucket at `where`.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise MissingExtra(what, "s3") from error
    config = Config(max_pool_connections=64, retries={"mode": "standard", "max_attempts": 8})
    with s3_errors(where, **advice):
        session = boto3.Session()
        if session.get_credentials() is None:
            raise InvalidInput(f"no AWS credentials for {where}; run `aws configure` or `aws sso login`")
        return session.client("s3", config=config)


def widen_pool(client: Any) -> None:
    """Let many threads share the client's session without waiting for, or dropping, connections."""
    from requests.adapters import HTTPAdapter

    # Without credentials there may be no such attribute in later versions of the library.
    session = getattr(client, "_http", None)
    if session is not None:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=64))


def gs_errors(what: str, **advice: str) -> AbstractContextManager[None]:
    """Raise the errors of Google's libraries as StagingFailed, with `what` before their text.

    `advice` is as `sentence_of` takes it.
    """
    import requests
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    foreign = (GoogleAPIError, GoogleAuthError, InvalidResponse, DataCorruption, requests.RequestException)
    return _as_staging_failed(what, _GS_LOGIN, foreign, advice)


def s3_errors(what: str, **advice: str) -> AbstractContextManager[None]:
    """Raise the errors of AWS's libraries as StagingFailed; see `gs_errors`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return _as_staging_failed(what, _S3_LOGIN, (Boto3Error, BotoCoreError, ClientError), advice)


def _as_staging_failed(
    what: str, login: str, foreign: Sequence[type[Exception]], advice: Mapping[str, str]
) -> AbstractContextManager[None]:
    def failed(error: Exception) -> StagingFailed:
        return StagingFailed(f"{what}: {sentence_of(error, login, **advice)}")

    return translated([(error, failed) for error in foreign])
