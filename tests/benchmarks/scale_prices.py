"""How long work on 10^6, 10^8 and 10^10 files takes, and what clouds ask for it, by counted operations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.text import paragraph

FILES_A_BUNDLE = 10
SIZES = (10**6, 10**8, 10**10)
# USD for one of each. docs/deploy.md ("What costs") says where each is from, and when it was read.
PRICES = {
    "Firestore reads": 0.03 / 100_000,
    "Firestore writes": 0.09 / 100_000,
    "class A": 0.005 / 1000,
    "class B": 0.0004 / 1000,
    "S3 PUT or list": 0.005 / 1000,
    "S3 GET": 0.0004 / 1000,
    # https://cloud.google.com/run/pricing, read on 2026-11-30: 0.000024 a vCPU second while requests run.
    "vCPU seconds": 0.000024,
}
# Keys of a page of a listing, of both stores.
_LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work on a store: operations of the clouds for each file, CPU seconds of one, and how many work at "
    "once."""

    name: str
    operations: Mapping[str, float]
    cpu: float
    workers: int
    source: str


def works(*, audit_cpu: float, rebuild_cpu: float) -> Sequence[Work]:
    """Return all kinds of work; the CPU seconds are those of an object that an audit or a rebuild handles."""
    bundle = 1 / FILES_A_BUNDLE
    # What both stores hold of a file: manifest and blob, and a part of those of its bundle.
    objects = 2 + 3 * bundle
    return (
        Work(
            name="PUT, a hundred files a request, and bundles of ten",
            operations={
                "class A": 2 + bundle,
                "Firestore reads": 1 + 13 * bundle,
                "Firestore writes": 2 + 3 * bundle,
            },
            cpu=(0.0101 + 10 * 0.005) * bundle,
            workers=20,
            source="10 ms of CPU a bundle ([operations](operations.md)), 5 ms a file; `test_cost.py`",
        ),
        Work(
            name="replication to S3, small files",
            operations={
                "class B": 2 + bundle,
                "S3 PUT or list": 2 + bundle,
                "Firestore reads": 2 + 2 * bundle,
                "Firestore writes": 1 + bundle,
            },
            cpu=0.97 / 92,
            workers=20,
            source="92 files/s with 0.97 cores of `sync`, without latency ([replication](replication.md))",
        ),
        Work(
            name="events and index, both replicas",
            operations={
                "class A": 3 * bundle,
                "S3 PUT or list": 3 * bundle,
                "Firestore reads": 2 * 5 * bundle,
                "Firestore writes": 2 * 4 * bundle,
            },
            cpu=2 * 0.05 * bundle,
            workers=20,
            source="50 ms of CPU a bundle: 20 bundles/s on one core ([ingest](ingest.md))",
        ),
        Work(
            name="catalogue, a bundle of ten files",
            operations={},
            cpu=(0.0189 + 0.0125) * bundle,
            workers=8,
            source="18.9 + 12.5 ms a bundle ([explore-speed](../explore-speed.md)); 8 cores of PostgreSQL",
        ),
        Work(
            name="audit, two replicas",
            operations={
                "Firestore reads": 2 + 5 * bundle,
                "class A": objects / _LISTED,
                "S3 PUT or list": objects / _LISTED,
            },
            cpu=2 * objects * audit_cpu,
            workers=16,
            source="measured above; 16 shards",
        ),
        Work(
            name="rebuild from GCS",
            operations={
                "class A": objects / _LISTED,
                "class B": 2 + 2 * bundle,
                "Firestore reads": 3 + 14 * bundle,
                "Firestore writes": 2 + 4 * bundle,
            },
            cpu=(1 + 2 * bundle) * rebuild_cpu,
            workers=16,
            source="measured above; 16 shards",
        ),
    )


def price(work: Work) -> float:
    """Return what work on one file costs, in USD, CPU time of Cloud Run included."""
    asked = {**work.operations, "vCPU seconds": work.cpu}
    return sum(number * PRICES[name] for name, number in asked.items())


def price_section(rows: Sequence[Work]) -> Iterator[str]:
    """Yield the lines of the section."""
    sizes = " | ".join(f"10^{round(math.log10(size))}" for size in SIZES)
    yield from (
        "## Time and price",
        "",
        paragraph(
            "By multiplication: CPU time of a file, divided among the workers of the default deployment (one "
            "vCPU each), and operations of a file by their prices. Traffic, storage and requests of a "
            "cloud's "
            "own copies are not among them."
        ),
        "",
        f"| work | CPU ms a file | workers | {sizes} | from |",
        "| --- | ---: | ---: |" + " ---: |" * len(SIZES) + " --- |",
    )
    for row in rows:
        cells = [
            f"{duration(size * row.cpu / row.workers)}, ${round_price(size * price(row))}" for size in SIZES
        ]
        yield f"| {row.name} | {row.cpu * 1000:.2f} | {row.workers} | {' | '.join(cells)} | {row.source} |"
    yield ""


def duration(seconds: float) -> str:
    """Return seconds in the largest unit that has two digits."""
    for name, unit in (("years", 365 * 86_400), ("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.0f} {name}" if seconds >= 10 * unit else f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def round_price(dollars: float) -> str:
    """Return dollars with two significant digits."""
    if dollars < 1:
        return f"{dollars:.2f}"
    digits = 1 - int(math.log10(dollars))
    return f"{round(dollars, digits):,.0f}" if dollars >= 10 else f"{dollars:.1f}"
