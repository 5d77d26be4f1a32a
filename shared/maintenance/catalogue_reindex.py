"""Index bundle versions again into a catalogue, or remove them from it, while the system runs.

What the catalogue holds already is not written again, so a reindexing that was stopped goes on when it is
started again. A bundle that arrives meanwhile is indexed by its own event.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from shared.catalog import BundleHead
from shared.catalogue_indexing import RELEASE, Indexer, Read
from shared.errors import DssError
from shared.events.documents import document_of, make_document
from shared.explore.base import FAILED
from shared.explore.catalogues import Catalogue
from shared.identifiers import Fqid
from shared.maintenance.catalogue_rows import CatalogueRow, rows
from shared.maintenance.index_check import THREADS, all_of_them
from shared.parallel import map_in_threads
from shared.retry import is_temporary, retry
from shared.system import Dss

RIGHT, FORGOTTEN = "right", "forgotten"


def _stored(dss: Dss, replica: str, head: BundleHead) -> bytes:
    return document_of(dss, dss.replicas.named(replica), head)


def _made_again(dss: Dss, replica: str, head: BundleHead) -> bytes:
    return make_document(dss, dss.replicas.named(replica), head, dead=False)


# From the metadata documents, or from manifests and JSON files.
DOCUMENTS, BUCKET = "documents", "bucket"
READS: dict[str, Read] = {DOCUMENTS: _stored, BUCKET: _made_again}


@dataclass(frozen=True, kw_only=True)
class Reindexing:
    """Which bundle versions are indexed again, and from what.

    `only_missing` leaves out those that this release has indexed, for their readers of now; `only_failed`
    takes none but those that have failed.
    """

    prefix: str = ""
    read_from: str = DOCUMENTS
    only_failed: bool = False
    only_missing: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the catalogue then holds all that it should."""
        return not self.prefix and not self.only_failed

    def takes(self, row: CatalogueRow) -> bool:
        """Return whether there may be something to do for a row."""
        if not row.belongs:
            return row.is_in
        if self.only_failed:
            return row.held is not None and row.held.state == FAILED
        is_new = row.held is not None and row.held.release == RELEASE
        return not (self.only_missing and row.is_in and is_new and row.has_right_readers)


@dataclass(frozen=True, kw_only=True)
class Reindexed:
    """The outcome for a bundle version: its state, RIGHT if nothing was to change, or FORGOTTEN.

    `reason` says why it can't be indexed; `failed` why that is not known.
    """

    fqid: Fqid
    done: str = RIGHT
    reason: str = ""
    failed: str = ""


def reindex(
    dss: Dss,
    catalogue: Catalogue,
    how: Reindexing,
    *,
    after: Fqid | None = None,
    enough: Callable[[Fqid], bool] = all_of_them,
    threads: int = THREADS,
) -> Iterator[Reindexed]:
    """Yield the outcome for every bundle version, in order of FQID.

    Removes what does not belong into the catalogue. Raises Unavailable if catalogue, catalog or store does
    not answer for long; a version whose document can't be read fails, and the rest goes on.
    """
    work = partial(_reindexed, dss, Indexer(dss, READS[how.read_from]), how)
    every_row = rows(dss, catalogue, prefix=how.prefix, after=after, enough=enough)
    yield from map_in_threads(work, every_row, threads=threads)


def deindex(
    dss: Dss,
    catalogue: Catalogue,
    *,
    prefix: str = "",
    after: Fqid | None = None,
    enough: Callable[[Fqid], bool] = all_of_them,
    threads: int = THREADS,
) -> Iterator[Reindexed]:
    """Remove from a catalogue all bundle versions of UUIDs with a prefix; yield each, in order of FQID.

    Those whose events are to come are indexed all the same. Raises Unavailable.
    """

    def held() -> Iterator[Fqid]:
        for one in dss.catalogues.upkeep.held(catalogue, after=after, prefix=prefix):
            yield one.fqid
            if enough(one.fqid):
                return

    def forgotten(fqid: Fqid) -> Reindexed:
        retry(dss.clock, lambda: dss.catalogues.forget(catalogue, [fqid]))
        return Reindexed(fqid=fqid, done=FORGOTTEN)

    yield from map_in_threads(forgotten, held(), threads=threads)


def _reindexed(dss: Dss, indexer: Indexer, how: Reindexing, row: CatalogueRow) -> Reindexed:
    if not how.takes(row):
        return Reindexed(fqid=row.fqid)
    try:
        return retry(dss.clock, lambda: _written(dss, indexer, row))
    except DssError as error:
        if is_temporary(error):
            raise
        # The events before the reindexing then count as followed; the sweep has this one tried again.
        retry(dss.clock, partial(indexer.doubt, [row.catalogue], row.fqid, error.title))
        return Reindexed(fqid=row.fqid, failed=error.title)


def _written(dss: Dss, indexer: Indexer, row: CatalogueRow) -> Reindexed:
    # Of a row of what the catalogue alone knows the head was not read.
    now = replace(row, head=dss.catalog.bundles.head(row.fqid))
    if now.belongs or now.head is None or now.head.hidden or now.head.purged:
        outcome = indexer.index_into([row.catalogue], row.fqid)[row.catalogue.name]
    else:
        # It is on another replica, and on this one not yet; or the catalogue has another prefix now.
        outcome = indexer.withdraw(row.catalogue, row.fqid)
    done = outcome.state if outcome.changed or outcome.state == FAILED else RIGHT
    return Reindexed(fqid=row.fqid, done=done, reason=outcome.reason)
