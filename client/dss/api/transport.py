"""HTTP with retries: a session for each thread, time-outs, `Retry-After`, a bound on the whole.

Every call of the DSS may be repeated (a version once written never changes), so every call is retried.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from dss.api.first_contact import CONNECT_SECONDS, FirstContact
from dss.api.signed_get import SignedAnswer, SignedGets
from dss.clock import Deadline
from dss.errors import Busy, CallFailed, ClientError, InvalidInput, NotADss, SignInFailed, Unreachable
from dss.identifiers import UTC
from dss.sign_in.sources import TokenSource
from dss.stopping import StoppableClock

_USER_AGENT = "dss-cli/1"
# 501 will not go away; these may.
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_OF_PROXIES = frozenset({401, 403, 407, 408, 413, 429})
# PUT /bundles of 10,000 files may take half a minute, and wait another 20 s for files in transit.
_READ_SECONDS = 120
_LONGEST_PAUSE_SECONDS = 3600.0
# urllib3 puts one of these before the reason: `<… object at 0x…>: ` or `HTTPConnection(host=…, port=…): `.
_OBJECT = re.compile(r"^(<[^>]*>|\w+\([^)]*\)): ")


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait: 0 to 3600, None if it asks for nothing.

    It may hold seconds or an HTTP date; anything else counts as absent.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Ten digits are three centuries; more would only cost time to convert.
        return min(float(text[:10]), _LONGEST_PAUSE_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), _LONGEST_PAUSE_SECONDS)


class Backoff:
    """Growing pauses between retries: about 0.5 s, doubled up to 10 s."""

    def __init__(self) -> None:
        self._pause = 0.5

    def next(self) -> float:
        """Return the next pause in seconds, with jitter so that threads don't retry in step."""
        pause, self._pause = self._pause, min(10.0, self._pause * 2)
        return pause * random.uniform(0.7, 1.3)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to the DSS."""

    method: str
    url: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class OnlyOurToken(requests.auth.AuthBase):
    """Sends a token, or none, and keeps requests from adding a password of ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """Makes calls to one DSS, and opens signed URLs; the token goes to that DSS only."""

    def __init__(
        self,
        *,
        origin: str,
        tokens: TokenSource,
        patience: float,
        clock: StoppableClock,
        notify: Callable[[str], None],
    ) -> None:
        self.clock = clock
        self.patience = patience
        self.notify = notify
        self._origin = urlsplit(origin)[:2]
        self._tokens = tokens
        self._sessions = threading.local()
        self._contact = FirstContact(origin)
        self._signed = SignedGets(_USER_AGENT)

    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "session"):
            session = requests.Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_maxsize=4))
            session.headers["User-Agent"] = _USER_AGENT
            self._sessions.session = session
        session_of_thread: requests.Session = self._sessions.session
        return session_of_thread

    def send(self, call: Call, *, final: Collection[int] = ()) -> requests.Response:
        """Return the first answer that is not transient (5xx but 501, 429, 408), or whose status is `final`.

        Waits as `Retry-After` says. Raises CallFailed or Unreachable if that would exceed `patience`, and
        Unreachable at once if the host does not exist, or speaks another protocol, or no name server answers.
        """
        deadline = Deadline(self.clock, self.patience)
        backoff = Backoff()
        while True:
            self.clock.check()
            self._contact.look_up()
            began = time.monotonic()
            try:
                answer = self._send_signed_in(call)
            except Unreachable as error:
                # The issuer does not answer. In the middle of some work, that may pass.
                if not self._contact.made:
                    raise
                failure: ClientError = error
                pause = backoff.next()
            except requests.RequestException as error:
                failure = Unreachable(f"{call.method} {call.url}: {reason_of(error)}")
                if why := self._contact.hopeless(error, seconds=time.monotonic() - began):
                    failure = Unreachable(f"{why} ({reason_of(error)})")
                if why or not isinstance(error, requests.ConnectionError | requests.Timeout):
                    raise failure from error
                pause = backoff.next()
            else:
                self._contact.made = True
                if answer.status_code not in TRANSIENT or answer.status_code in final:
                    return answer
                asked = retry_after_seconds(answer.headers.get("Retry-After"), self.clock.now())
                pause = backoff.next() if asked is None else asked
                note = f"; it asks to wait {asked:.0f} s" if asked else ""
                failure = failure_of(answer, f"{note} (--patience is {self.patience:.0f} s)")
            if pause >= deadline.remaining():
                raise failure
            self.notify(f"{failure}; retrying in {pause:.0f} s")
            self.clock.sleep(pause)

    def _send_signed_in(self, call: Call) -> requests.Response:
        """Return the answer to a call with a valid token; if that was 401, the answer with another one."""
        token = self._tokens.token() if urlsplit(call.url)[:2] == self._origin else None
        answer = self._send_once(call, token)
        if answer.status_code != 401 or token is None:
            return answer
        try:
            other = self._tokens.replacement(token)
        except (SignInFailed, InvalidInput, Busy) as error:
            # The DSS says why it does not accept the token: that need not be its age.
            raise failure_of(answer, f"; {error}") from error
        return self._send_once(call, other) if other else answer

    def _send_once(self, call: Call, token: str | None) -> requests.Response:
        return self._session().request(
            call.method,
            call.url,
            params=dict(call.params),
            json=call.body,
            headers=dict(call.headers),
            auth=OnlyOurToken(token),
            timeout=(CONNECT_SECONDS, _READ_SECONDS),
            allow_redirects=False,
        )

    def send_until_ready(self, call: Call, seconds: float) -> requests.Response:
        """Return the first answer that is not "come back later" (301 with `Retry-After`).

        The caller handles other redirects. Raises CallFailed after `seconds`.
        """
        deadline = Deadline(self.clock, seconds)
        while True:
            answer = self.send(call)
            pause = retry_after_seconds(answer.headers.get("Retry-After"), self.clock.now())
            if answer.status_code != 301 or pause is None or "Location" not in answer.headers:
                return answer
            if pause >= deadline.remaining():
                raise CallFailed.of(answer, f" (not ready after {seconds:.0f} s)")
            # A server that says 0 must not cause a busy loop.
            self.clock.sleep(max(pause, 0.2))
            call = Call(method=call.method, url=urljoin(call.url, answer.headers["Location"]))

    def open_signed(self, url: str, byte_range: str | None = None) -> AbstractContextManager[SignedAnswer]:
        """Give the answer of a signed URL, its body unread; no retry, no token, no decompression."""
        headers = {"Accept-Encoding": "identity"}
        if byte_range:
            headers["Range"] = f"bytes={byte_range}"
        return self._signed.open(url, headers)


def reason_of(error: BaseException) -> str:
    """Return the reason of a network error in one line, without the addresses of Python objects."""
    inner: Any = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    text = _OBJECT.sub("", str(inner)).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def json_of(answer: requests.Response, has: str | None = None) -> Any:
    """Return the JSON object in the body of a DSS's answer. Raises NotADss if it is none, or lacks `has`."""
    try:
        body = answer.json()
    except ValueError as error:
        raise NotADss.of(answer) from error
    if not isinstance(body, dict) or (has is not None and has not in body):
        raise NotADss.of(answer, f", without {has!r}" if has else "")
    return body


def failure_of(answer: requests.Response, note: str = "") -> CallFailed:
    """Return the error for an answer of the DSS: NotADss if it is none that a DSS gives.

    What stands before a DSS (a load balancer, a sign-in) may refuse, limit and fail in its own words.
    """
    theirs = answer.status_code in _OF_PROXIES or answer.status_code >= 500
    if theirs or answer.request.method == "HEAD" or _has_code(answer):
        return CallFailed.of(answer, note)
    return NotADss.of(answer)


def _has_code(answer: requests.Response) -> bool:
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and not body.keys().isdisjoint(("code", "Code"))
