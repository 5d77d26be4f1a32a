"""The index, made anew of the metadata documents that are kept beside the journal, while everything goes on.

What is right is left as it is, so that a rebuild that was stopped goes on by being started again. A bundle
that arrives meanwhile is indexed by its own event, and a tombstone stays, whoever writes last.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from shared.catalog import BundleHead
from shared.errors import DssError, NotYetThere, Unavailable
from shared.identifiers import Fqid
from shared.maintenance.index_check import THREADS, IndexRow, IndexTally, all_of_them, is_right, rows
from shared.maintenance.index_entries import expected_entry
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import retry
from shared.system import Dss


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What became of an entry: `done` is `written`, `removed` or empty, `failed` says why it is not right."""

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
    """Yield what becomes of every entry of a replica, in order, and keep the tally of what has been read.

    When it is through, the index holds what the catalog says, all that came meanwhile included. What cannot
    be made is told, and does not stop the rest. Raises Unavailable where index, catalog or store stays away.
    """
    versions = rows(dss, [replica], tally, after=after, enough=enough)
    wanted = (row for of_version in versions for row in of_version)
    yield from map_in_threads(partial(_rebuilt, dss), wanted, threads=threads)


def _rebuilt(dss: Dss, row: IndexRow) -> Rebuilt:
    try:
        return Rebuilt(fqid=row.fqid, done=retry(dss.clock, lambda: _mended(dss, row)))
    except DssError as error:
        if isinstance(error, Unavailable) and not isinstance(error, NotYetThere):
            raise
        return Rebuilt(fqid=row.fqid, failed=error.title)


def _mended(dss: Dss, row: IndexRow) -> str:
    if row.has_right_name and is_right(dss, row):
        return ""
    expected = expected_entry(dss, row.replica, row.head) if row.head else None
    if expected and (expected.dead or row.held is None or not row.held.dead):
        # Safe whatever came meanwhile: nothing living replaces what is dead.
        dss.index.put(expected)
        return "written"
    return _replaced(dss, row)


def _replaced(dss: Dss, row: IndexRow) -> str:
    """Remove an entry that should not be there; write the one that should, if any."""
    head = dss.catalog.bundles.head(row.fqid)
    while True:
        dss.index.delete(row.replica.name, row.fqid)
        expected = expected_entry(dss, row.replica, head) if head else None
        if expected:
            dss.index.put(expected)
        # What was told between the look and the removal has been removed with it.
        now = dss.catalog.bundles.head(row.fqid)
        if _state(now, row.replica) == _state(head, row.replica):
            return "written" if expected else "removed"
        head = now


def _state(head: BundleHead | None, replica: Replica) -> tuple[bool, bool]:
    return (head.was_visible(replica.name), head.hidden) if head else (False, False)
