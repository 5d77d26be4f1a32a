"""How a client calls the DSS: one replica, one token, pages followed, passing trouble waited out."""

from collections.abc import Callable, Iterator
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from dss.api.transport import Call, Transport, json_of
from dss.errors import CallFailed, Refused
from dss.stopping import StoppableClock

_BASE_PATH = "/v1"


def _tell_nobody(line: str) -> None:
    """Drop a line of text."""
    del line


class Calls:
    """Talks to the DSS at `url` (with or without `/v1`) about one replica; safe to share among threads.

    `patience` is how many seconds one call is tried again while the DSS says 5xx or does not answer;
    `notify` is called with a line of text each time that happens.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        replica: str = "gcp",
        patience: float = 120.0,
        clock: StoppableClock | None = None,
        notify: Callable[[str], None] = _tell_nobody,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise Refused(f"{url!r} is not the URL of a DSS: https://… or http://… is wanted")
        trimmed = url.rstrip("/")
        self.url = trimmed if trimmed.endswith(_BASE_PATH) else trimmed + _BASE_PATH
        self.replica = replica
        self.token = token
        self.clock = clock or StoppableClock()
        self.transport = Transport(
            origin=self.url, token=token, patience=patience, clock=self.clock, notify=notify
        )

    def renewed(self) -> Self:
        """Return a client like this one with a clock of its own, so that stopping it stops nothing else."""
        return type(self)(
            self.url,
            self.token,
            replica=self.replica,
            patience=self.transport.patience,
            clock=self.clock.renewed(),
            notify=self.transport.notify,
        )

    def _call(self, method: str, path: str, body: Any = None, **params: Any) -> Call:
        query = {"replica": self.replica, **params}
        return Call(
            method=method,
            url=f"{self.url}/{path}",
            params={name: value for name, value in query.items() if value is not None},
            body=body,
        )

    def _pages(self, call: Call, wait_seconds: float = 0.0) -> Iterator[Any]:
        while True:
            answer = self.transport.send_until_ready(call, wait_seconds)
            if answer.status_code not in (200, 206):
                raise CallFailed.of(answer)
            yield json_of(answer)
            following = answer.links.get("next", {}).get("url")
            if answer.status_code == 200 or not following:
                return
            # Only the query counts: the DSS may know itself by another host than we do.
            params = {**call.params, **dict(parse_qsl(urlsplit(following).query, keep_blank_values=True))}
            if params == call.params:
                raise CallFailed.of(answer, " (its next page is the same page)")
            call = Call(method=call.method, url=call.url, params=params, body=call.body)

    def _answered(self, call: Call, status: int = 200) -> Any:
        """Return the JSON of an answer of this status. Raises CallFailed for any other."""
        answer = self.transport.send(call)
        if answer.status_code != status:
            raise CallFailed.of(answer)
        return json_of(answer)
