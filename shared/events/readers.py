"""Have events, journals and index entries follow who may read the bundle versions that they are about.

They are written with the readers that the head of the version has, and a change of a binding first changes
the heads, then what is derived from them. Both then look at the head again: so one of two at once sees what
the other has done, whichever is faster, and what is derived ends as the head is.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.access import NOBODY, labels_of
from shared.catalog import WITHHELD, BundleHead, Event
from shared.errors import TooManyUnderWay
from shared.identifiers import Fqid, event_ids
from shared.messages import BUNDLE_CHANGES, BundleChange
from shared.system import Dss

# How often the readers of a version may change while others follow them.
_ATTEMPTS = 20


def follow_readers(dss: Dss, fqid: Fqid) -> BundleHead | None:
    """Have all that is derived from a bundle version be seen by those alone who may read its content now.

    Return its head as it was followed; None if there is none. Safe to repeat, in any order. Raises
    TooManyUnderWay if the readers keep changing.
    """
    head = dss.catalog.bundles.head(fqid)
    for _ in range(_ATTEMPTS):
        if head is None:
            return None
        _follow_once(dss, head)
        before, head = head, dss.catalog.bundles.head(fqid)
        if head and (head.content_readers, head.purged) == (before.content_readers, before.purged):
            return head
    raise TooManyUnderWay(f"bundle {fqid}: its readers keep changing; try again")


def follow_if_changed(dss: Dss, written: BundleHead, event: Event) -> BundleHead | None:
    """Do as `follow_readers` unless the head that was written, and its event, have the readers of now.

    Return the head as it is now, None if it was removed for good. One read.
    """
    head = dss.catalog.bundles.head(written.fqid)
    if head and (
        head.content_readers != written.content_readers or labels_of(head.content_readers) != event.labels
    ):
        return follow_readers(dss, written.fqid)
    return head


def _follow_once(dss: Dss, head: BundleHead) -> None:
    labels = labels_of(head.content_readers)
    for event in dss.catalog.events.get_many(event_ids(dss.replicas.names, head.fqid)).values():
        if event.labels != labels:
            dss.catalog.events.set_labels(event, labels)
        dss.catalog.journals.set_labels(event, WITHHELD if head.purged else labels)
    for replica in dss.replicas:
        dss.index.set_readers(replica.name, head.fqid, head.content_readers)
        publish_change(dss, replica.name, head.fqid)


def publish_change(dss: Dss, replica: str, fqid: Fqid) -> None:
    """Have the catalogues of a replica look at a bundle version again: see `BundleChange`.

    Raises Unavailable.
    """
    if any(catalogue.replica == replica for catalogue in dss.settings.catalogues):
        change = BundleChange(replica=replica, uuid=fqid.uuid, version=fqid.version)
        dss.publisher.publish(BUNDLE_CHANGES, change.attributes)


def labelled(dss: Dss, events: Sequence[Event]) -> list[Event]:
    """Return events from a bucket with the labels that the catalog knows; one read for each bundle version.

    Before the catalog knows a version, only admins see its events, unless nothing was ever bound.
    """
    if not events:
        return []
    heads = dss.catalog.bundles.get_many(event.fqid for event in events)
    unknown = frozenset((NOBODY,)) if dss.catalog.bindings.any_ever() else frozenset()
    return [
        replace(
            event,
            labels=labels_of(heads[event.fqid].content_readers if event.fqid in heads else unknown),
        )
        for event in events
    ]
