"""Objects in a bucket of the user's, served by signed URLs for a while."""

import uuid
from datetime import timedelta
from typing import IO, Any
from urllib.parse import urlsplit

from dss.errors import InvalidInput, MissingExtra
from dss.transfer.staging import gs_client, gs_errors

# GCS: a V4 signed URL is valid for at most seven days.
MOST_SECONDS = 7 * 24 * 3600
# Of a resumable upload, a multiple of 256 KiB.
_CHUNK_BYTES = 8 * 1024 * 1024
_REQUEST_SECONDS = 120
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class SignedObjects:
    """New objects below `gs://bucket/prefix`, written and signed with application default credentials.

    Raises InvalidInput if `location` has another form or there are no credentials that can sign, and
    MissingExtra.
    """

    def __init__(self, location: str) -> None:
        parts = urlsplit(location)
        if parts.scheme != "gs" or not parts.netloc or parts.query or parts.fragment:
            raise InvalidInput(f"{location!r} is not of the form gs://bucket/prefix")
        prefix = parts.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        what = f"an object in {location}"
        self._signer = _signer(what)
        self._client = gs_client(what, location)
        self._bucket = self._client.bucket(parts.netloc)

    def new_url(self, suffix: str) -> str:
        """Return the gs:// URL of an object that does not exist yet."""
        return f"gs://{self._bucket.name}/{self._prefix}dss-{uuid.uuid4()}{suffix}"

    def put(self, url: str, stream: IO[bytes], size: int, content_type: str) -> None:
        """Write a new object of `size` bytes, as a whole or not at all. Raises StagingFailed."""
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(url)
        blob.chunk_size = _CHUNK_BYTES
        with gs_errors(url):
            try:
                # The precondition makes the call safe to repeat.
                blob.upload_from_file(
                    stream,
                    size=size,
                    content_type=content_type,
                    if_generation_match=0,
                    checksum="crc32c",
                    timeout=_REQUEST_SECONDS,
                )
            except PreconditionFailed:
                # Its name is ours alone: an attempt arrived whose answer did not.
                return

    def sign(self, url: str, seconds: int) -> str:
        """Return an https URL that serves an object for so many seconds. Raises StagingFailed."""
        with gs_errors(url):
            signed: str = self._blob(url).generate_signed_url(
                version="v4",
                method="GET",
                expiration=timedelta(seconds=seconds),
                credentials=self._signer,
                api_access_endpoint=self._client.api_endpoint,
            )
        return signed

    def _blob(self, url: str) -> Any:
        _, _, key = url.removeprefix("gs://").partition("/")
        return self._bucket.blob(key)


def _signer(what: str) -> Any:
    """Return credentials that can sign: of a service account, by its key or by its identity."""
    try:
        import google.auth
        from google.auth.credentials import Signing
        from google.auth.exceptions import GoogleAuthError
    except ImportError as error:
        raise MissingExtra(what, "gcs") from error

    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError as error:
        raise InvalidInput(f"no Google credentials: {error}") from error
    if not isinstance(credentials, Signing):
        raise InvalidInput(
            "a person's Google credentials can't sign URLs; set GOOGLE_APPLICATION_CREDENTIALS to the key "
            "file of a service account, or run `gcloud auth application-default login "
            "--impersonate-service-account=ACCOUNT`"
        )
    return credentials
