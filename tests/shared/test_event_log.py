"""The events of a replica are one append-only log: a reader misses none, whichever process appends."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest

from shared.catalog import Catalog, Database, Event, EventCatalog, Subscription
from shared.clock import Deadline, SystemClock
from shared.errors import InvalidChecksum
from shared.events.journal import indexed_events, journal_index, journal_of_many
from shared.events.publishing import event_of
from shared.identifiers import Fqid, version_after
from shared.system import Dss
from shared.webhooks.replays import ReplayPage, begin_replay
from tests.support.api import new_uuid, now
from tests.support.dss import firestore_client

EVENTS_EACH = 40


class Wrong(SystemClock):
    """A clock that is ahead of all others."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=10)


def new_event(replica: str) -> Event:
    return event_of(replica, Fqid(new_uuid(), now()), b"", dead=False)


def followed(catalog: EventCatalog, replica: str, count: int) -> Iterator[Event]:
    """Yield so many events of a log, as a reader does who continues after the last; fewer after a while."""
    start = ""
    deadline = Deadline(SystemClock(), 20)
    while count > 0 and not deadline.passed:
        for event in catalog.since(replica, start=start):
            start = version_after(event.timestamp)
            count -= 1
            yield event


def test_a_reader_meets_every_event_with_any_clocks_of_its_recorders(
    stack: dict[str, str],
) -> None:
    replica = f"line-{new_uuid()[:8]}"
    catalogs = [
        EventCatalog(Database(firestore_client(stack), replicas=(replica,), clock=clock))
        for clock in (SystemClock(), Wrong(), SystemClock())
    ]
    events = [(catalog, new_event(replica)) for _ in range(EVENTS_EACH) for catalog in catalogs]

    with ThreadPoolExecutor(13) as threads:
        following = threads.submit(
            lambda: list(followed(catalogs[0], replica, len(events))),
        )
        recorded = list(threads.map(lambda row: row[0].record(row[1]), events))
        seen = following.result()

    assert [event.timestamp for event in seen] == sorted({event.timestamp for event in recorded})
    assert {event.id: event for event in seen} == {event.id: event for event in recorded}
    # Recorded again, each is what it was.
    assert [catalog.record(event) for catalog, event in events[:6]] == recorded[:6]


def test_a_replay_includes_events_of_a_clock_that_is_ahead(stack: dict[str, str]) -> None:
    replica = f"line-{new_uuid()[:8]}"
    database = partial(Database, firestore_client(stack), replicas=(replica,))
    subscription = cast(Subscription, SimpleNamespace(uuid=new_uuid(), replica=replica))
    pages: list[ReplayPage] = []

    def publish(_: str, attributes: dict[str, str]) -> None:
        pages.append(ReplayPage.parse(attributes))

    publisher = SimpleNamespace(publish=publish)
    catalog = Catalog(database(clock=SystemClock()))
    dss = cast(Dss, SimpleNamespace(catalog=catalog, clock=SystemClock(), publisher=publisher))

    start = now()
    begin_replay(dss, subscription, start)
    recorded = EventCatalog(database(clock=Wrong())).record(new_event(replica))
    begin_replay(dss, subscription, start)

    found = [list(catalog.events.since(replica, start=page.start, stop=page.stop)) for page in pages]
    assert found == [[], [recorded]]


@pytest.mark.parametrize("name", ["digest", "md5", "crc32c"])
@pytest.mark.parametrize("value", ["", "0", "not-hex!"])
def test_an_event_with_a_malformed_digest_is_never_recorded(
    stack: dict[str, str], name: str, value: str
) -> None:
    replica = f"line-{new_uuid()[:8]}"
    catalog = EventCatalog(Database(firestore_client(stack), replicas=(replica,), clock=SystemClock()))
    good = replace(new_event(replica), timestamp=now())
    bad = replace(good, id=new_uuid(), **{name: value})

    with pytest.raises(InvalidChecksum, match=f"{bad.id}.*{name}"):
        catalog.record(bad)
    with pytest.raises(InvalidChecksum, match=f"{bad.id}.*{name}"):
        catalog.restore(replica, [good, bad])
    assert list(catalog.since(replica)) == []
    with pytest.raises(InvalidChecksum, match=f"{bad.id}.*{name}"):
        journal_of_many([good, bad])
    with pytest.raises(InvalidChecksum, match=f"{bad.id}.*{name}"):
        indexed_events(journal_index([good, bad]))
    assert indexed_events(journal_index([good])) == [good]
