"""Check whether components answer, and set them up. No SDK: they are slow to import, and people wait for the
start."""

import http.client
import json
import socket
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit


class NotReady(Exception):
    """The component doesn't answer as it should; the text says how it answered instead."""


def ask(
    url: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    content_type: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    seconds: float = 1.0,
) -> tuple[int, bytes]:
    """Make one HTTP request, and return status and body. Raises NotReady if no answer comes within `seconds`.

    Proxies of the environment are not used: everything is on this machine.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    all_headers = {**headers, **({"Content-Type": content_type} if content_type else {})}
    try:
        connection.request(
            method, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", body, all_headers
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{url}: {error!r}") from error
    finally:
        connection.close()


def answers(url: str) -> None:
    """Return if the server at `url` answers, with any status. Raises NotReady."""
    ask(url)


def answers_ok(url: str) -> None:
    """Return if the server answers `url` with 200. Raises NotReady."""
    status, body = ask(url)
    if status != 200:
        raise NotReady(f"{url}: {status} {body[:200]!r}")


def listens(host: str, port: int) -> None:
    """Return if a server listens at a port. Raises NotReady."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError as error:
        raise NotReady(f"{host}:{port}: {error!r}") from error


def is_healthy(url: str) -> None:
    """Return if the API reports itself and its dependencies as healthy. Raises NotReady.

    The API asks every dependency, and imports much at the first request: hence the longer time limit.
    """
    status, body = ask(f"{url}/internal/health", seconds=5.0)
    try:
        healthy = json.loads(body)["Healthy"] is True
    except (ValueError, KeyError, TypeError):
        healthy = False
    if status != 200 or not healthy:
        raise NotReady(f"{url}/internal/health: {status} {body[:500].decode(errors='replace')}")


# The same rule as in terraform/storage.tf and terraform/aws/storage.tf; a test compares them. The emulators
# store it and remove nothing.
CHECKOUT_DAYS = 14
_GCS_EXPIRY = {"action": {"type": "Delete"}, "condition": {"daysSinceCustomTime": CHECKOUT_DAYS}}
_S3_EXPIRY = (
    "<LifecycleConfiguration><Rule><ID>expire</ID><Status>Enabled</Status>"
    "<Filter><Tag><Key>dss-checkout</Key><Value>temporary</Value></Tag></Filter>"
    f"<Expiration><Days>{CHECKOUT_DAYS}</Days></Expiration></Rule></LifecycleConfiguration>"
)
# So are these: pages in browsers read what signed URLs of these buckets lead to.
GCS_CORS = {
    "origin": ["*"],
    "method": ["GET", "HEAD"],
    "responseHeader": [
        "Accept-Ranges",
        "Content-Disposition",
        "Content-Range",
        "ETag",
        "Range",
        "x-goog-hash",
    ],
    "maxAgeSeconds": 7200,
}
S3_CORS = {
    "AllowedOrigin": ["*"],
    "AllowedMethod": ["GET", "HEAD"],
    "AllowedHeader": ["*"],
    "ExposeHeader": ["Accept-Ranges", "Content-Disposition", "Content-Range", "ETag"],
    "MaxAgeSeconds": ["7200"],
}


def create_gcs_buckets(
    url: str,
    project: str,
    names: list[str],
    *,
    checkout: str = "",
    shown: Container[str] = (),
    seconds: float = 1.0,
) -> None:
    """Create the buckets that don't exist, by the JSON API, within `seconds` each. Raises NotReady.

    Objects in the bucket `checkout` expire. Pages may read objects of those that are `shown`.
    """
    for name in names:
        body = json.dumps(
            {
                "name": name,
                **({"lifecycle": {"rule": [_GCS_EXPIRY]}} if name == checkout else {}),
                **({"cors": [GCS_CORS]} if name in shown else {}),
            }
        ).encode()
        status, answer = ask(
            f"{url}/storage/v1/b?project={project}",
            method="POST",
            body=body,
            content_type="application/json",
            seconds=seconds,
        )
        if status not in (200, 409):
            raise NotReady(f"bucket {name}: {status} {answer[:300]!r}")


def create_s3_buckets(
    url: str, names: list[str], *, checkout: str = "", shown: Iterable[str] = (), seconds: float = 10.0
) -> None:
    """Create the buckets that don't exist, in us-east-1, within `seconds` each. Raises NotReady.

    Objects in the bucket `checkout` expire if they have the tag. Pages may read objects of those that are
    `shown`.
    """
    for name in names:
        status, answer = ask(f"{url}/{name}", method="PUT", seconds=seconds)
        if status not in (200, 409):
            raise NotReady(f"bucket {name}: {status} {answer[:300]!r}")
    rules = {f"{checkout}?lifecycle": _S3_EXPIRY} if checkout else {}
    rules |= {f"{name}?cors": _s3_cors() for name in shown}
    for rule, body in rules.items():
        status, answer = ask(f"{url}/{rule}", method="PUT", body=body.encode(), seconds=seconds)
        if status != 200:
            raise NotReady(f"{rule}: {status} {answer[:300]!r}")


def _s3_cors() -> str:
    members = "".join(f"<{name}>{text}</{name}>" for name, texts in S3_CORS.items() for text in texts)
    return f"<CORSConfiguration><CORSRule>{members}</CORSRule></CORSConfiguration>"
