"""How a client calls the DSS: one replica, one token, pages followed, transient errors retried."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from os import PathLike, fspath
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dss.api.transport import Call, Transport, failure_of, json_of
from dss.errors import CallFailed, InvalidInput
from dss.profiles import load_settings
from dss.sign_in.credentials import token_source
from dss.sign_in.sources import TokenSource
from dss.stopping import StoppableClock

BASE_PATH = "/v1"


def ignore(line: str) -> None:
    """Drop a line of text."""
    del line


class Session:
    """Calls the DSS at `url` (with or without `/v1`) about one replica; safe to share among threads.

    What is not given is taken from environment variables and the profile (`dss/profiles.py`), and the token
    from there or from a login (`dss/sign_in/credentials.py`); an empty `token` means none. `patience` is for
    how many seconds to retry one call while the DSS answers 5xx or not at all; `notify` is called with a line
    of text before each retry. Raises InvalidInput if there is no `url`, or it is not an HTTP URL.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | TokenSource | None = None,
        *,
        replica: str | None = None,
        profile: str | None = None,
        key_file: str | PathLike[str] | None = None,
        patience: float = 120.0,
        clock: StoppableClock | None = None,
        notify: Callable[[str], None] = ignore,
    ) -> None:
        self.settings = load_settings(
            url=url,
            token=token if isinstance(token, str) else None,
            replica=replica,
            profile=profile,
            key_file=None if key_file is None else fspath(key_file),
        )
        url = self.settings.url
        if not url:
            raise InvalidInput("no DSS to call; give --url, set DSS_URL, or choose a profile")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise InvalidInput(f"{url!r} is not the URL of a DSS; give https://HOST or http://HOST")
        trimmed = url.rstrip("/")
        self.url = trimmed if trimmed.endswith(BASE_PATH) else trimmed + BASE_PATH
        self.replica = self.settings.replica
        self._credentials, self._key_file, self._profile = token, key_file, profile
        self.tokens = token_source(self.settings) if token is None or isinstance(token, str) else token
        self.clock = clock or StoppableClock()
        self.transport = Transport(
            origin=self.url, tokens=self.tokens, patience=patience, clock=self.clock, notify=notify
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a pickle holds: URL, replica, and token, key file and profile if they were arguments.

        Other credentials are found again where it is unpickled: in the environment, a profile or a login; a
        profile that nobody asked for by name need not be there. Connections, locks and clock are made anew;
        `notify` is left out.
        """
        make = partial(
            type(self),
            replica=self.replica,
            profile=self._profile,
            key_file=self._key_file,
            patience=self.transport.patience,
        )
        return make, (self.url, self._credentials)

    @property
    def token(self) -> str | None:
        """A token that is valid now, or None. Raises SignInFailed, Unreachable."""
        return self.tokens.token()

    @property
    def root(self) -> str:
        """The URL of the DSS's host, below which the routes of its catalogue are."""
        return self.url.removesuffix(BASE_PATH)

    def renewed(self) -> "Session":
        """Return a session like this one with a clock of its own: stopping it stops nothing else."""
        return Session(
            self.url,
            self.tokens,
            replica=self.replica,
            profile=self._profile,
            patience=self.transport.patience,
            clock=self.clock.renewed(),
            notify=self.transport.notify,
        )

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Call:
        """Return a call of a path below /v1; parameters that are None are left out."""
        query = {"replica": self.replica, **params}
        return Call(
            method=method,
            url=f"{self.url}/{path}",
            params={name: value for name, value in query.items() if value is not None},
            body=body,
        )

    def pages(self, call: Call, wait_seconds: float = 0.0, *, has: str | None = None) -> Iterator[Any]:
        """Yield the JSON of a call's pages. Raises CallFailed for any status but 200 and 206.

        `has` is what every page must have, or it is not that of a DSS.
        """
        while True:
            answer = self.transport.send_until_ready(call, wait_seconds)
            if answer.status_code not in (200, 206):
                raise failure_of(answer)
            yield json_of(answer, has)
            following = answer.links.get("next", {}).get("url")
            if answer.status_code == 200 or not following:
                return
            params = params_of_next(call.params, following)
            if params == call.params:
                raise CallFailed.of(answer, " (its next page is the same page)")
            call = Call(method=call.method, url=call.url, params=params, body=call.body)

    def answer(self, call: Call, *statuses: int, has: str | None = None) -> tuple[int, Any]:
        """Return status and JSON of an answer with one of these statuses. Raises CallFailed for others.

        `has` is what the JSON must have, or it is not that of a DSS.
        """
        answer = self.transport.send(call)
        if answer.status_code not in statuses:
            raise failure_of(answer)
        return answer.status_code, json_of(answer, has)

    def answer_json(self, call: Call, status: int = 200, *, has: str | None = None) -> Any:
        """Return the JSON of an answer with this status; see `answer`."""
        return self.answer(call, status, has=has)[1]


def params_of_next(params: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the parameters of the next page, which is at a URL.

    Only the query counts: the DSS may know itself by another host than we do. What it lacks stays.
    """
    return {**params, **dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))}
