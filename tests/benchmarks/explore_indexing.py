"""What indexing a bundle costs, and how many a second are indexed."""

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg

from shared.explore.base import INDEXED, BundleState
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.catalogues import Catalogue
from shared.explore.changes import Said
from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.query import Query
from tests.benchmarks.explore_bundles import variants
from tests.benchmarks.explore_filled import LABELS, RELEASE
from tests.benchmarks.processes import thread_seconds

# Bundles whose cost is measured, behind some more that their project has before.
BUNDLES, BEFORE = 40, 10
# Of the empty catalogue that is filled at full speed.
FILES = 800
_SEED, _MOST_FILES = 1, 5
# Behind all that a catalogue is filled with.
_FIRST = 1_000_000
_LONGEST_SECONDS = 300
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dss'"
_ROWS = """
    SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint,
        coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint
    FROM pg_stat_user_tables WHERE relname LIKE 'dss_explore%%'
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one bundle costs: seconds of CPU time of PostgreSQL and of Python, and rows of tables.

    `files` are the documents of files that were there.
    """

    files: int
    bundles: int
    backend: float
    own: float
    written: float
    read: float


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How long so many processes, each with so many threads, took for some bundles.

    CPU times are of one bundle.
    """

    processes: int
    threads: int
    bundles: int
    files: int
    seconds: float
    own: float
    backend: float

    def __str__(self) -> str:
        rate = self.bundles / self.seconds
        return f"{self.processes} processes of {self.threads} threads: {rate:.1f} bundles/s"


def backend_seconds(dsn: str) -> float:
    """Return the CPU time that PostgreSQL has spent for the connections that stores have at the moment."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'dss'"
        ).fetchall()
    return sum(thread_seconds(pid) for (pid,) in rows)


def indexing_cost(dsn: str, store: PostgreSqlCatalogues) -> Cost:
    """Index some bundles of a project of their own, and return what one has cost."""
    (catalogue,) = store.catalogues().values()
    files, _ = store.counts(catalogue, LABELS, Query(entity_type="files", facets=()))
    states = [state_of(catalogue, each) for each in _of_one_project(BEFORE + BUNDLES)]
    for state in states[:BEFORE]:
        store.put(catalogue, state)
    # A process of PostgreSQL tells what it has read and written when it ends, and before that now and then.
    store.close()
    rows, own = _rows(dsn), time.process_time()
    for state in states[BEFORE:]:
        store.put(catalogue, state)
    own, backend = time.process_time() - own, backend_seconds(dsn)
    store.close()
    written, read = (after - before for before, after in zip(rows, _rows(dsn), strict=True))
    return Cost(
        files=files,
        bundles=BUNDLES,
        backend=backend / BUNDLES,
        own=own / BUNDLES,
        written=written / BUNDLES,
        read=read / BUNDLES,
    )


def indexing_rate(dsn: str, store: PostgreSqlCatalogues, processes: int, threads: int) -> Rate:
    """Index bundles into an empty catalogue, as fast as so many processes can, each with so many threads."""
    (catalogue,) = store.catalogues().values()
    # Connections do not survive a fork.
    store.close()
    bundles = [each.metadata for each in variants(files=FILES, docs_per_variant=0, seed=_SEED)]
    context = multiprocessing.get_context("fork")
    results, barrier = context.Queue(), context.Barrier(processes + 1)
    workers = [
        context.Process(
            target=_index, args=(results, barrier, store, catalogue, bundles[part::processes], threads)
        )
        for part in range(processes)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(_LONGEST_SECONDS)
    backend, began = backend_seconds(dsn), time.monotonic()
    barrier.wait(_LONGEST_SECONDS)
    found = [results.get(timeout=_LONGEST_SECONDS) for _ in workers]
    backend = backend_seconds(dsn) - backend
    barrier.wait(_LONGEST_SECONDS)
    for worker in workers:
        worker.join()
    ended, own = zip(*found, strict=True)
    return Rate(
        processes=processes,
        threads=threads,
        bundles=len(bundles),
        files=sum(len(each.files) for each in bundles),
        seconds=max(ended) - began,
        own=sum(own) / len(bundles),
        backend=backend / len(bundles),
    )


def _index(
    results: Any,
    barrier: Any,
    store: PostgreSqlCatalogues,
    catalogue: Catalogue,
    bundles: Sequence[BundleMetadata],
    threads: int,
) -> None:
    # It opens its connection.
    store.forget(catalogue, [bundles[0].fqid])
    barrier.wait(_LONGEST_SECONDS)
    barrier.wait(_LONGEST_SECONDS)
    own = time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda bundle: store.put(catalogue, state_of(catalogue, bundle)), bundles):
            pass
    results.put((time.monotonic(), time.process_time() - own))
    # What its connection has cost is read before it ends.
    barrier.wait(_LONGEST_SECONDS)


def state_of(catalogue: Catalogue, bundle: BundleMetadata) -> BundleState:
    """Return what is recorded of a bundle that can be indexed."""
    said = Said.of(catalogue.plugin.contributions(bundle))
    return BundleState(fqid=bundle.fqid, state=INDEXED, labels=LABELS, release=RELEASE, said=said)


def _of_one_project(number: int) -> list[BundleMetadata]:
    """Return bundles of a project that no filled catalogue has."""
    projects: dict[int, list[BundleMetadata]] = {}
    for each in variants(files=16 * number, docs_per_variant=0, seed=_SEED, first=_FIRST):
        if len(each.metadata.files) <= _MOST_FILES:
            found = projects.setdefault(each.project, [])
            found.append(each.metadata)
            if len(found) == number:
                return found
    raise AssertionError("too few bundles of each project")


def _rows(dsn: str) -> tuple[int, int]:
    """Return how many rows were written and read."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(_ROWS).fetchone()
        assert row is not None
        return row[0], row[1]
