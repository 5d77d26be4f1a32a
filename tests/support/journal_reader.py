"""Read journals as clients do: by pages, signed URLs and ranges."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

from tests.support.api import Api


@dataclass(frozen=True, order=True)
class JournalEvent:
    """An event as a client reads it, with the journal that holds it."""

    timestamp: str
    event_id: str
    content: bytes
    journal_id: str


def events_of(stream: dict[str, Any]) -> Iterator[JournalEvent]:
    """Yield the events of a journal, each fetched by its range."""
    for event in stream["events"]:
        assert stream["from_date"] <= event["timestamp"] <= stream["to_date"]
        first, last = event["offset"], event["offset"] + event["size"] - 1
        assert last < stream["size"]
        answer = requests.get(stream["stream_url"], headers={"Range": f"bytes={first}-{last}"}, timeout=120)
        assert answer.status_code == 206, answer.text
        yield JournalEvent(event["timestamp"], event["event_id"], answer.content, stream["journal_id"])


def read_events(api: Api, replica: str, **query: Any) -> Iterator[JournalEvent]:
    """Yield the events of GET /events, page by page."""
    for page in api.pages("/v1/events", replica=replica, **query):
        assert page.status_code in (200, 206), page.text
        assert page.headers["X-OpenAPI-Paginated-Content-Key"] == "event_streams"
        streams = page.json()["event_streams"]
        assert len(streams) <= query.get("per_page", 1)
        for stream in streams:
            yield from events_of(stream)
