"""What catalogues have not followed yet, and the events that bring it to mind again.

The events of a replica are in order of time, and none is added before one that is there. So each catalogue
has a position before which it has followed all, and only events from there on are looked at. Changes of
readers and purges are in no list: for these, a part of each catalogue is compared with the catalog at a time,
round and round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.catalog import Event
from shared.catalogue_indexing import RELEASE
from shared.events.readers import publish_change
from shared.explore.base import DELETED
from shared.explore.catalogues import Catalogue
from shared.explore.upkeep import Held, Waiting
from shared.identifiers import Fqid, moment_of, version_after
from shared.maintenance.catalogue_check import is_under_way
from shared.maintenance.catalogue_rows import rows
from shared.metadata import TOMBSTONE
from shared.system import Dss

# Events of a replica that one call looks at: a read each. The next one goes on where this one has ended.
_MOST = 2000
_BATCH = 500
# Failed bundle versions that one sweep has tried again.
_MOST_FAILED = 1000
# Bundle versions that one sweep compares: the heads of a query; and those of them that it finds wrong.
_MOST_COMPARED = 900
_MOST_WRONG = 100
# A message is retried for hours; another one meanwhile would only be in its way.
_AGAIN = timedelta(hours=6)
# An event that goes on waiting is brought to mind at each doubling of its age up to this, then once in it.
_LONGEST = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class CatalogueBacklog:
    """Events that a catalogue has not followed; `oldest_seconds` is the age of the oldest.

    Beyond the first events that were looked at, all count as not followed.
    """

    catalogue: str
    replica: str
    objects: int
    oldest_seconds: float


@dataclass(frozen=True, kw_only=True)
class _Measured:
    backlog: CatalogueBacklog
    waiting: Sequence[Event]
    position: str


def catch_up(dss: Dss, *, older_than: timedelta) -> Iterator[CatalogueBacklog]:
    """Measure each catalogue's backlog and yield it; have what has waited too long indexed again.

    Includes what has failed in an earlier release of the plug-in, and of a part of the catalogue what others
    find than those who may. Nothing is brought to mind twice, nor soon again. For the sweep. Raises
    Unavailable.
    """
    published: set[tuple[str, Fqid]] = set()
    for catalogue in dss.catalogues.catalogues().values():
        upkeep, measured = dss.catalogues.upkeep, _measure(dss, catalogue)
        backlog, now, before = measured.backlog, dss.clock.now(), upkeep.measured(catalogue)
        upkeep.advance(catalogue, measured.position)
        late = {event.fqid for event in measured.waiting if _is_due(event, before, now, older_than)}
        replica = catalogue.setting.replica
        due = {(replica, fqid) for fqid in (*late, *_to_be_tried_again(dss, catalogue, older_than))}
        for _, fqid in sorted(due - published, key=str):
            publish_change(dss, replica, fqid)
        published |= due
        upkeep.note(catalogue, Waiting(events=backlog.objects, oldest_seconds=backlog.oldest_seconds, at=now))
        yield backlog


def forget_values(dss: Dss) -> int:
    """Remove values that no bundle in any catalogue has any more, as those of purged ones; return about how
    many. For the sweep. Raises Unavailable."""
    return dss.catalogues.upkeep.remove_unused() if dss.catalogues.catalogues() else 0


def _is_due(event: Event, before: datetime | None, now: datetime, older_than: timedelta) -> bool:
    """Return whether it is time to bring an event to mind, and was not yet when the sweep came before."""
    published = moment_of(event.timestamp)
    if now - published <= older_than:
        return False
    return (
        before is None
        or not older_than
        or _turns(now - published, older_than) > _turns(before - published, older_than)
    )


def _turns(age: timedelta, first: timedelta) -> int:
    """Return how often an event of an age is due: at `first`, at each doubling, in the end once a day."""
    turns = 0
    while first <= age and first < _LONGEST:
        turns, first = turns + 1, 2 * first
    return turns + int(age / _LONGEST) if age > _LONGEST else turns


def _to_be_tried_again(dss: Dss, catalogue: Catalogue, older_than: timedelta) -> Sequence[Fqid]:
    """Return what has failed in an earlier release, or untried, and what others find than those who may."""
    upkeep, now = dss.catalogues.upkeep, dss.clock.now()
    failed = upkeep.failed_before(catalogue, RELEASE, _MOST_FAILED, tried_before=now - _AGAIN)
    wrong = _compare_some(dss, catalogue, older_than)
    return upkeep.try_again(catalogue, [*failed, *wrong], now=now, tried_before=now - _AGAIN)


def _compare_some(dss: Dss, catalogue: Catalogue, older_than: timedelta) -> Sequence[Fqid]:
    """Compare what a catalogue shows with the catalog, from where this ended before; return what is wrong."""
    wrong: list[Fqid] = []
    upkeep, last = dss.catalogues.upkeep, None
    for seen, row in enumerate(rows(dss, catalogue, after=upkeep.compared(catalogue)), 1):
        is_wrong = row.is_in and not (row.belongs and row.has_right_readers)
        if is_wrong and not is_under_way(dss, row, older_than):
            wrong.append(row.fqid)
        if seen == _MOST_COMPARED or len(wrong) == _MOST_WRONG:
            last = row.fqid
            break
    upkeep.note_compared(catalogue, last)
    return wrong


def backlog_of(dss: Dss, catalogue: Catalogue) -> CatalogueBacklog:
    """Return what a catalogue has not followed now. Changes nothing. Raises Unavailable."""
    return _measure(dss, catalogue).backlog


def _measure(dss: Dss, catalogue: Catalogue) -> _Measured:
    replica = catalogue.setting.replica
    position = dss.catalogues.upkeep.position(catalogue)
    waiting: list[Event] = []
    seen, after, is_last = 0, position, False
    while seen < _MOST and not is_last:
        events = list(dss.catalog.events.since(replica, start=after, count=_BATCH))
        waiting += _not_followed(dss, catalogue, events)
        seen += len(events)
        is_last = len(events) < _BATCH
        after = version_after(events[-1].timestamp) if events else after
    rest = 0 if is_last else dss.catalog.events.count(replica, start=after)
    oldest = waiting[0].timestamp if waiting else (after if rest else "")
    age = max((dss.clock.now() - moment_of(oldest)).total_seconds(), 0.0) if oldest else 0.0
    backlog = CatalogueBacklog(
        catalogue=catalogue.name,
        replica=replica,
        objects=len(waiting) + rest,
        oldest_seconds=round(age, 1),
    )
    return _Measured(backlog=backlog, waiting=waiting, position=waiting[0].timestamp if waiting else after)


def _not_followed(dss: Dss, catalogue: Catalogue, events: Sequence[Event]) -> list[Event]:
    ours = [event for event in events if event.fqid.uuid.startswith(catalogue.setting.prefix)]
    held = dss.catalogues.upkeep.held_of(catalogue, list({event.fqid for event in ours}))
    return [event for event in ours if not _is_followed(event, held.get(event.fqid))]


def _is_followed(event: Event, held: Held | None) -> bool:
    return held is not None and (event.type != TOMBSTONE or held.state == DELETED)
