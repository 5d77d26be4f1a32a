"""Brings bundle versions into the catalogues of their replica, as their events say.

Each version is read from its metadata document, which is immutable, so that events may come twice and in any
order. A bundle whose metadata can't be used fails alone, and is listed with the reason.
"""

import json
from collections.abc import Callable, Mapping, Sequence
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
from shared.identifiers import Fqid, event_ids
from shared.metadata import CREATE, contents
from shared.system import Dss

_log = structlog.get_logger()

# How often the readers of a version may change while it is being indexed.
_ATTEMPTS = 20

# Of all plug-ins of this package: a new one makes failed bundles be tried again.
RELEASE = "1"
# In the place of a release, of bundles that no plug-in has refused.
UNTRIED = ""

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


# Returns what a catalogue is to record of a bundle version with a head; None if nothing.
_StateOf = Callable[[Catalogue, BundleHead], BundleState | None]


@dataclass(frozen=True)
class _Now:
    """The head of a bundle version, and the digests of its documents."""

    head: BundleHead | None
    digests: Mapping[str, str]

    @property
    def what_counts(self) -> Any:
        """What is equal if the same is to be recorded."""
        head = self.head
        return head and (head.hidden, head.purged, head.content_readers), self.digests


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
        return self._settled(catalogues, fqid, self._read_state)

    def withdraw(self, catalogue: Catalogue, fqid: Fqid) -> Outcome:
        """Remove a bundle version from a catalogue that it does not belong into, or not now."""
        return self._put(catalogue, BundleState(fqid=fqid, state=WITHDRAWN))

    def fail(self, replica: str, fqid: Fqid, reason: str) -> None:
        """Record in all catalogues of a replica that a bundle version can't be indexed, and why.

        Those who may see it then see no earlier state of it. Raises Unavailable.
        """

        def failed(_: Catalogue, head: BundleHead) -> BundleState:
            return _failed(fqid, labels_of(head.content_readers), reason)

        self._settled(catalogues_of(self._dss, replica, fqid), fqid, failed)

    def doubt(self, catalogues: Sequence[Catalogue], fqid: Fqid, reason: str) -> None:
        """Record in catalogues that it is not known whether a bundle version can be indexed, and why.

        What they have of it stays if it is for its present readers. Otherwise it counts as one that has
        failed in another release of the plug-in, which the sweep has tried again. Raises Unavailable.
        """

        def doubtful(catalogue: Catalogue, head: BundleHead) -> BundleState | None:
            labels = labels_of(head.content_readers)
            known = self._store.state(catalogue, fqid)
            if known and known.state in (INDEXED, LEFT_OUT) and known.labels == labels:
                return None
            return _failed(fqid, labels, reason, release=UNTRIED)

        self._settled(catalogues, fqid, doubtful)

    def _settled(
        self, catalogues: Sequence[Catalogue], fqid: Fqid, state_of: "_StateOf"
    ) -> dict[str, Outcome]:
        """Record a bundle version in catalogues until it was not changed meanwhile."""
        replicas = sorted({each.setting.replica for each in catalogues})
        now = self._now(replicas, fqid)
        for _ in range(_ATTEMPTS):
            outcomes = self._recorded(catalogues, now.head, fqid, state_of)
            # A change of who may read it, its deletion, or a purge of its files may have come meanwhile.
            before, now = now, self._now(replicas, fqid)
            if now.what_counts == before.what_counts:
                return outcomes
        raise TooManyUnderWay(f"bundle {fqid}: its readers keep changing; try again")

    def _now(self, replicas: Sequence[str], fqid: Fqid) -> "_Now":
        head = self._dss.catalog.bundles.head(fqid)
        events = self._dss.catalog.events.get_many(event_ids(replicas, fqid, [CREATE]))
        return _Now(head, {name: event.digest for name, event in events.items()})

    def _recorded(
        self, catalogues: Sequence[Catalogue], head: BundleHead | None, fqid: Fqid, state_of: "_StateOf"
    ) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        errors: list[DssError] = []
        for each in catalogues:
            # One catalogue must not keep the others from what they are to follow.
            try:
                outcomes[each.name] = self._record(each, head, fqid, state_of)
            except DssError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return outcomes

    def _record(
        self, catalogue: Catalogue, head: BundleHead | None, fqid: Fqid, state_of: "_StateOf"
    ) -> Outcome:
        catalogue.require_as_made()
        if head is None or head.hidden or head.purged:
            # Nothing brings a hidden version back, but a purge may be undone.
            return self._put(
                catalogue, BundleState(fqid=fqid, state=DELETED if head and head.hidden else WITHDRAWN)
            )
        state = state_of(catalogue, head)
        return self._put(catalogue, state) if state else Outcome(INDEXED, "", changed=False)

    def _read_state(self, catalogue: Catalogue, head: BundleHead) -> BundleState:
        labels = labels_of(head.content_readers)
        try:
            document = self._read(self._dss, catalogue.setting.replica, head)
        except NotYetThere as error:
            known = self._store.state(catalogue, head.fqid)
            if known and known.state == INDEXED and known.labels != labels:
                # Those who may not read it any more must not find it until its document is there.
                self._put(catalogue, _failed(head.fqid, labels, error.title, release=UNTRIED))
            raise
        return transform(catalogue, head.fqid, document, labels)

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


def _failed(fqid: Fqid, labels: frozenset[str], reason: str, *, release: str | None = None) -> BundleState:
    return BundleState(
        fqid=fqid,
        state=FAILED,
        labels=labels,
        release=RELEASE if release is None else release,
        reason=storable(reason),
    )


def bundle_metadata(fqid: Fqid, document: Any) -> BundleMetadata:
    """Return what a metadata document holds of a bundle. Raises NotYetThere if it is that of a tombstone."""
    if "manifest" not in document:
        raise NotYetThere(f"bundle {fqid}: its metadata document is not there")
    files = document["manifest"]["files"]
    named = {str(file["name"]): content for file, content in contents(document)}
    indexed = {file["name"] for file in files if file["indexed"]}
    left_out = {row["name"]: row["reason"] for row in document.get("left_out", ()) if row["name"] in indexed}
    return BundleMetadata(fqid, files, named, left_out)
