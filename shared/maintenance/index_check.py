"""The check of the index: compare the entries that it should hold on each replica with those that it holds.

Catalog and index are read once, in the same order, so that memory does not grow with them. A difference is
checked again: the index first, then the catalog. If it persists it is a finding, unless its event is
unpublished: then the entry is still to come, and counts as unsettled.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from shared.access import labels_of
from shared.catalog import BundleHead
from shared.errors import DssError
from shared.identifiers import Fqid
from shared.maintenance.index_entries import expected_entry
from shared.maintenance.merge import by_key, side_by_side
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import is_temporary, retry
from shared.search.base import Indexed, IndexEntry
from shared.search.documents import digest_of
from shared.system import Dss

# Entries that are checked at once; most of the time goes into waiting for their documents.
THREADS = 32


class IndexProblem(StrEnum):
    """What can be wrong with an entry."""

    MISSING = "missing"
    STALE = "stale"
    SUPERFLUOUS = "superfluous"
    DEAD = "dead"
    ALIVE = "alive"
    READERS = "readers"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class IndexFinding:
    """An entry that is wrong, and `why` the check says so."""

    kind: IndexProblem
    replica: str
    fqid: Fqid
    why: str


@dataclass
class IndexTally:
    """What a check has seen so far: bundle versions, and for each replica entries and findings."""

    versions: int = 0
    entries: Counter[str] = field(default_factory=Counter)
    unsettled: Counter[str] = field(default_factory=Counter)
    findings: Counter[tuple[str, IndexProblem]] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """A bundle version on a replica: its head in the catalog, and its entry in the index."""

    replica: Replica
    fqid: Fqid
    head: BundleHead | None
    held: Indexed | None

    @property
    def has_right_name(self) -> bool:
        """Whether the entry exists if it should, and is dead or alive as it should be."""
        if self.head is None or not self.head.was_visible(self.replica.name):
            return self.held is None
        return self.held is not None and self.held.dead == self.head.hidden

    @property
    def has_right_readers(self) -> bool:
        """Whether those find the entry, if it exists, who may read the content of the version."""
        if self.head is None or self.held is None:
            return True
        return self.held.labels == labels_of(self.head.content_readers)


def all_of_them(_: Fqid) -> bool:
    """Return False: no bundle version is the last one to check."""
    return False


def rows(
    dss: Dss,
    replicas: Sequence[Replica],
    tally: IndexTally,
    *,
    after: Fqid | None = None,
    enough: Callable[[Fqid], bool] = all_of_them,
) -> Iterator[list[IndexRow]]:
    """Yield the rows of all bundle versions that the catalog or the index knows, in order.

    A replica that neither should hold an entry nor holds one has no row. `enough` returns whether a version
    is the last one to read.
    """
    start = str(after or "")
    heads = by_key(
        (head for head in dss.catalog.scan.bundles(start) if str(head.fqid) > start),
        lambda head: str(head.fqid),
    )
    entries = {
        replica.name: by_key(dss.index.entries(replica.name, after=after), lambda entry: str(entry.fqid))
        for replica in replicas
    }
    for name, head, found in side_by_side(heads, entries):
        tally.versions += head is not None
        tally.entries.update(found.keys())
        fqid = Fqid.parse(name)
        of_version = [
            IndexRow(replica=replica, fqid=fqid, head=head, held=found.get(replica.name))
            for replica in replicas
        ]
        yield [row for row in of_version if row.held or not row.has_right_name]
        if enough(fqid):
            return


def check(
    dss: Dss,
    replicas: Sequence[Replica],
    *,
    documents: bool,
    tally: IndexTally,
    after: Fqid | None = None,
    enough: Callable[[Fqid], bool] = all_of_them,
    threads: int = THREADS,
) -> Iterator[IndexFinding]:
    """Yield findings after `after` as they are made, and keep the tally. Changes nothing.

    Costs a read of the catalog for every bundle version and of the index for every entry; with `documents`
    also a request for the metadata document of every entry, without which no stale entry is found. Raises
    Unavailable if index or catalog does not answer for long.
    """

    def suspicious() -> Iterator[IndexRow]:
        for of_version in rows(dss, replicas, tally, after=after, enough=enough):
            for row in of_version:
                if documents or not (row.has_right_name and row.has_right_readers):
                    yield row

    for row, found in map_in_threads(partial(_checked_again, dss), suspicious(), threads=threads):
        if isinstance(found, IndexFinding):
            tally.findings[found.replica, found.kind] += 1
            yield found
        elif found:
            tally.unsettled[row.replica.name] += 1


def as_json(finding: IndexFinding) -> dict[str, Any]:
    """Return the line of a report for a finding."""
    return {
        "kind": finding.kind,
        "replica": finding.replica,
        "fqid": str(finding.fqid),
        "why": finding.why,
    }


def _checked_again(dss: Dss, row: IndexRow) -> tuple[IndexRow, IndexFinding | bool]:
    """Return the row and its finding; True if it is unsettled, False if it is right."""
    try:
        return row, retry(dss.clock, lambda: _compared(dss, row))
    except DssError as error:
        if is_temporary(error):
            raise
        return row, _finding(row, IndexProblem.UNKNOWN, f"what it should hold is not known: {error.title}")


def _compared(dss: Dss, row: IndexRow) -> IndexFinding | bool:
    if row.has_right_name and row.has_right_readers and row.head and row.held and is_right(dss, row):
        return False
    # The index first: what it holds was published, and the catalog knew it before.
    held = dss.index.held(row.replica.name, row.fqid)
    head = dss.catalog.bundles.head(row.fqid)
    expected = expected_entry(dss, row.replica, head) if head else None
    wrong = _difference(row, expected, held)
    if wrong is None:
        return not (row.has_right_name and row.has_right_readers)
    if wrong.kind is IndexProblem.READERS and _is_being_bound(dss, row):
        return True
    if head and wrong.kind in (IndexProblem.MISSING, IndexProblem.ALIVE) and _is_under_way(dss, row, head):
        return True
    return wrong


def is_right(dss: Dss, row: IndexRow) -> bool:
    """Return whether the entry of a row that has the right name holds the right document."""
    expected = expected_entry(dss, row.replica, row.head) if row.head else None
    return bool(expected and row.held and row.held.digest == digest_of(expected.document))


def _difference(row: IndexRow, expected: IndexEntry | None, held: Indexed | None) -> IndexFinding | None:
    if expected is None:
        why = "the catalog says that it is not, and was not, to be seen here"
        return _finding(row, IndexProblem.SUPERFLUOUS, why) if held else None
    if held is None:
        return _finding(row, IndexProblem.MISSING, "the catalog says that it is here")
    if held.dead != expected.dead:
        if held.dead:
            return _finding(row, IndexProblem.DEAD, "the catalog knows no tombstone of it")
        return _finding(row, IndexProblem.ALIVE, "the catalog says that it is hidden")
    if not held.digest:
        return _finding(row, IndexProblem.STALE, "it was written in another form than this release writes")
    if held.digest != digest_of(expected.document):
        return _finding(row, IndexProblem.STALE, "it holds another document than was published")
    if held.labels != labels_of(expected.readers):
        why = "others find it than those who may read the bundle"
        return _finding(row, IndexProblem.READERS, why)
    return None


def _finding(row: IndexRow, kind: IndexProblem, why: str) -> IndexFinding:
    return IndexFinding(kind=kind, replica=row.replica.name, fqid=row.fqid, why=why)


def _is_being_bound(dss: Dss, row: IndexRow) -> bool:
    """Return whether a binding of the bundle's UUID is on its way."""
    current = dss.catalog.bindings.current(row.fqid.uuid)
    newest = dss.catalog.bindings.get(Fqid(row.fqid.uuid, current.claimed)) if current else None
    return newest is not None and not newest.available


def _is_under_way(dss: Dss, row: IndexRow, head: BundleHead) -> bool:
    """Return whether the event of the version on the replica, or of its tombstone, is unpublished."""
    if row.replica.name in head.unpublished:
        return True
    if not head.hidden_by:
        return False
    uuid, _, version = head.hidden_by.partition(".")
    known = dss.catalog.scan.tombstone(uuid, version or None)
    return known is not None and row.replica.name in known.unpublished
