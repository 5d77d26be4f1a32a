"""What catalogues have not followed yet, and the events that bring it to mind again.

The events of a replica are in order of time, and none is added before one that is there. So each catalogue
has a position before which it has followed all, and only events from there on are looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.catalog import Event
from shared.catalogue_indexing import RELEASE
from shared.events.readers import publish_change
from shared.explore.base import DELETED
from shared.explore.catalogues import Catalogue
from shared.explore.upkeep import Held, Waiting
from shared.identifiers import moment_of, version_after
from shared.metadata import TOMBSTONE
from shared.system import Dss

# Events of a replica that one call looks at: a read each. The next one goes on where this one has ended.
_MOST = 2000
_BATCH = 500
# Failed bundle versions that one sweep has tried again.
_MOST_FAILED = 1000


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

    Includes what has failed in an earlier release of the plug-in. For the sweep. Raises Unavailable.
    """
    before = dss.clock.now() - older_than
    for catalogue in dss.catalogues.catalogues().values():
        upkeep, measured = dss.catalogues.upkeep, _measure(dss, catalogue)
        backlog = measured.backlog
        upkeep.advance(catalogue, measured.position)
        upkeep.note(
            catalogue,
            Waiting(events=backlog.objects, oldest_seconds=backlog.oldest_seconds, at=dss.clock.now()),
        )
        late = {event.fqid for event in measured.waiting if moment_of(event.timestamp) < before}
        failed = upkeep.failed_before(catalogue, RELEASE, _MOST_FAILED)
        for fqid in sorted({*late, *failed}, key=str):
            publish_change(dss, catalogue.setting.replica, fqid)
        yield backlog


def forget_values(dss: Dss) -> int:
    """Remove values that no bundle in any catalogue has any more, as those of purged ones; return about how
    many. For the sweep. Raises Unavailable."""
    return dss.catalogues.upkeep.remove_unused() if dss.catalogues.catalogues() else 0


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
