"""The staging bucket: objects that carry their four checksums, for the DSS to copy from.

The only place of the command line that knows a cloud's SDK; each is imported when it is needed.
"""

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import urlsplit

from dss.checksums import Checksums, part_size
from dss.errors import Refused, StagingFailed, WrongContent

OnBytes = Callable[[int], None]

_SCHEME_OF = {"gcp": "gs", "aws": "s3"}
_VARIABLE_OF = {"gcp": "DSS_GS_STAGING_BUCKET", "aws": "DSS_S3_STAGING_BUCKET"}
# GCS: a chunk of a resumable upload is a multiple of 256 KiB; each is sent again as a whole if it breaks.
_GS_CHUNK_BYTES = 32 * 1024 * 1024
_GS_SECONDS = 120


class Staging(Protocol):
    """A place in a bucket; `put` and `delete` may be called by threads at once."""

    def put(self, path: Path, key: str, checksums: Checksums, content_type: str, on_bytes: OnBytes) -> str:
        """Store a file with its checksums and return its URL; an equal object that is there already will do.

        `on_bytes` is told how many bytes were sent. Raises StagingFailed.
        """
        ...

    def delete(self, url: str) -> None:
        """Remove a staged object; one that is gone is no error. Raises StagingFailed."""
        ...


def staging_for(replica: str, location: str | None) -> Staging:
    """Return the staging of a replica, at `gs://bucket/prefix` or `s3://bucket/prefix`.

    Without a location the environment names the bucket: DSS_GS_STAGING_BUCKET or DSS_S3_STAGING_BUCKET.
    Raises Refused where there is none, or it is in another cloud than the replica.
    """
    if replica not in _SCHEME_OF:
        raise Refused(
            f"replica: data are put into {' or '.join(_SCHEME_OF)}, and come to {replica!r} from there"
        )
    scheme = _SCHEME_OF[replica]
    text = location or os.environ.get(_VARIABLE_OF[replica], "")
    if not text:
        raise Refused(
            f"no staging bucket: give --staging {scheme}://bucket/prefix or set {_VARIABLE_OF[replica]}"
        )
    parts = urlsplit(text if "://" in text else f"{scheme}://{text}")
    if parts.scheme not in _SCHEME_OF.values() or not parts.netloc or parts.query or parts.fragment:
        raise Refused(f"--staging: {text!r} is not of the form gs://bucket/prefix or s3://bucket/prefix")
    if parts.scheme != scheme:
        raise Refused(f"--staging: {text!r} is not in the cloud of replica {replica}: {scheme}://… is wanted")
    prefix = parts.path.strip("/")
    made = GsStaging if scheme == "gs" else S3Staging
    return cast(Staging, made(parts.netloc, f"{prefix}/" if prefix else ""))


class GsStaging:
    """Staging in a GCS bucket, with the user's application default credentials."""

    def __init__(self, bucket: str, prefix: str) -> None:
        from google.cloud import storage

        self._prefix = prefix
        self._bucket_name = bucket
        with _gs_errors(f"gs://{bucket}"):
            # Objects need no project, and a laptop may know none.
            client = storage.Client(project=os.environ.get("GOOGLE_CLOUD_PROJECT") or "none")
            _widen_pool(client)
            self._bucket = client.bucket(bucket)

    def put(self, path: Path, key: str, checksums: Checksums, content_type: str, on_bytes: OnBytes) -> str:
        """Store a file; see Staging."""
        from google.api_core.exceptions import PreconditionFailed

        size = path.stat().st_size
        url = f"gs://{self._bucket_name}/{self._prefix}{key}"
        blob = self._bucket.blob(self._prefix + key, chunk_size=_GS_CHUNK_BYTES)
        blob.metadata = {f"dss-{name}": value for name, value in asdict(checksums).items()}
        with _gs_errors(url), path.open("rb") as stream:
            try:
                # The precondition makes the call safe to repeat.
                blob.upload_from_file(
                    _Counted(stream, on_bytes),
                    size=size,
                    content_type=content_type,
                    if_generation_match=0,
                    timeout=_GS_SECONDS,
                )
            except PreconditionFailed:
                # An earlier run was killed after this object, before it could take a note of it.
                blob.reload(timeout=_GS_SECONDS)
        if base64.b64decode(blob.crc32c or "").hex() != checksums.crc32c or blob.size != size:
            self.delete(url)
            raise WrongContent(f"{path} changed while it was being staged, or {url} held something else")
        return url

    def delete(self, url: str) -> None:
        """Remove an object; see Staging."""
        from google.api_core.exceptions import NotFound

        bucket, _, key = url.removeprefix("gs://").partition("/")
        with _gs_errors(url):
            try:
                self._bucket.client.bucket(bucket).blob(key).delete(timeout=_GS_SECONDS)
            except NotFound:
                return


class S3Staging:
    """Staging in an S3 bucket, with the credentials that boto3 finds."""

    def __init__(self, bucket: str, prefix: str) -> None:
        import boto3
        from botocore.config import Config

        self._prefix = prefix
        self._bucket = bucket
        config = Config(max_pool_connections=64, retries={"mode": "standard", "max_attempts": 8})
        with _s3_errors(f"s3://{bucket}"):
            session = boto3.Session()
            if session.get_credentials() is None:
                raise Refused(f"no AWS credentials to write to s3://{bucket} with: see `aws configure`")
            self._client: Any = session.client("s3", config=config)

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
        with _s3_errors(url):
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
        with _s3_errors(url):
            self._client.delete_object(Bucket=bucket, Key=key)


class _Counted:
    """A stream that tells how far its reader got; bytes read again after a break count as taken back."""

    def __init__(self, stream: IO[bytes], on_bytes: OnBytes) -> None:
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


def _widen_pool(client: Any) -> None:
    """Let many threads share the client's session without waiting for, or dropping, connections."""
    from requests.adapters import HTTPAdapter

    # Without credentials there may be no such attribute in later versions of the library.
    session = getattr(client, "_http", None)
    if session is not None:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=64))


@contextmanager
def _gs_errors(what: str) -> Iterator[None]:
    import requests
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, InvalidResponse, DataCorruption) as error:
        raise StagingFailed(f"{what}: {error}") from error
    except requests.RequestException as error:
        raise StagingFailed(f"{what}: {error}") from error


@contextmanager
def _s3_errors(what: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise StagingFailed(f"{what}: {error}") from error
