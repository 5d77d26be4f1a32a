"""Every error that this server answers with, and its two shapes: JSON and XML.

ApiError                  500  a fault of this server
├── BadRequest            400  the request is malformed, or the content doesn't match its checksums
│   └── BadSignedUrl      400  a signed URL is malformed
│       └── ExpiredUrl    400  a signed URL is past its time
├── Forbidden             403  the bucket denies it, or the request isn't signed
│   └── BadSignature      403  the signature isn't one of the known keys' over this request
├── NotFound              404
├── Conflict              409
├── PreconditionFailed    412
├── RangeNotSatisfiable   416
├── UploadCancelled       499
├── UploadOffset          503  a chunk begins beyond what was received
├── NotModified           304
└── Unsupported           501  unknown to this server, or deliberately absent
"""

import json
from xml.sax.saxutils import escape


class ApiError(Exception):
    """An error that is answered in the shape of Google Cloud Storage's errors."""

    status = 500
    reason = "backendError"
    code = "InternalError"

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def location(self) -> dict[str, str]:
        """Return the place of the fault in the request, for the JSON shape."""
        return {}

    def headers(self) -> list[tuple[str, str]]:
        """Return the answer's headers, without content type and length."""
        return []


class BadRequest(ApiError):
    """The request is malformed, or its content is not what it claims."""

    status = 400
    reason = "invalid"
    code = "InvalidArgument"


class BadSignedUrl(BadRequest):
    """A signed URL is malformed."""

    code = "AuthorizationQueryParametersError"


class ExpiredUrl(BadSignedUrl):
    """A signed URL is past its time."""

    code = "ExpiredToken"


class Forbidden(ApiError):
    """The bucket denies the request, or nobody has signed it."""

    status = 403
    reason = "forbidden"
    code = "AccessDenied"


class BadSignature(Forbidden):
    """No known key has made the signature over this request."""

    code = "SignatureDoesNotMatch"


class NotFound(ApiError):
    """The object, upload or other resource does not exist."""

    status = 404
    reason = "notFound"
    code = "NoSuchKey"


class BucketNotFound(NotFound):
    """The bucket does not exist."""

    code = "NoSuchBucket"

    def __init__(self) -> None:
        super().__init__("The specified bucket does not exist.")


class Conflict(ApiError):
    """The request contradicts the state of the resource."""

    status = 409
    reason = "conflict"
    code = "Conflict"


class PreconditionFailed(ApiError):
    """A precondition on generation or metageneration does not hold."""

    status = 412
    reason = "conditionNotMet"
    code = "PreconditionFailed"

    def __init__(self) -> None:
        super().__init__("At least one of the pre-conditions you specified did not hold.")

    def location(self) -> dict[str, str]:
        """Return the header to blame."""
        return {"locationType": "header", "location": "If-Match"}


class NotModified(ApiError):
    """A precondition says that the client already has this generation."""

    status = 304


class RangeNotSatisfiable(ApiError):
    """The range begins behind the end of the object, which has `size` bytes."""

    status = 416
    reason = "requestedRangeNotSatisfiable"
    code = "InvalidRange"

    def __init__(self, size: int) -> None:
        super().__init__("The requested range cannot be satisfied.")
        self.size = size

    def headers(self) -> list[tuple[str, str]]:
        """Return the header that says how large the object is."""
        return [("Content-Range", f"bytes */{self.size}")]


class UploadCancelled(ApiError):
    """The client has cancelled the resumable upload."""

    status = 499
    reason = "clientClosedRequest"


class UploadOffset(ApiError):
    """A chunk begins behind what has been received."""

    status = 503


class Unsupported(ApiError):
    """This server does not implement the request."""

    status = 501
    reason = "notImplemented"
    code = "NotImplemented"


def json_body(error: ApiError) -> bytes:
    """Return the error in the JSON API's shape."""
    entry = {"message": error.message, "domain": "global", "reason": error.reason, **error.location()}
    return json.dumps({"error": {"code": error.status, "message": error.message, "errors": [entry]}}).encode()


def xml_body(error: ApiError) -> bytes:
    """Return the error in the XML API's shape, which users of signed URLs see."""
    details = f"<Details>{escape(error.details)}</Details>" if error.details else ""
    return (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{error.code}</Code>"
        f"<Message>{escape(error.message)}</Message>{details}</Error>"
    ).encode()
