"""The check of a catalogue: compare what it holds with what the catalog says, both ways.

Both are read once, in the same order, so that memory does not grow with them. A difference is checked again,
the catalogue first; if it persists it is a finding, unless the event that settles it is on its way.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from shared.catalogue_indexing import RELEASE, transform
from shared.errors import DssError
from shared.events.documents import document_of
from shared.explore.base import FAILED
from shared.explore.catalogues import Catalogue
from shared.identifiers import Fqid, event_ids, moment_of
from shared.maintenance.catalogue_rows import CatalogueRow, rows
from shared.maintenance.index_check import THREADS, all_of_them
from shared.parallel import map_in_threads
from shared.retry import is_temporary, retry
from shared.system import Dss


class CatalogueProblem(StrEnum):
    """What can be wrong with a bundle version in a catalogue."""

    LOST = "lost"
    DARK = "dark"
    STALE = "stale"
    READERS = "readers"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class CatalogueFinding:
    """A bundle version of which a catalogue holds what is wrong, and `why` the check says so."""

    kind: CatalogueProblem
    catalogue: str
    fqid: Fqid
    why: str


@dataclass
class CatalogueTally:
    """What a check has seen so far of a catalogue."""

    known: int = 0
    held: int = 0
    failed: int = 0
    unsettled: int = 0
    findings: Counter[CatalogueProblem] = field(default_factory=Counter)


def check_catalogue(
    dss: Dss,
    catalogue: Catalogue,
    *,
    documents: bool,
    tally: CatalogueTally,
    prefix: str = "",
    after: Fqid | None = None,
    enough: Callable[[Fqid], bool] = all_of_them,
    threads: int = THREADS,
) -> Iterator[CatalogueFinding]:
    """Yield findings after `after` as they are made, and keep the tally. Changes nothing.

    Costs a read of the catalog for every bundle version; with `documents` also a request for the document of
    each that is in the catalogue, without which no stale one is found. Raises Unavailable if catalogue or
    catalog does not answer for long.
    """

    def suspicious() -> Iterator[CatalogueRow]:
        for row in rows(dss, catalogue, prefix=prefix, after=after, enough=enough):
            tally.known += row.head is not None
            tally.held += row.is_in
            tally.failed += row.held is not None and row.held.state == FAILED
            if row.belongs != row.is_in or not row.has_right_readers or (documents and row.is_in):
                yield row

    for found in map_in_threads(partial(_checked_again, dss), suspicious(), threads=threads):
        if isinstance(found, CatalogueFinding):
            tally.findings[found.kind] += 1
            yield found
        elif found:
            tally.unsettled += 1


def as_json(finding: CatalogueFinding) -> dict[str, Any]:
    """Return the line of a report for a finding."""
    return {
        "kind": finding.kind,
        "catalogue": finding.catalogue,
        "fqid": str(finding.fqid),
        "why": finding.why,
    }


def _checked_again(dss: Dss, row: CatalogueRow) -> CatalogueFinding | bool:
    """Return the finding of a row; True if it is unsettled, False if it is right."""
    try:
        return retry(dss.clock, lambda: _compared(dss, row))
    except DssError as error:
        if is_temporary(error):
            raise
        return _finding(row, CatalogueProblem.UNKNOWN, f"what it should hold is not known: {error.title}")


def _compared(dss: Dss, row: CatalogueRow) -> CatalogueFinding | bool:
    # The catalogue first: what it holds the catalog knew before.
    held = dss.catalogues.upkeep.held_of(row.catalogue, [row.fqid]).get(row.fqid)
    head = dss.catalog.bundles.head(row.fqid)
    now = CatalogueRow(catalogue=row.catalogue, fqid=row.fqid, head=head, held=held)
    wrong = _difference(dss, now)
    recently = timedelta(seconds=dss.settings.sweep_seconds)
    return True if wrong and is_under_way(dss, now, recently) else wrong or False


def _difference(dss: Dss, row: CatalogueRow) -> CatalogueFinding | None:
    if not row.belongs:
        why = "the catalog says that it is not to be seen here"
        return _finding(row, CatalogueProblem.DARK, why) if row.is_in else None
    if not row.is_in:
        return _finding(row, CatalogueProblem.LOST, "the catalog says that it is here")
    if not row.has_right_readers:
        return _finding(row, CatalogueProblem.READERS, "others see it than those who may read the bundle")
    why = _why_stale(dss, row)
    return _finding(row, CatalogueProblem.STALE, why) if why else None


def _why_stale(dss: Dss, row: CatalogueRow) -> str:
    if row.head is None or row.held is None:
        return ""
    if row.held.state == FAILED and row.held.release == RELEASE:
        return ""
    if row.held.state == FAILED:
        return "it has failed in an earlier release of the plug-in, and was not tried again"
    replica = dss.replicas.named(row.catalogue.setting.replica)
    expected = transform(row.catalogue, row.fqid, document_of(dss, replica, row.head), row.labels)
    if expected.state != row.held.state:
        return f"it is {row.held.state}, and would be {expected.state} now"
    if (expected.said.digest if expected.said else "") != row.held.digest:
        return "it holds something else than its document says"
    return ""


def _finding(row: CatalogueRow, kind: CatalogueProblem, why: str) -> CatalogueFinding:
    return CatalogueFinding(kind=kind, catalogue=row.catalogue.name, fqid=row.fqid, why=why)


def is_under_way(dss: Dss, row: CatalogueRow, within: timedelta) -> bool:
    """Return whether the event of a version, its tombstone, or a change of its readers may be on its way.

    That is if it is no older than `within`.
    """
    replica = row.catalogue.setting.replica
    if row.head and replica in row.head.unpublished:
        return True
    recently = dss.clock.now() - within
    moments = [
        event.timestamp for event in dss.catalog.events.get_many(event_ids([replica], row.fqid)).values()
    ]
    binding = dss.catalog.bindings.current(row.fqid.uuid)
    moments += [binding.claimed] if binding and binding.claimed else []
    return any(moment_of(moment) > recently for moment in moments)
