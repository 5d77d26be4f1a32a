"""Objects on web servers, read by HTTPS in ranges, each on condition that the object is still the same.

A server has to say how large an object is, when it was written, and to answer ranges.
"""

import io
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from shared.checksums import MIB
from shared.errors import (
    AccessDenied,
    IllegalArguments,
    ObjectChanged,
    ObjectNotFound,
    StoreError,
    Unavailable,
    Unprocessable,
)
from shared.stores.base import Reader, StoredObject
from shared.system import Dss
from shared.webhooks.callbacks import Callbacks, CallFailed, Fetched, networks_of

SCHEME = "https"
# Nothing that libraries might read differently: no user, no backslash, no other alphabet.
_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[!-~]*")
# Characters of a URL. Servers refuse longer ones than 8,000.
_LONGEST = 2000
# Seconds of one request, and the bytes of its answer at most.
_SECONDS = 120
_MOST = 8 * MIB
# Redirects that are followed, each to an address that is checked.
_REDIRECTS = 5
_SHOWN = 200


class WebStore:
    """Web servers, as a store that can only be read; an object's bucket and key are its URL."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks

    @classmethod
    def of(cls, dss: Dss) -> "WebStore":
        """Return the web as the settings let it be called."""
        return cls(Callbacks(networks_of(dss.settings.callback_networks)))

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Describe an object. Raises ObjectNotFound, AccessDenied, Unavailable, and Unprocessable.

        The latter says what the server lacks.
        """
        url = f"{bucket}/{key}"
        answer = self._ask(url, "HEAD", {}, 0)
        headers = answer.headers
        length, written = headers.get("Content-Length", ""), headers.get("Last-Modified", "")
        if not length.isdigit() or headers.get("Content-Encoding", "identity") != "identity":
            raise Unprocessable(f"{url[:_SHOWN]}: its server does not tell its size")
        try:
            moment = parsedate_to_datetime(written)
        except ValueError:
            raise Unprocessable(f"{url[:_SHOWN]}: its server does not tell when it was written") from None
        etag = headers.get("ETag", "")
        return StoredObject(
            bucket=bucket,
            key=key,
            size=int(length),
            content_type=headers.get("Content-Type", "application/octet-stream"),
            # A weak ETag says that two contents are equivalent, not that they are the same.
            revision=written if not etag or etag.startswith("W/") else etag,
            written=moment if moment.tzinfo else moment.replace(tzinfo=UTC),
        )

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of a range, of 8 MiB at most, which is in memory. Raises ObjectChanged."""
        if size == 0:
            return io.BytesIO()
        url = f"{source.bucket}/{source.key}"
        condition = "If-Match" if source.revision.startswith('"') else "If-Unmodified-Since"
        headers = {"Range": f"bytes={first}-{first + size - 1}", condition: source.revision}
        answer = self._ask(url, "GET", headers, _MOST)
        expected = f"bytes {first}-{first + size - 1}/{source.size}"
        if answer.status == 200 and (first, size) == (0, source.size):
            return io.BytesIO(answer.body)
        if answer.status != 206:
            raise Unprocessable(f"{url[:_SHOWN]}: its server answers no ranges, but {answer.status}")
        if answer.headers.get("Content-Range") != expected:
            raise ObjectChanged(f"{url[:_SHOWN]}: it was replaced since it was listed")
        return io.BytesIO(answer.body)

    def _ask(self, url: str, method: str, headers: Mapping[str, str], most: int) -> Fetched:
        """Return an answer of success. Raises the errors of stores for others."""
        asked = url
        for _ in range(_REDIRECTS + 1):
            check_web_url(asked)
            try:
                answer = self._callbacks.fetch(
                    asked,
                    method=method,
                    headers={**headers, "Accept-Encoding": "identity"},
                    seconds=_SECONDS,
                    most=most,
                )
            except CallFailed as error:
                if error.status == 200:
                    # To ask again would be of no use, and cost as much.
                    raise Unprocessable(
                        f"{url[:_SHOWN]}: its server answers no ranges: {error.title}"
                    ) from error
                raise Unavailable(f"{asked[:_SHOWN]}: {error.title}") from error
            if answer.status not in (301, 302, 303, 307, 308):
                return _successful(url, answer)
            asked = urljoin(asked, answer.headers.get("Location", ""))
        raise Unprocessable(f"{url[:_SHOWN]}: its server redirects more than {_REDIRECTS} times")


def _successful(url: str, answer: Fetched) -> Fetched:
    shown, status = url[:_SHOWN], answer.status
    if status in (200, 206):
        return answer
    if status in (404, 410):
        raise ObjectNotFound(f"{shown} does not exist")
    if status in (401, 403):
        raise AccessDenied(f"{shown}: its server answers {status}; it must be public, or have a signed URL")
    if status == 412:
        raise ObjectChanged(f"{shown}: it was replaced since it was listed")
    if status == 429 or status >= 500:
        raise Unavailable(f"{shown}: its server answers {status}")
    raise StoreError(f"{shown}: its server answers {status}")


def check_web_url(url: str) -> str:
    """Return an https URL. Raises IllegalArguments if it is none, or may be read in several ways."""
    if len(url) > _LONGEST or not _URL.fullmatch(url) or "#" in url:
        raise IllegalArguments(
            f"source_url: {url[:_SHOWN]!r} is not an https URL in ASCII, without a user and a fragment"
        )
    return url
