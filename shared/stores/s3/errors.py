"""Maps errors of S3 to the house's."""

from collections.abc import Iterator
from contextlib import contextmanager

import botocore.exceptions

from shared.errors import (
    AccessDenied,
    InvalidChecksum,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    Unavailable,
)
from shared.stores.base import StoredObject

_NOT_FOUND = {"NoSuchKey", "NoSuchBucket", "NoSuchUpload", "404", "NotFound"}
_DENIED = {"AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "ThrottlingException", "503"}
_PRECONDITION = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_OTHER_CONTENT = {"BadDigest", "InvalidDigest"}


@contextmanager
def translated(bucket: str, key: str) -> Iterator[None]:
    """Turn S3's errors into the house's; only this function knows them."""
    url = f"s3://{bucket}/{key}" if key else f"s3://{bucket}"
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise _translate(url, error) from error
    except (botocore.exceptions.IncompleteReadError, botocore.exceptions.FlexibleChecksumError) as error:
        raise Unavailable(f"{url}: it did not arrive intact") from error
    except (
        botocore.exceptions.HTTPClientError,
        botocore.exceptions.ConnectionError,
        # A part that was sent as it was read, and would have to be read again.
        botocore.exceptions.UnseekableStreamError,
    ) as error:
        raise Unavailable(f"{url}: S3 cannot be reached") from error


@contextmanager
def source_pinned(source: StoredObject) -> Iterator[None]:
    """Raise ObjectChanged for a failed precondition, in a call whose only precondition is on its source."""
    try:
        yield
    except ObjectExists as error:
        url = f"s3://{source.bucket}/{source.key}"
        raise ObjectChanged(f"{url}: it was replaced while it was copied") from error


def _translate(
    url: str, error: botocore.exceptions.ClientError
) -> StoreError | Unavailable | InvalidChecksum:
    code = error.response["Error"].get("Code", "")
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    if code in _NOT_FOUND:
        return ObjectNotFound(f"{url}: there is no such object")
    if code in _DENIED:
        return AccessDenied(f"{url}: access is denied")
    if code in _PRECONDITION:
        return ObjectExists(f"{url}: there is such an object already")
    if code in _OTHER_CONTENT:
        return InvalidChecksum(f"{url}: the content does not match its checksums")
    if code in _BUSY or status >= 500:
        return Unavailable(f"{url}: S3 does not answer as it should")
    return StoreError(f"{url}: {error.response['Error'].get('Message', code)}")
