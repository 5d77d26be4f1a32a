"""The entry that the index should hold for a bundle version on a replica, according to the catalog."""

from shared.catalog import BundleHead
from shared.events.documents import document_of
from shared.replicas import Replica
from shared.search.base import IndexEntry
from shared.search.documents import entry_of
from shared.system import Dss


def expected_entry(dss: Dss, replica: Replica, head: BundleHead) -> IndexEntry | None:
    """Return the entry that the index should hold for a head, or None if it should hold none.

    A version that was never visible on the replica has none; a hidden one has its tombstone's.
    Raises what `shared.events.documents.document_of` raises.
    """
    if not head.was_visible(replica.name):
        return None
    content = document_of(dss, replica, head)
    return entry_of(replica.name, head.fqid, content, dead=head.hidden, readers=head.content_readers)
