"""Calls about events: the bundle versions and tombstones that came to a replica, in order of time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from dss.api.session import Session
from dss.api.transport import Backoff, reason_of
from dss.clock import Deadline
from dss.errors import Unreachable, WrongContent
from dss.identifiers import version_after

# The contract allows at most so many journals in a page.
_PER_PAGE = 10
_CHUNK_BYTES = 1024 * 1024
# Seconds between two looks for new events.
FOLLOW_SECONDS = 2.0


@dataclass(frozen=True)
class BundleEvent:
    """A bundle version, or its tombstone, became available; its `document` holds it as bytes of JSON.

    No two events of a replica have the same `timestamp`, which is a version.
    """

    event_id: str
    timestamp: str
    document: bytes

    @property
    def event_type(self) -> str:
        """CREATE, or what hid the bundle: TOMBSTONE or DELETE."""
        return str(json.loads(self.document)["event_type"])

    @property
    def bundle(self) -> str:
        """UUID.VERSION of the bundle."""
        info = json.loads(self.document)["bundle_info"]
        return f"{info['uuid']}.{info['version']}"

    def as_json(self) -> dict[str, Any]:
        """Return what `dss events --json` prints."""
        return {
            "event_id": self.event_id,
            "timestamp": self.timestamp,
            "document": json.loads(self.document),
        }


def events(
    session: Session, from_date: str | None, to_date: str | None, *, follow: float | None
) -> Iterator[BundleEvent]:
    """Yield the events of a time, each once, while journals are written and compacted; see Client.events."""
    while True:
        call = session.call("GET", "events", from_date=from_date, to_date=to_date, per_page=_PER_PAGE)
        for page in session.pages(call, has="event_streams"):
            for stream in page["event_streams"]:
                for event in _read(session, stream):
                    from_date = version_after(event.timestamp)
                    yield event
        if follow is None:
            return
        session.clock.sleep(follow)


def _read(session: Session, stream: dict[str, Any]) -> Iterator[BundleEvent]:
    """Yield the events of a journal, whose bytes from the first event to the last are one request."""
    rows: Sequence[dict[str, Any]] = stream["events"]
    if "stream_url" not in stream:
        raise WrongContent(
            f"journal {stream['journal_id']}: you may see a part of it, which this deployment cannot serve;"
            " its operators have to set DSS_SECRETS_KEY_FILE"
        )
    first, end = rows[0]["offset"], rows[-1]["offset"] + rows[-1]["size"]
    content = _fetched(session, stream["stream_url"], f"{first}-{end - 1}")
    if len(content) != end - first:
        raise WrongContent(
            f"journal {stream['journal_id']}: {len(content)} bytes arrived instead of {end - first}"
        )
    for row in rows:
        begin = row["offset"] - first
        yield BundleEvent(row["event_id"], row["timestamp"], content[begin : begin + row["size"]])


def _fetched(session: Session, url: str, byte_range: str) -> bytes:
    deadline, backoff = Deadline(session.clock, session.transport.patience), Backoff()
    while True:
        pause = backoff.next()
        try:
            with session.transport.open_signed(url, byte_range) as answer:
                if answer.status == 206:
                    return b"".join(answer.stream(_CHUNK_BYTES))
                if answer.status < 500 or pause >= deadline.remaining():
                    raise answer.failure()
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if pause >= deadline.remaining():
                raise Unreachable(f"cannot read a journal: {reason_of(error)}") from error
        session.clock.sleep(pause)
