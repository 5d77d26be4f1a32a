"""Google Cloud Storage behind the `ObjectStore` protocol."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import requests
from google.api_core.exceptions import NotFound
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Blob, Client
from requests.adapters import HTTPAdapter

from shared.checksums import MIB, Checksums
from shared.clock import Deadline
from shared.deadlines import limited
from shared.errors import (
    CopyTakesLonger,
    InvalidChecksum,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    Unavailable,
)
from shared.stores.base import Piece, Reader, StoredObject, Upload
from shared.stores.gcs.compose import compose
from shared.stores.gcs.errors import translated
from shared.stores.gcs.signing import UrlSigner, signed_url
from shared.stores.parts_aside import PartsAside, part_key
from shared.stores.streams import Sequential

# Threads of one process that may talk to GCS at once without opening a connection for a single request.
_CONNECTIONS = 64
# Bytes of an object that are in memory at once.
_CHUNK = 8 * MIB
# GCS: a call copies what it can in about half a minute, and answers with a token.
_REWRITE_SECONDS = 120


class GoogleCloudStorage(PartsAside):
    """Objects in GCS.

    Relies on generations: a create says `if_generation_match=0`, a copy pins its source's generation. Parts
    of uploads are objects, and composed.
    """

    scheme = "gs"

    def __init__(
        self,
        client: Client,
        signer: UrlSigner,
    ) -> None:
        self._client = client
        self._signer = signer
        self.signs_by_requests = signer.asks

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Describe an object, in one request."""
        with translated(bucket, key):
            blob = self._client.bucket(bucket).blob(key)
            blob.reload(client=self._client)
        return self._described(blob)

    def _described(self, blob: Blob) -> StoredObject:
        return StoredObject(
            bucket=blob.bucket.name,
            key=blob.name,
            size=_size(blob),
            content_type=blob.content_type or "application/octet-stream",
            metadata=blob.metadata or {},
            revision=str(blob.generation),
            written=blob.time_created,
            last_used=blob.custom_time,
            md5=_hex(blob.md5_hash),
            crc32c=_hex(blob.crc32c),
        )

    def known_blob(
        self, bucket: str, key: str, *, size: int, content_type: str, checksums: Checksums
    ) -> StoredObject:
        """Describe a blob without a request, and without its generation."""
        return StoredObject(
            bucket=bucket, key=key, size=size, content_type=content_type, revision="", crc32c=checksums.crc32c
        )

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, in order, a thousand a request."""
        # GCS's own bound is inclusive; no key lies between this one and `after`.
        start = after + "\0" if after else None
        with translated(bucket, prefix):
            for blob in self._client.list_blobs(bucket, prefix=prefix, start_offset=start):
                yield self._described(blob)

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of a range of the generation that `source` describes."""
        return _Range(self._source(source), source, first, size)

    def _source(self, source: StoredObject) -> Blob:
        generation = int(source.revision) if source.revision else None
        return self._client.bucket(source.bucket).blob(source.key, generation=generation)

    def read_all(self, bucket: str, key: str) -> bytes:
        """Return the whole content of an object, in one request; the library compares its CRC-32C."""
        with translated(bucket, key):
            blob = self._client.bucket(bucket).blob(key)
            content: bytes = blob.download_as_bytes(raw_download=True, checksum="crc32c")
        return content

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return nothing: objects of GCS have no tags."""
        return {}

    def create(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write a new object, in one request. Raises ObjectExists if there is one."""
        with translated(bucket, key):
            self._client.bucket(bucket).blob(key).upload_from_string(
                data, content_type=content_type, if_generation_match=0, checksum="crc32c"
            )

    def create_from(
        self, bucket: str, key: str, data: Reader, *, size: int, content_type: str, checksums: Checksums
    ) -> None:
        """Write a new object as it is read, _CHUNK bytes in memory; GCS compares it with its CRC-32C."""
        blob = self._client.bucket(bucket).blob(key)
        blob.crc32c = base64.b64encode(bytes.fromhex(checksums.crc32c)).decode()
        self._send(blob, data, size=size, content_type=content_type, if_generation_match=0)
        # GCS has compared it; servers that only speak like GCS may not have. The blob has their answer.
        if (_size(blob), _hex(blob.crc32c)) != (size, checksums.crc32c):
            self.delete(bucket, key)
            raise InvalidChecksum(f"gs://{bucket}/{key}: the content does not match its checksums")

    def _send(self, blob: Blob, data: Reader, *, size: int, **options: Any) -> None:
        blob.chunk_size = _CHUNK
        stream = Sequential(data, size)
        try:
            with translated(blob.bucket.name, blob.name):
                blob.upload_from_file(stream, size=size, checksum=None, **options)
        except (ValueError, OSError) as error:
            # The library's errors for a stream that ended early, or that it would have to read again.
            raise Unavailable(
                f"gs://{blob.bucket.name}/{blob.name}: the upload broke off: {error}"
            ) from error

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        try:
            with translated(bucket, key):
                self._client.bucket(bucket).blob(key).delete()
        except ObjectNotFound:
            return

    def erase(self, bucket: str, key: str) -> None:
        """Remove all generations of an object. The bucket's soft delete keeps them for its time: nobody can.

        (https://cloud.google.com/storage/docs/soft-delete: no request ends that time early.)
        """
        with translated(bucket, key):
            for blob in list(self._client.list_blobs(bucket, prefix=key, versions=True)):
                if blob.name == key:
                    with suppress(NotFound):
                        blob.delete(client=self._client)

    def copy(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        deadline: Deadline,
        last_used: datetime | None = None,
        fresh: bool = False,
    ) -> None:
        """Copy an object by one rewrite call, which is enough within a location and storage class.

        Its precondition is that there is none: so `fresh` changes nothing. Raises InvalidChecksum before
        anything is written, ObjectChanged, and CopyTakesLonger if GCS returns a token to continue with.
        """
        source.check(checksums)
        destination = self._blob(bucket, key, source.content_type, last_used)
        if self._rewrite(source, destination, timeout=max(1.0, deadline.remaining())):
            raise CopyTakesLonger(f"gs://{source.bucket}/{source.key}: GCS needs several calls to copy it")
        # GCS has described the copy, unless there was one.
        if destination.crc32c and (_size(destination), _hex(destination.crc32c)) != (
            source.size,
            checksums.crc32c,
        ):
            self.delete(bucket, key)
            raise ObjectChanged(f"gs://{source.bucket}/{source.key}: its copy has other checksums")

    def copy_more(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        token: str,
        last_used: datetime | None = None,
    ) -> str:
        """Do the next rewrite call of a copy."""
        source.check(checksums)
        destination = self._blob(bucket, key, source.content_type, last_used)
        return self._rewrite(source, destination, token, timeout=_REWRITE_SECONDS)

    def renew(self, found: StoredObject, last_used: datetime | None) -> None:
        """Set the custom time, from which the life cycle counts. Removing it takes a rewrite onto itself."""
        if last_used is None:
            destination = self._blob(found.bucket, found.key, found.content_type, None)
            token = ""
            while token := self._rewrite(
                found, destination, token, replaces=int(found.revision), timeout=_REWRITE_SECONDS
            ):
                pass
            return
        blob = self._client.bucket(found.bucket).blob(found.key)
        blob.custom_time = last_used
        try:
            with translated(found.bucket, found.key):
                blob.patch(if_generation_match=int(found.revision))
        except (ObjectNotFound, ObjectExists) as error:
            raise ObjectChanged(f"{error.title}: it was replaced or deleted meanwhile") from error
        except StoreError:
            # A custom time never goes back: another process has set a later one, then.
            current = self.stat(found.bucket, found.key).last_used
            if current is None or current < last_used:
                raise

    def _blob(self, bucket: str, key: str, content_type: str, last_used: datetime | None) -> Blob:
        """Return a destination. Setting any property makes GCS take all of them from here.

        So GCS copies no Content-Encoding, and signed URLs serve the bytes as they are.
        """
        blob = self._client.bucket(bucket).blob(key)
        blob.content_type = content_type
        if last_used:
            blob.custom_time = last_used
        return blob

    def _rewrite(
        self, source: StoredObject, destination: Blob, token: str = "", *, timeout: float, replaces: int = 0
    ) -> str:
        try:
            with translated(source.bucket, source.key):
                more, _, _ = destination.rewrite(
                    self._source(source),
                    token=token or None,
                    if_generation_match=replaces,
                    timeout=timeout,
                )
        except ObjectExists as error:
            if replaces:
                raise ObjectChanged(f"{error.title}: it was replaced meanwhile") from error
            return ""
        except ObjectNotFound as error:
            # The generation that `source` describes is gone: replaced, or deleted.
            raise ObjectChanged(f"{error.title}: it was replaced or deleted while it was copied") from error
        return more or ""

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Compose the pieces; intermediate objects are under `uploads/`, and removed in the end."""
        scratch = self.begin_upload(
            bucket, key, size=sum(piece.size for piece in pieces), content_type=content_type
        )
        try:
            whole = compose(
                self._client.bucket(bucket),
                [piece.key for piece in pieces],
                into=key,
                content_type=content_type,
                scratch=f"{scratch.id}.joined",
                only_new=True,
            )
        finally:
            self.abort_upload(scratch)
        if _size(whole) != scratch.size:
            self.delete(bucket, key)
            raise ObjectChanged(f"gs://{bucket}/{key}: {_size(whole)} bytes instead of {scratch.size}")

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part as it is read, _CHUNK bytes in memory."""
        blob = self._client.bucket(upload.bucket).blob(part_key(upload, number))
        self._send(blob, data, size=size, content_type="application/octet-stream")

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Compose the parts under `uploads/`, prove the whole by GCS's CRC-32C, and only then move it."""
        numbers = sorted(self.parts(upload))
        if not numbers:
            raise ObjectNotFound(f"gs://{upload.bucket}/{upload.key}: this upload has ended")
        whole = compose(
            self._client.bucket(upload.bucket),
            [part_key(upload, number) for number in numbers],
            into=f"{upload.id}.whole",
            content_type=upload.content_type,
        )
        found = self._described(whole)
        if found.size != upload.size:
            raise InvalidChecksum(f"gs://{upload.bucket}/{upload.key}: {found.size} bytes, not {upload.size}")
        place = {"bucket": upload.bucket, "key": upload.key}
        token = ""
        while token := self.copy_more(
            found, **place, checksums=checksums, token=token, last_used=upload.last_used
        ):
            pass
        self.abort_upload(upload)

    def sign_get(
        self,
        bucket: str,
        key: str,
        *,
        lifetime: timedelta,
        disposition: str | None = None,
        content_type: str | None = None,
        user_project: str = "",
    ) -> str:
        """Return a V4 signed URL."""
        parameters = {
            "response-content-disposition": disposition,
            "response-content-type": content_type,
            "userProject": user_project or None,
        }
        return signed_url(
            self._signer,
            self._client.api_endpoint,
            bucket,
            key,
            lifetime=lifetime,
            parameters={name: value for name, value in parameters.items() if value is not None},
        )

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket can be listed; else raise the error."""
        with translated(bucket, ""):
            # Listing needs only permission to read objects; `buckets.get` would need more.
            next(iter(self._client.list_blobs(bucket, max_results=1, timeout=5, retry=None)), None)


def open_client(project: str) -> Client:
    """Return a client for GCS, or for the server that STORAGE_EMULATOR_HOST names.

    It pools `_CONNECTIONS` connections; the client library's own pool has ten, and drops the others after
    each request.
    """
    client = Client(project=project)
    # For traces, which nobody takes, it asks for each bucket in a thread of its own, without the permission.
    client._bucket_metadata_cache = None  # noqa: SLF001
    adapter = _Limited(pool_connections=4, pool_maxsize=_CONNECTIONS)
    # The client takes a session only with credentials, and finds those by itself only without one.
    session: AuthorizedSession | requests.Session = client._http  # noqa: SLF001
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    _fix_environment(session, client.api_endpoint)
    return client


def _fix_environment(session: requests.Session, url: str) -> None:
    """Read proxies and certificates from the environment once; for each request it takes a third of it."""
    settings = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify = settings["proxies"], settings["verify"]
    session.trust_env = False


class _Limited(HTTPAdapter):
    """Sends requests that end at the deadline of shared/deadlines.py."""

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request; wait at most until the deadline for each answer of the server."""
        return super().send(request, *arguments, **{**options, "timeout": limited(options["timeout"])})


def _size(blob: Blob) -> int:
    # Google's own storage-testbench leaves `size` out of an empty object's JSON.
    return int(blob.size or 0)


def _hex(base64_digest: str | None) -> str | None:
    return base64.b64decode(base64_digest).hex() if base64_digest else None


class _Range:
    """Reads a range of a blob, chunk by chunk."""

    def __init__(self, blob: Blob, source: StoredObject, first: int, size: int) -> None:
        self._blob = blob
        self._source = source
        self._position = first
        self._end = first + size
        self._chunk = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` of the next bytes."""
        if not self._chunk and self._position < self._end:
            self._fetch()
        count = len(self._chunk) if size < 0 else size
        taken, self._chunk = self._chunk[:count], self._chunk[count:]
        return bytes(taken)

    def _fetch(self) -> None:
        last = min(self._position + _CHUNK, self._end) - 1
        try:
            with translated(self._source.bucket, self._source.key):
                data = self._blob.download_as_bytes(
                    start=self._position, end=last, raw_download=True, checksum=None
                )
        except ObjectNotFound as error:
            if not self._source.revision:
                raise
            raise ObjectChanged(f"{error.title}: it was replaced or deleted while it was read") from error
        self._chunk = memoryview(data)
        self._position += len(data)

    def close(self) -> None:
        """Drop the bytes that were read ahead."""
        self._chunk = memoryview(b"")
