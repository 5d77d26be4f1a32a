"""What an import costs, by the clouds' list prices, to the next cent: an estimate, before discounts and
tiers.

The prices are those of us-east1 and us-east-1 in USD, as known here on PRICES_OF. Nothing compares
them with the clouds' pages, which each item names. A GB is 2**30 bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.catalog import ImportJob
from shared.replicas import Replica, Replicas

PRICES_OF = "2026-11-30"
_GB = 1024**3
_GCS = "https://cloud.google.com/storage/pricing"
_S3 = "https://aws.amazon.com/s3/pricing/"
_FIRESTORE = "https://cloud.google.com/firestore/pricing"
_RUN = "https://cloud.google.com/run/pricing"


@dataclass(frozen=True, kw_only=True)
class CloudPrices:
    """Prices of a cloud's storage: of a GB that is kept for a month, of one that leaves the cloud for the
    Internet, and of a thousand writes and reads of objects.
    """

    source: str
    stored: float
    leaving: float
    writes: float
    reads: float


# By the scheme of URLs of the store's objects. Stores of other schemes are on own machines.
_CLOUDS: Mapping[str, CloudPrices] = {
    "gs": CloudPrices(source=_GCS, stored=0.020, leaving=0.12, writes=0.005, reads=0.0004),
    "s3": CloudPrices(source=_S3, stored=0.023, leaving=0.09, writes=0.005, reads=0.0004),
}
# Firestore: a document.
_READ, _WRITE = 0.03 / 100_000, 0.09 / 100_000
# Cloud Run functions: a second of a CPU with the memory of the function `importer`, 2 GiB.
_SECOND = 0.000024 + 2 * 0.0000025
# Bytes a second that a function hashes (docs/architecture.md: a core 300 MiB/s, and it also reads them), and
# seconds that an object takes at any size.
_BYTES_A_SECOND = 100 * 1024**2
_SECONDS_AN_OBJECT = 0.1
# Bytes of one read, and of a part that is written to another cloud.
_CHUNK, _PART = 8 * 1024**2, 64 * 1024**2
# Objects beside the blob that each file has on each replica (its manifest), and that each bundle has (its
# manifest, its document, and what says when its event was published).
_OF_FILE, _OF_BUNDLE = 1, 3
# Documents of Firestore, as docs/architecture.md counts them, with those of replication and of the import.
_FILE_READS, _FILE_WRITES, _BUNDLE_READS, _BUNDLE_WRITES = 6, 3, 10, 10


@dataclass(frozen=True, kw_only=True)
class Item:
    """A line of an estimate, in USD, once or for each month; and where its prices are from."""

    what: str
    usd: float
    monthly: bool
    source: str


def estimate(replicas: Replicas, job: ImportJob) -> dict[str, Any]:
    """Return what importing a listed import costs: `usd_once`, `usd_a_month`, and the `items` of both.

    What is in already costs nothing.
    """
    items = list(_items(replicas, job))
    return {
        "usd_once": _cents(sum(item.usd for item in items if not item.monthly)),
        "usd_a_month": _cents(sum(item.usd for item in items if item.monthly)),
        "prices_of": PRICES_OF,
        "items": [
            {
                "what": item.what,
                "usd": round(item.usd, 4),
                "each": "month" if item.monthly else "once",
                "source": item.source,
            }
            for item in items
        ],
    }


def _items(replicas: Replicas, job: ImportJob) -> Iterator[Item]:
    counts = job.counts
    files = counts.get("objects", 0) - counts.get("wrong_names", 0) - counts.get("there", 0)
    size = counts.get("bytes", 0) - counts.get("bytes_wrong", 0) - counts.get("bytes_there", 0)
    bundles = counts.get("bundles", 0)
    own = replicas.named(job.order.replica)
    for replica in replicas:
        prices = _CLOUDS.get(replica.store.scheme)
        if prices is None:
            continue
        yield Item(
            what=f"{replica.name}: {size / _GB:,.1f} GB kept",
            usd=size / _GB * prices.stored,
            monthly=True,
            source=prices.source,
        )
        writes = files * (1 + _OF_FILE) + bundles * _OF_BUNDLE
        writes += size // _PART if replica.store is not own.store else 0
        yield _once(
            f"{replica.name}: {writes:,} writes of objects", writes / 1000 * prices.writes, prices.source
        )
    yield from _transfers(replicas, own, files, size)
    seconds = size / _BYTES_A_SECOND + files * _SECONDS_AN_OBJECT
    yield _once(f"functions: {seconds:,.0f} seconds", seconds * _SECOND, _RUN)
    documents = files * (_FILE_READS * _READ + _FILE_WRITES * _WRITE)
    documents += bundles * (_BUNDLE_READS * _READ + _BUNDLE_WRITES * _WRITE)
    yield _once("Firestore: reads and writes", documents, _FIRESTORE)


def _transfers(replicas: Replicas, own: Replica, files: int, size: int) -> Iterator[Item]:
    prices = _CLOUDS.get(own.store.scheme)
    if prices is None:
        return
    reads = files * 2 + size // _CHUNK
    yield _once(f"{own.name}: {reads:,} reads of objects", reads / 1000 * prices.reads, prices.source)
    # To each other cloud once; this system, which reads it, runs in the primary's.
    others = len({id(replica.store) for replica in replicas if replica.store is not own.store})
    yield _once(
        f"{own.name}: {others * size / _GB:,.1f} GB sent to other replicas",
        others * size / _GB * prices.leaving,
        prices.source,
    )


def _once(what: str, usd: float, source: str) -> Item:
    return Item(what=what, usd=usd, monthly=False, source=source)


def _cents(usd: float) -> float:
    """Return an amount to the next cent, so that nothing that costs looks free."""
    return round(usd + 0.004999, 2)
