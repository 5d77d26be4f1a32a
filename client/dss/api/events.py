"""What a client asks of events; a part of `dss.client.Client`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from dss.api.calls import Calls
from dss.api.transport import Backoff, reason_of
from dss.clock import Deadline
from dss.errors import CallFailed, CliError
from dss.identifiers import version_after

# Journals that a page holds at most, as the contract says.
_PER_PAGE = 10


@dataclass(frozen=True)
class BundleEvent:
    """A bundle version, or its tombstone, became available: its `document`, as bytes of JSON, says which.

    No two events of a replica have one `timestamp`, a version.
    """

    event_id: str
    timestamp: str
    document: bytes

    def as_json(self) -> dict[str, Any]:
        """Return what `dss events --json` prints."""
        return {
            "event_id": self.event_id,
            "timestamp": self.timestamp,
            "document": json.loads(self.document),
        }


class EventCalls(Calls):
    """Events of a replica, in order of time."""

    def events(
        self, from_date: str | None = None, to_date: str | None = None, *, follow: float | None = None
    ) -> Iterator[BundleEvent]:
        """Yield the events from a time on and before another, both versions; all, where they are not given.

        Each is yielded once, whatever is written and put together meanwhile. With `follow` it goes on for
        ever: what is new is asked for so many seconds after the last.
        """
        while True:
            call = self._call("GET", "events", from_date=from_date, to_date=to_date, per_page=_PER_PAGE)
            for page in self._pages(call):
                for stream in page["event_streams"]:
                    for event in self._read(stream):
                        from_date = version_after(event.timestamp)
                        yield event
            if follow is None:
                return
            self.clock.sleep(follow)

    def _read(self, stream: dict[str, Any]) -> Iterator[BundleEvent]:
        """Yield the events of a journal, which is fetched in one request as far as they go."""
        rows: Sequence[dict[str, Any]] = stream["events"]
        first, end = rows[0]["offset"], rows[-1]["offset"] + rows[-1]["size"]
        content = self._fetched(stream["stream_url"], f"{first}-{end - 1}")
        if len(content) != end - first:
            raise CliError(f"journal {stream['journal_id']}: {len(content)} bytes came of {end - first}")
        for row in rows:
            begin = row["offset"] - first
            yield BundleEvent(row["event_id"], row["timestamp"], content[begin : begin + row["size"]])

    def _fetched(self, url: str, byte_range: str) -> bytes:
        deadline, backoff = Deadline(self.clock, self.transport.patience), Backoff()
        while True:
            pause = backoff.next()
            try:
                with self.transport.open_signed(url, byte_range) as answer:
                    if answer.status_code == 206:
                        return answer.content
                    if answer.status_code < 500 or pause >= deadline.remaining():
                        raise CallFailed.of(answer)
            except requests.RequestException as error:
                if pause >= deadline.remaining():
                    raise CliError(f"a journal cannot be read: {reason_of(error)}") from error
            self.clock.sleep(pause)
