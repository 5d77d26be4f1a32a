"""What a bucket and the catalog of events say of the time before the catalog of bundles was lost."""

from shared.catalog import BundleTombstone
from shared.errors import ObjectNotFound
from shared.identifiers import Fqid, document_key, event_id, event_ids
from shared.metadata import CREATE
from shared.replicas import Replica
from shared.system import Dss


def was_published(dss: Dss, replica: Replica, fqid: Fqid) -> bool:
    """Return whether the catalog of events has the creation of a bundle version, in one read."""
    creation = event_id(replica.name, fqid, CREATE)
    return creation in dss.catalog.events.get_many([creation])


def was_visible(replica: Replica, fqid: Fqid) -> bool:
    """Return whether reads on a replica saw a bundle version before it was hidden.

    Only the metadata document shows whether the version or its tombstone came to the replica first.
    """
    try:
        replica.store.stat(replica.bucket, document_key(fqid, dead=False))
    except ObjectNotFound:
        return False
    return True


def all_were_published(dss: Dss, replica: Replica, tombstone: BundleTombstone) -> bool:
    """Return whether creation and end of all versions that a tombstone hid on a replica are events."""
    heads = [head for head in dss.catalog.bundles.hidden_by(tombstone.name) if head.was_visible(replica.name)]
    ids = [name for head in heads for name in event_ids([replica.name], head.fqid)]
    return len(dss.catalog.events.get_many(ids)) == len(ids)
