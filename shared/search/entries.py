"""What the index should hold: the entry of a bundle version on a replica, made of its metadata document."""

import json

from shared.catalog import BundleHead
from shared.events.documents import document_of
from shared.identifiers import Fqid
from shared.replicas import Replica
from shared.search.base import IndexEntry
from shared.search.documents import indexed_document
from shared.system import Dss


def entry_of(replica: str, fqid: Fqid, content: bytes, *, dead: bool) -> IndexEntry:
    """Return the entry of a bundle version, or of its tombstone, that a metadata document is about."""
    return IndexEntry(replica=replica, fqid=fqid, document=indexed_document(json.loads(content)), dead=dead)


def expected_entry(dss: Dss, replica: Replica, head: BundleHead) -> IndexEntry | None:
    """Return the entry that the index should have for a head; None where it should have none.

    What was never to be seen on the replica has none; what was hidden there has its tombstone's.
    Raises what `shared.events.documents.document_of` raises.
    """
    if not head.was_visible(replica.name):
        return None
    content = document_of(dss, replica, head)
    return entry_of(replica.name, head.fqid, content, dead=head.hidden)
