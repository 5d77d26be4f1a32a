"""The documents of events, in collection `events`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.access import NOBODY, labels_of
from shared.errors import InvalidChecksum
from shared.identifiers import Fqid

_FORMS = {
    "digest": re.compile(r"[0-9a-f]{64}"),
    "md5": re.compile(r"[0-9a-f]{32}"),
    "crc32c": re.compile(r"[0-9a-f]{8}"),
}


# The labels of what is not bound.
UNBOUND = labels_of(())
# Those, in a journal, of an event that is out of the log: nobody looks them up, not even an admin.
WITHHELD = frozenset((NOBODY,))


@dataclass(frozen=True, kw_only=True)
class Event:
    """A bundle version, or its tombstone, became available on a replica: `type` is `CREATE` or `TOMBSTONE`.

    `size` in bytes, `digest` (SHA-256), `md5` and `crc32c` are those of its document. `timestamp` is a
    version, and empty until the event is recorded. `labels` are those of who may read the document
    (`shared.access.labels`), which change with the binding of the bundle.
    """

    id: str
    replica: str
    type: str
    fqid: Fqid
    size: int
    digest: str
    md5: str
    crc32c: str
    timestamp: str = ""
    labels: frozenset[str] = field(default=UNBOUND, compare=False)

    def check_digests(self) -> None:
        """Raise InvalidChecksum, which names the event, if a digest of its document is malformed or empty."""
        for name, form in _FORMS.items():
            value = str(getattr(self, name))
            if not form.fullmatch(value):
                raise InvalidChecksum(f"event {self.id}: {value[:80]!r} does not have the form of its {name}")


def document_of(event: Event) -> dict[str, Any]:
    """Return the document of an event."""
    return {
        "replica": event.replica,
        "type": event.type,
        "uuid": event.fqid.uuid,
        "version": event.fqid.version,
        "size": event.size,
        "digest": event.digest,
        "md5": event.md5,
        "crc32c": event.crc32c,
        "timestamp": event.timestamp,
        "labels": sorted(event.labels),
    }


def event_of(snapshot: Any) -> Event:
    """Return the event that a document of collection `events` holds."""
    return event_in(snapshot.to_dict(), snapshot.id)


def event_in(document: Mapping[str, Any], event_id: str) -> Event:
    """Return the event of an id that a document describes."""
    return Event(
        id=event_id,
        # Out of the log while its bundle is about to be removed for good: see shared/catalog/purges.py.
        replica=document.get("withheld_from") or document["replica"],
        type=document["type"],
        fqid=Fqid(document["uuid"], document["version"]),
        size=document["size"],
        digest=document["digest"],
        md5=document["md5"],
        crc32c=document["crc32c"],
        timestamp=document["timestamp"],
        labels=frozenset(document["labels"]),
    )
