"""The catalogue at the size of the HCA's own: times of its answers, and what indexing costs.

The catalogue is filled with bundles like real ones of the HCA, which are in a folder beside the project.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.settings import CatalogueSetting
from tests.benchmarks.explore_bundles import NoBundles, real_bundles
from tests.benchmarks.explore_filled import Filling, fill
from tests.benchmarks.explore_indexing import Cost, Rate, backend_seconds, indexing_cost, indexing_rate
from tests.benchmarks.explore_live import Seen, live
from tests.benchmarks.explore_questions import Question, questions
from tests.benchmarks.lag import percentile
from tests.benchmarks.sizes import sized
from tests.support.postgresql_server import postgresql_server

# Documents of files, as the HCA's catalogue had in 2022, at full size; and of a small one to compare with.
FILES, FEW_FILES = sized(461_287, 50_000), 1000
# So many files have the same values of all facets, on average; of 50 canned bundles of the HCA, 12 have.
FILES_PER_VARIANT = 40
ASKED, SECONDS, LEAST = 20, sized(4.0, 2.0), 5


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The times of a question's answers, in seconds; `backend` is CPU time of PostgreSQL, `own` of Python."""

    question: Question
    p50: float
    p95: float
    backend: float
    own: float

    def __str__(self) -> str:
        times = f"p50 {self.p50 * 1000:7.1f} ms  p95 {self.p95 * 1000:7.1f} ms"
        return f"{self.question.name:56} {times}  CPU {self.backend * 1000:.1f} + {self.own * 1000:.1f} ms"


def explore() -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    try:
        real_bundles()
    except NoBundles as error:
        return f"## The catalogue\n\n{error}\n"
    with _catalogues() as (dsn, few):
        fill(dsn, few.catalogues()["hca"], files=FEW_FILES, docs_per_variant=FILES_PER_VARIANT)
        small = indexing_cost(dsn, few)
    with _catalogues() as (dsn, store):
        began = time.monotonic()
        filled = fill(dsn, store.catalogues()["hca"], files=FILES, docs_per_variant=FILES_PER_VARIANT)
        print(f"{filled} in {time.monotonic() - began:.0f} s", flush=True)
        rows = list(_asked(dsn, store))
        large = indexing_cost(dsn, store)
    rates = [_rate(processes, threads) for processes, threads in ((1, 1), (1, 16), (2, 16))]
    return "\n".join(
        [
            _questions_section(filled, rows),
            _indexing_section(small, large, rates),
            _live_section(live()),
        ]
    )


@contextlib.contextmanager
def _catalogues() -> Iterator[tuple[str, PostgreSqlCatalogues]]:
    with postgresql_server() as server:
        store = PostgreSqlCatalogues(
            server.dsn,
            [CatalogueSetting(name="hca", plugin="hca")],
            endpoint="https://dss.test/v1",
            host="dss",
        )
        try:
            yield server.dsn, store
        finally:
            store.close()


def _rate(processes: int, threads: int) -> Rate:
    with _catalogues() as (dsn, store):
        rate = indexing_rate(dsn, store, processes, threads)
    print(rate, flush=True)
    return rate


def _asked(dsn: str, store: PostgreSqlCatalogues) -> Iterator[Asked]:
    for question in questions(store):
        # The first one opens a connection, and brings pages into the cache.
        question.ask()
        seconds: list[float] = []
        backends: list[float] = []
        own: list[float] = []
        until = time.monotonic() + SECONDS
        while len(seconds) < LEAST or (len(seconds) < ASKED and time.monotonic() < until):
            used, processed, began = backend_seconds(dsn), time.process_time(), time.monotonic()
            question.ask()
            seconds.append(time.monotonic() - began)
            own.append(time.process_time() - processed)
            backends.append(backend_seconds(dsn) - used)
        row = Asked(
            question=question,
            p50=percentile(sorted(seconds), 50),
            p95=percentile(sorted(seconds), 95),
            backend=percentile(sorted(backends), 50),
            own=percentile(sorted(own), 50),
        )
        print(row, flush=True)
        yield row


def _questions_section(filled: Filling, rows: Sequence[Asked]) -> str:
    lines = [
        "## Answers",
        "",
        f"A catalogue of {filled.files:,} files in {filled.bundles:,} bundles, made of {filled.variants:,}",
        "different ones that are like real bundles of the HCA; all facets are counted with each page. One",
        f"client, which asks the store itself, without HTTP: {LEAST} to {ASKED} times each question. CPU is",
        "that of PostgreSQL, and of Python.",
        "",
        "| question | p50 ms | p95 ms | target ms | CPU ms | Python ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        target = str(row.question.target or "")
        times = " | ".join(f"{value * 1000:.1f}" for value in (row.p50, row.p95))
        used = " | ".join(f"{value * 1000:.1f}" for value in (row.backend, row.own))
        lines.append(f"| {row.question.name} | {times} | {target} | {used} |")
    return "\n".join([*lines, ""])


def _indexing_section(small: Cost, large: Cost, rates: Sequence[Rate]) -> str:
    lines = [
        "## Indexing",
        "",
        f"What {small.bundles} new bundles of a project of their own cost, per bundle:",
        "",
        "| documents of files | CPU of PostgreSQL ms | of Python ms | rows written | rows read |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {each.files:,} | {each.backend * 1000:.1f} | {each.own * 1000:.1f} | {each.written:.0f} "
            f"| {each.read:.0f} |"
            for each in (small, large)
        ),
        "",
        f"How fast an empty catalogue gains {rates[0].bundles} bundles of {rates[0].files} files, with",
        "PostgreSQL on the same cores; a bundle is transformed and written:",
        "",
        "| processes | threads of each | bundles/s | CPU of Python a bundle ms | of PostgreSQL ms |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {each.processes} | {each.threads} | {each.bundles / each.seconds:.1f} "
            f"| {each.own * 1000:.1f} | {each.backend * 1000:.1f} |"
            for each in rates
        ),
        "",
    ]
    return "\n".join(lines)


def _live_section(rates: Sequence[Seen]) -> str:
    names = sorted(rates[-1].cores, key=lambda name: -rates[-1].cores[name])
    lines = [
        "## From PUT to visible",
        "",
        "Bundles of real metadata, at several rates, on the whole local system with its emulators and these",
        "clients on the same cores. Seconds from PUT's answer until they are seen, looked for every tenth of",
        "a second; target: a p95 of 2 s at 10 a second.",
        "",
        "| bundles a second | bundles | seen | p50 s | p95 s | longest s |",
        "| ---: | ---: | --- | ---: | ---: | ---: |",
        *(
            f"| {seen.rate:g} | {seen.bundles} | {name} | {percentile(lags, 50):.2f} "
            f"| {percentile(lags, 95):.2f} | {lags[-1]:.2f} |"
            for seen in rates
            for name, lags in seen.lags.items()
        ),
        "",
        "Cores that each process used meanwhile, from the first PUT until all were seen:",
        "",
        f"| bundles a second | all | {' | '.join(names)} |",
        f"| ---: | ---: |{' ---: |' * len(names)}",
        *(
            f"| {seen.rate:g} | {sum(seen.cores.values()):.2f} "
            f"| {' | '.join(f'{seen.cores.get(name, 0.0):.2f}' for name in names)} |"
            for seen in rates
        ),
        "",
    ]
    return "\n".join(lines)
