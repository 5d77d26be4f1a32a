"""The client of boto3 that talks to S3."""

import io
from typing import TYPE_CHECKING, Any

from boto3 import Session
from botocore.config import Config

from shared.checksums import MIB
from shared.deadlines import limited
from shared.stores.streams import Sequential

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECTIONS = 64
_READ_SECONDS = 30
# Bodies that are sent without asking first.
_SMALL_BYTES = MIB


def open_client(session: Session, *, region: str = "", endpoint_url: str = "") -> "S3Client":
    """Return a client for S3, or for the server that `endpoint_url` or else AWS_ENDPOINT_URL names."""
    client = session.client(
        "s3",
        region_name=region or None,
        endpoint_url=endpoint_url or None,
        config=Config(
            signature_version="s3v4",
            # Botocore's own is put together anew for each request, of 25 parts.
            user_agent="dss",
            max_pool_connections=_CONNECTIONS,
            connect_timeout=5,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "max_attempts": 4},
            # Each write proves its bytes by Content-MD5 or by the MD5s of its parts, from which ETags are
            # made; S3's further checksums would change the form of the upload for nothing.
            request_checksum_calculation="when_required",
            # A body that is sent as it is read cannot be read a second time to be signed.
            s3={"payload_signing_enabled": False},
        ),
    )
    client.meta.events.register("before-send.s3", _limit)
    client.meta.events.register("before-send.s3", _send_in_blocks)
    return client


def _send_in_blocks(request: Any, **_: object) -> None:
    """Send a stream by the MiB, and what is in memory at once.

    Urllib3 would read and send 16 KiB at a time, for twice the CPU time. Botocore would first ask whether S3
    wants to have a body at all (Expect: 100-continue), and wait for its answer: of a small one that is longer
    than to send it. The header is not signed.
    """
    if isinstance(request.body, Sequential):
        request.body = request.body.blocks()
    elif isinstance(request.body, io.BytesIO):
        request.body = request.body.getvalue()
        if len(request.body) <= _SMALL_BYTES:
            request.headers.pop("Expect", None)


def _limit(request: Any, **_: object) -> None:
    """End each attempt of a request at the deadline of shared/deadlines.py."""
    request.context["read_timeout"] = limited(_READ_SECONDS)
