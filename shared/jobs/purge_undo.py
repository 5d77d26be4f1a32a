"""What is left to do for an undone purge if the catalog was rebuilt meanwhile: it has no heads, no events."""

from shared.catalog import Event, Purge
from shared.errors import ObjectNotFound
from shared.events.journal import indexed_events
from shared.events.readers import labelled
from shared.identifiers import Fqid, Kind, event_ids, publication_key
from shared.kinds import KINDS
from shared.purges.removal import objects
from shared.purges.scrubbing import scrub
from shared.replicas import Replica
from shared.system import Dss


def restore_purged(dss: Dss, purge: Purge) -> int:
    """Have the catalog know what an undone purge names, as the buckets have it; return how much was news.

    Safe to repeat. Raises as `ObjectKind.restore`.
    """
    new = 0
    for replica in dss.replicas:
        named = list(objects(purge, replica))
        for name in named:
            if name.kind is Kind.BUNDLE and name.version and not name.dead:
                new += _restore_events(dss, replica, name.fqid)
        hidden = {name.subject for name in named if name.kind is Kind.BUNDLE and name.dead}
        for kind in KINDS.values():
            for name in filter(kind.owns, named):
                record, is_new = kind.learn(dss, name, replica)
                kind.recall(dss, record, replica, hidden)
                if is_new:
                    kind.make_available(dss, record, replica.name)
                    new += 1
    if new:
        scrub(dss, purge)
    return new


def _restore_events(dss: Dss, replica: Replica, fqid: Fqid) -> int:
    ids = event_ids([replica.name], fqid)
    known = dss.catalog.events.get_many(ids)
    events = [event for name in ids if name not in known for event in _published(replica, name)]
    dss.catalog.events.restore(replica.name, labelled(dss, events))
    return len(events)


def _published(replica: Replica, name: str) -> list[Event]:
    try:
        return indexed_events(replica.store.read_all(replica.bucket, publication_key(name)))
    except ObjectNotFound:
        return []
