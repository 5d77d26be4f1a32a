"""Rebuild the index from the metadata documents in the buckets, while the system runs.

Right entries are left as they are, so a rebuild that was stopped goes on when it is started again. A bundle
that arrives meanwhile is indexed by its own event, and a dead entry stays dead in any order of writes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from shared.catalog import BundleHead
from shared.errors import DssError, TooManyUnderWay
from shared.events.readers import follow_readers
from shared.identifiers import Fqid
from shared.maintenance.index_check import THREADS, IndexRow, IndexTally, all_of_them, is_right, rows
from shared.maintenance.index_entries import expected_entry
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import is_temporary, retry
from shared.system import Dss

# How often a bundle version may change while its entry is made.
_ATTEMPTS = 20


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """The outcome for an entry: `done` is `written`, `removed` or empty; `failed` says why it is wrong."""

    fqid: Fqid
    done: str = ""
    failed: str = ""


def rebuild_index(
    dss: Dss,
    replica: Replica,
    *,
    after: Fqid | None = None,
    tally: IndexTally,
    enough: Callable[[Fqid], bool] = all_of_them,
    threads: int = THREADS,
) -> Iterator[Rebuilt]:
    """Yield the outcome for every entry of a replica, in order, and keep the tally of what has been read.

    At the end the index holds what the catalog says, including what came meanwhile. An entry that cannot be
    made fails, and the rest goes on. Raises Unavailable if index, catalog or store does not answer for long.
    """
    versions = rows(dss, [replica], tally, after=after, enough=enough)
    every_row = (row for of_version in versions for row in of_version)
    yield from map_in_threads(partial(_rebuilt, dss), every_row, threads=threads)


def _rebuilt(dss: Dss, row: IndexRow) -> Rebuilt:
    try:
        return Rebuilt(fqid=row.fqid, done=retry(dss.clock, lambda: _written(dss, row)))
    except DssError as error:
        if is_temporary(error):
            raise
        return Rebuilt(fqid=row.fqid, failed=error.title)


def _written(dss: Dss, row: IndexRow) -> str:
    if row.has_right_name and is_right(dss, row):
        if row.has_right_readers:
            return ""
        follow_readers(dss, row.fqid)
        return "written"
    expected = expected_entry(dss, row.replica, row.head) if row.head else None
    if expected and (expected.dead or row.held is None or not row.held.dead):
        # Safe beside other writers: a live entry never replaces a dead one.
        dss.index.put(expected)
        # The head was read a while ago.
        now = follow_readers(dss, row.fqid)
        if _name(now, row.replica) == _name(row.head, row.replica):
            return "written"
    return _replaced(dss, row)


def _replaced(dss: Dss, row: IndexRow) -> str:
    """Remove a wrong entry; write the right one, if there should be one."""
    head = dss.catalog.bundles.head(row.fqid)
    for _ in range(_ATTEMPTS):
        dss.index.delete(row.replica.name, row.fqid)
        expected = expected_entry(dss, row.replica, head) if head else None
        if expected:
            dss.index.put(expected)
        # An entry that was written between the look-up and the removal has been removed with it.
        now = dss.catalog.bundles.head(row.fqid)
        if _state(now, row.replica) == _state(head, row.replica):
            return "written" if expected else "removed"
        head = now
    raise TooManyUnderWay(f"bundle {row.fqid}: it keeps changing; try again")


def _state(head: BundleHead | None, replica: Replica) -> tuple[tuple[bool, bool], frozenset[str]]:
    return _name(head, replica), head.content_readers if head else frozenset()


def _name(head: BundleHead | None, replica: Replica) -> tuple[bool, bool]:
    """Return whether a version has an entry, and whether it is dead."""
    if head is None or not head.was_visible(replica.name):
        return False, False
    return True, head.hidden
