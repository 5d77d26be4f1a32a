"""Publish the events of named bundles and tombstones, which the sweep would do in time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.errors import IllegalArguments, Unavailable
from shared.events.publishing import publish_event
from shared.identifiers import Kind, ObjectName, parse_key
from shared.kinds import find_kind
from shared.messages import BundleEvent, ObjectEvent
from shared.replicas import Replica
from shared.system import Dss


@dataclass(frozen=True, kw_only=True)
class Published:
    """The outcome for a key on a replica: the events that were published; or `why` none was.

    `waits` if events are to be published, and could not be yet.
    """

    key: str
    replica: str
    events: list[BundleEvent] = field(default_factory=list)
    why: str = ""
    waits: bool = False


def publish_named(
    dss: Dss, keys: Iterable[str], replicas: Iterable[Replica], *, dry_run: bool
) -> Iterator[Published]:
    """Publish the events of bundle versions and tombstones that are not published yet; yield outcomes.

    Safe to repeat: an event is published once. Raises IllegalArguments for a key of anything else.
    """
    wanted = list(replicas)
    for key in keys:
        name = parse_key(key)
        if name is None or name.kind is not Kind.BUNDLE:
            raise IllegalArguments(
                f"{key[:120]!r} is no key of a bundle or of its tombstone: bundles/UUID.VERSION"
            )
        for replica in wanted:
            yield _published(dss, name, replica, dry_run=dry_run)


def _published(dss: Dss, name: ObjectName, replica: Replica, *, dry_run: bool) -> Published:
    kind = find_kind(name)
    known = kind.lookup(dss, name) if kind else None
    if known is None:
        return Published(key=name.key, replica=replica.name, why="the catalog does not know it", waits=True)
    if replica.name not in known.available:
        return Published(key=name.key, replica=replica.name, why="this replica does not have it", waits=True)
    if replica.name not in known.unpublished:
        return Published(key=name.key, replica=replica.name, why="it was published")
    if dry_run:
        return Published(key=name.key, replica=replica.name, why="it would be published")
    events: list[BundleEvent] = []
    try:
        publish_event(
            dss, ObjectEvent(replica=replica.name, bucket=replica.bucket, key=name.key), events.append
        )
    except Unavailable as error:
        return Published(key=name.key, replica=replica.name, events=events, why=error.title, waits=True)
    why = "" if events else "it is no event: it was hidden before this replica had it, or is purged"
    return Published(key=name.key, replica=replica.name, events=events, why=why)
