"""Load shedding: requests of a caller who has too many of them in line are refused by their head alone.

The gateway refuses such a request, too, but after it became a task, and its caller was found out. Beyond
capacity most requests are refused, and what that takes is missing for those that are served.
"""

import hashlib
from collections import OrderedDict

from run.api.shared_threads import SharedThreads
from run.api.wsgi import Answer, Environ
from shared.api_path import API_PATH

# Those that were refused last: some 100 KB.
_MOST_CALLERS = 1000
_PREFIX = API_PATH.encode() + b"/"
# Requests with these are left to the gateway: a body would have to be received, and the answer depends on
# the origin of a page.
_NOT_HERE = frozenset((b"content-length", b"transfer-encoding", b"expect", b"origin"))


class LoadShedding:
    """The answers to requests of v1 for which `threads` has no place; for one event loop.

    `refusal` is the answer to each. Who sends a request is known by the digest of its `Authorization` and of
    the addresses of its client and proxies, once the gateway has refused one with the same.
    """

    def __init__(self, threads: SharedThreads, refusal: Answer) -> None:
        self._threads = threads
        self._callers: OrderedDict[bytes, str] = OrderedDict()
        self._fields = b"".join(b"%s: %s\r\n" % field for field in refusal.headers)
        self._body = refusal.body

    def remember(self, environ: Environ, caller: str) -> None:
        """Remember whose request was refused."""
        names = ("HTTP_AUTHORIZATION", "HTTP_X_FORWARDED_FOR", "REMOTE_ADDR")
        digest = _digest(*(environ.get(name, "").encode("latin-1") for name in names))
        self._callers[digest] = caller
        self._callers.move_to_end(digest)
        if len(self._callers) > _MOST_CALLERS:
            self._callers.popitem(last=False)

    def refusal(
        self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], address: str
    ) -> bytes | None:
        """Return the headers and the body of an answer, or None if the gateway has to answer.

        `address` is that from which the connection came.
        """
        if not self._callers or not url.startswith(_PREFIX):
            return None
        fields = dict(headers)
        given = (fields.get(name, b"") for name in (b"authorization", b"x-forwarded-for"))
        caller = self._callers.get(_digest(*given, address.encode()))
        if caller is None or not _NOT_HERE.isdisjoint(fields) or self._threads.announce(caller):
            return None
        return self._fields + b"\r\n" + (b"" if method == b"HEAD" else self._body)


def _digest(*parts: bytes) -> bytes:
    # No header has an end of line.
    return hashlib.sha256(b"\n".join(parts)).digest()
