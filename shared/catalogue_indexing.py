"""Brings bundle versions into the catalogues of their replica, as their events say.

Each version is read from its metadata document, which is immutable, so that events may come twice and in any
order. A bundle whose metadata can't be used fails alone, and is listed with the reason.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from shared.access import labels_of
from shared.catalog import BundleHead
from shared.errors import DssError, NotYetThere, TooManyUnderWay
from shared.events.documents import read_document
from shared.explore.base import DELETED, FAILED, INDEXED, LEFT_OUT, WITHDRAWN, BundleState
from shared.explore.bundle_metadata import BundleMetadata, UnusableMetadata
from shared.explore.catalogues import Catalogue
from shared.explore.changes import Said
from shared.explore.reasons import storable, why_not_stored
from shared.identifiers import Fqid
from shared.metadata import contents
from shared.system import Dss

_log = structlog.get_logger()

# How often the readers of a version may change while it is being indexed.
_ATTEMPTS = 20

# Of all plug-ins of this package: a new one makes failed bundles be tried again.
RELEASE = "1"


# Returns the metadata document of a bundle version on a replica.
Read = Callable[[Dss, str, BundleHead], bytes]


def published(dss: Dss, replica: str, head: BundleHead) -> bytes:
    """Return the stored document. Raises NotYetThere if there is none."""
    return read_document(dss, replica, head.fqid, dead=False)


@dataclass(frozen=True)
class Outcome:
    """The state of a bundle version in a catalogue, why it is not in it, and whether anything changed."""

    state: str
    reason: str
    changed: bool


class Indexer:
    """Indexes bundle versions into the catalogues of a system, from the documents that `read` returns."""

    def __init__(self, dss: Dss, read: Read = published) -> None:
        self._dss = dss
        self._store = dss.catalogues
        self._read = read

    def index(self, replica: str, fqid: Fqid) -> dict[str, Outcome]:
        """Bring a bundle version into all catalogues of a replica, as `index_into` does."""
        return self.index_into(catalogues_of(self._dss, replica, fqid), fqid)

    def index_into(self, catalogues: Sequence[Catalogue], fqid: Fqid) -> dict[str, Outcome]:
        """Bring a bundle version into catalogues, as it is now; return the outcome by catalogue.

        Removes it from them if it is hidden or purged. Safe to repeat, in any order. Raises NotYetThere if it
        is not published yet, and Unavailable.
        """
        for _ in range(_ATTEMPTS):
            head = self._dss.catalog.bundles.head(fqid)
            outcomes = {each.name: self._index(each, head, fqid) for each in catalogues}
            # A change of who may read it, or its deletion, may have come meanwhile.
            if _what_counts(self._dss.catalog.bundles.head(fqid)) == _what_counts(head):
                return outcomes
        raise TooManyUnderWay(f"bundle {fqid}: its readers keep changing; try again")

    def withdraw(self, catalogue: Catalogue, fqid: Fqid) -> Outcome:
        """Remove a bundle version from a catalogue that it does not belong into, or not now."""
        return self._put(catalogue, BundleState(fqid=fqid, state=WITHDRAWN))

    def fail(self, replica: str, fqid: Fqid, reason: str) -> None:
        """Record in all catalogues of a replica that a bundle version can't be indexed, and why.

        Those who may see it then see no earlier state of it.
        """
        head = self._dss.catalog.bundles.head(fqid)
        if head is None or head.hidden or head.purged:
            return
        for each in catalogues_of(self._dss, replica, fqid):
            self._put(each, _failed(fqid, labels_of(head.content_readers), reason))

    def _index(self, catalogue: Catalogue, head: BundleHead | None, fqid: Fqid) -> Outcome:
        if head is None or head.hidden or head.purged:
            # Nothing brings a hidden version back, but a purge may be undone.
            return self._put(
                catalogue, BundleState(fqid=fqid, state=DELETED if head and head.hidden else WITHDRAWN)
            )
        document = self._read(self._dss, catalogue.setting.replica, head)
        return self._put(catalogue, transform(catalogue, fqid, document, labels_of(head.content_readers)))

    def _put(self, catalogue: Catalogue, state: BundleState) -> Outcome:
        try:
            changed = self._store.put(catalogue, state)
        except DssError:
            raise
        except Exception as error:
            # What this bundle says can't be merged with what others say, or can't be stored.
            if state.state != INDEXED:
                raise
            _log.warning("not stored", catalogue=catalogue.name, bundle=str(state.fqid), exc_info=error)
            state = _failed(state.fqid, state.labels, why_not_stored(error))
            changed = self._store.put(catalogue, state)
        return Outcome(state.state, state.reason, changed)


def catalogues_of(dss: Dss, replica: str, fqid: Fqid) -> list[Catalogue]:
    """Return the catalogues that a bundle version of a replica belongs into."""
    return [
        each
        for each in dss.catalogues.catalogues().values()
        if each.setting.replica == replica and fqid.uuid.startswith(each.setting.prefix)
    ]


def _what_counts(head: BundleHead | None) -> Any:
    return head and (head.hidden, head.purged, head.content_readers)


def transform(catalogue: Catalogue, fqid: Fqid, document: bytes, labels: frozenset[str]) -> BundleState:
    """Return what a catalogue records of a bundle version with a metadata document."""
    try:
        parsed = json.loads(document)
    except ValueError as error:
        return _failed(fqid, labels, f"its metadata document is no JSON: {error}")
    metadata = bundle_metadata(fqid, parsed)
    plugin = catalogue.plugin
    if not plugin.accepts(metadata):
        return BundleState(fqid=fqid, state=LEFT_OUT, labels=labels, release=RELEASE)
    try:
        said = Said.of(plugin.contributions(metadata))
    except UnusableMetadata as error:
        return _failed(fqid, labels, str(error))
    except Exception as error:  # noqa: BLE001 # metadata are anybody's: one bundle must not stop the others
        _log.warning("the plug-in has failed", bundle=str(fqid), exc_info=error)
        return _failed(fqid, labels, f"the plug-in {catalogue.setting.plugin} has failed: {error!r}")
    return BundleState(fqid=fqid, state=INDEXED, labels=labels, release=RELEASE, said=said)


def _failed(fqid: Fqid, labels: frozenset[str], reason: str) -> BundleState:
    return BundleState(fqid=fqid, state=FAILED, labels=labels, release=RELEASE, reason=storable(reason))


def bundle_metadata(fqid: Fqid, document: Any) -> BundleMetadata:
    """Return what a metadata document holds of a bundle. Raises NotYetThere if it is that of a tombstone."""
    if "manifest" not in document:
        raise NotYetThere(f"bundle {fqid}: its metadata document is not there")
    files = document["manifest"]["files"]
    named = {str(file["name"]): content for file, content in contents(document)}
    indexed = {file["name"] for file in files if file["indexed"]}
    left_out = {row["name"]: row["reason"] for row in document.get("left_out", ()) if row["name"] in indexed}
    return BundleMetadata(fqid, files, named, left_out)
