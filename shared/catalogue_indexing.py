"""Brings bundle versions into the catalogues of their replica, as their events say.

Each version is read from its metadata document, which is immutable, so that events may come twice and in any
order. A bundle whose metadata can't be used fails alone, and is listed with the reason.
"""

import json
from typing import Any

import structlog

from shared.access import labels_of
from shared.catalog import BundleHead
from shared.errors import DssError, NotYetThere, TooManyUnderWay
from shared.events.documents import read_document
from shared.explore.audiences import TooManyAudiences
from shared.explore.base import DELETED, FAILED, INDEXED, LEFT_OUT, WITHDRAWN, BundleState
from shared.explore.bundle_metadata import BundleMetadata, UnusableMetadata
from shared.explore.catalogues import Catalogue
from shared.explore.changes import Said
from shared.identifiers import Fqid
from shared.metadata import contents
from shared.system import Dss

_log = structlog.get_logger()

# How often the readers of a version may change while it is being indexed.
_ATTEMPTS = 20
# Of a reason; it may quote what a file holds.
_MAX_REASON = 2000

# Of all plug-ins of this package: a new one makes failed bundles be tried again.
RELEASE = "1"


class Indexer:
    """Indexes bundle versions into the catalogues of a system."""

    def __init__(self, dss: Dss) -> None:
        self._dss = dss
        self._store = dss.catalogues

    def index(self, replica: str, fqid: Fqid) -> dict[str, str]:
        """Bring a bundle version into all catalogues of a replica, as it is now; return its state in each.

        Removes it from them if it is hidden or purged. Safe to repeat, in any order. Raises NotYetThere if it
        is not published yet, and Unavailable.
        """
        for _ in range(_ATTEMPTS):
            head = self._dss.catalog.bundles.head(fqid)
            states = {each.name: self._index(each, head, fqid) for each in self._of(replica, fqid)}
            # A change of who may read it, or its deletion, may have come meanwhile.
            if _what_counts(self._dss.catalog.bundles.head(fqid)) == _what_counts(head):
                return states
        raise TooManyUnderWay(f"bundle {fqid}: its readers keep changing; try again")

    def _of(self, replica: str, fqid: Fqid) -> list[Catalogue]:
        return [
            each
            for each in self._store.catalogues().values()
            if each.setting.replica == replica and fqid.uuid.startswith(each.setting.prefix)
        ]

    def _index(self, catalogue: Catalogue, head: BundleHead | None, fqid: Fqid) -> str:
        if head is None or head.hidden or head.purged:
            # Nothing brings a hidden version back, but a purge may be undone.
            state = BundleState(fqid=fqid, state=DELETED if head and head.hidden else WITHDRAWN)
        else:
            document = read_document(self._dss, catalogue.setting.replica, fqid, dead=False)
            state = transform(catalogue, fqid, document, labels_of(head.content_readers))
        try:
            self._store.put(catalogue, state)
        except DssError:
            raise
        except Exception as error:
            # What this bundle says can't be merged with what others say, or can't be stored.
            if state.state != INDEXED:
                raise
            reason = str(error) if isinstance(error, TooManyAudiences) else f"can't be stored: {error!r}"
            _log.warning("not stored", catalogue=catalogue.name, bundle=str(fqid), exc_info=error)
            state = _failed(fqid, state.labels, reason)
            self._store.put(catalogue, state)
        if state.state == FAILED:
            _log.warning("not indexed", catalogue=catalogue.name, bundle=str(fqid), reason=state.reason)
        return state.state


def _what_counts(head: BundleHead | None) -> Any:
    return head and (head.hidden, head.purged, head.content_readers)


def transform(catalogue: Catalogue, fqid: Fqid, document: bytes, labels: frozenset[str]) -> BundleState:
    """Return what a catalogue records of a bundle version with a metadata document."""
    metadata = bundle_metadata(fqid, json.loads(document))
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
    # PostgreSQL stores neither null characters nor halves of characters, which files may hold.
    text = reason[:_MAX_REASON].replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return BundleState(fqid=fqid, state=FAILED, labels=labels, release=RELEASE, reason=text)


def bundle_metadata(fqid: Fqid, document: Any) -> BundleMetadata:
    """Return what a metadata document holds of a bundle. Raises NotYetThere if it is that of a tombstone."""
    if "manifest" not in document:
        raise NotYetThere(f"bundle {fqid}: its metadata document is not there")
    files = document["manifest"]["files"]
    named = {str(file["name"]): content for file, content in contents(document)}
    indexed = {file["name"] for file in files if file["indexed"]}
    left_out = {row["name"]: row["reason"] for row in document.get("left_out", ()) if row["name"] in indexed}
    return BundleMetadata(fqid, files, named, left_out)
