"""The reads that a search costs in Firestore: a rare clause costs few, however many bundles there are."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from shared.catalog import Database
from shared.clock import SystemClock
from shared.identifiers import Fqid
from shared.search.base import IndexEntry, Total
from shared.search.dsl import parse
from shared.search.firestore.backend import FirestoreIndex
from shared.search.firestore.rows import Row, row_of
from shared.search.postings import Postings
from tests.support.apart import catalog_apart
from tests.support.api import new_uuid
from tests.support.clouds import REPLICAS
from tests.support.dss import firestore_client
from tests.support.firestore_proxy import FirestoreProxy

# As whom a caller counts who has not signed in.
ANYONE = frozenset(("default", "public"))
VERSION = "2026-01-12T093000.000000Z"
# Seconds.
LONG = 240.0
# One commit: 10 MiB at most.
_COMMIT = 250


def document(number: int, count: int) -> dict:
    """Return the document of one of `count` bundles: a tenth of all are of a brain, and ten donors smoke."""
    return {
        "species": "Homo sapiens",
        "organ": "kidney" if number % 10 else "brain",
        "smokes": "no" if number % (count // 10) else "yes",
        "number": number,
    }


@dataclass(frozen=True)
class Watched:
    """An index behind a proxy that sees what is asked of Firestore."""

    index: FirestoreIndex
    replica: str
    proxy: FirestoreProxy

    @contextlib.contextmanager
    def costing(self, *, reads: int, requests: int) -> Iterator[None]:
        """Fail unless the block costs just this."""
        self.proxy.forget()
        yield
        assert all(call.ended.wait(timeout=60) for call in self.proxy.calls)
        assert (sum(call.reads for call in self.proxy.calls), len(self.proxy.calls)) == (reads, requests)


def slimmed(replica: str, row: Row) -> dict[str, Any]:
    """Return the fields of a row with those postings only that words of the query below ask for.

    The emulator holds every posting of every row against each query, at some 20 microseconds each.
    """
    hashed = Postings(replica)
    asked = {
        hashed.of_token(path, word)
        for path, word in (("species", "homo"), ("organ", "brain"), ("smokes", "yes"))
    }
    return {**row.fields, "postings": [posting for posting in row.fields["postings"] if posting in asked]}


@contextlib.contextmanager
def metered(stack: Mapping[str, str], count: int, *, slim: bool = False) -> Iterator[Watched]:
    """Fill an index in a catalog of its own with bundles, and watch it; `slim` rows have few postings."""
    replica, env = f"test-{new_uuid()}", catalog_apart(stack)
    with FirestoreProxy(env["FIRESTORE_EMULATOR_HOST"]) as proxy:
        client = firestore_client({**env, "FIRESTORE_EMULATOR_HOST": proxy.address})
        own = firestore_client(env)
        rows = own.collection("index_rows")

        def fill(start: int) -> None:
            batch = own.batch()
            for number in range(start, min(start + _COMMIT, count)):
                fqid = Fqid(new_uuid(), VERSION)
                row = row_of(IndexEntry(replica=replica, fqid=fqid, document=document(number, count)))
                batch.set(rows.document(row.name), slimmed(replica, row) if slim else dict(row.fields))
            batch.commit()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(fill, range(0, count, _COMMIT)))
        database = Database(client, replicas=REPLICAS, clock=SystemClock())
        yield Watched(FirestoreIndex(database, seconds=LONG, counted=20), replica, proxy)


@pytest.fixture(scope="module")
def few(stack: dict[str, str]) -> Iterator[Watched]:
    """An index of 50 bundles."""
    with metered(stack, 50) as filled:
        yield filled


# The smaller number is more than a count reads at most.
@pytest.mark.parametrize("bundles", [1_500, pytest.param(10_000, marks=pytest.mark.large)])
def test_a_rare_term_among_many_bundles_takes_few_reads(stack: dict[str, str], bundles: int) -> None:
    query = parse(
        {
            "query": {
                "bool": {
                    "must": [
                        {"match": {"species": "Homo"}},
                        {"match": {"organ": "brain"}},
                        {"match": {"smokes": "yes"}},
                    ]
                }
            }
        }
    )
    with (
        metered(stack, bundles, slim=True) as index,
        # Three counts, each of a thousand at most, and the ten bundles that the rarest clause leads to.
        index.costing(reads=3 + 10, requests=3 + 1),
    ):
        page = index.index.search(index.replica, query, readers=ANYONE, after=None, count=100)

    assert (len(page.hits), page.after) == (10, None)


def test_one_clause_reads_a_page_of_names_and_its_total_is_a_count(few: Watched) -> None:
    query = parse({"match": {"species": "homo"}})

    with few.costing(reads=11, requests=1):
        page = few.index.search(few.replica, query, readers=ANYONE, after=None, count=10)
    assert len(page.hits) == 10 and page.after
    # Two more: a count is a read for each thousand, and another one looks for overflow markers.
    with few.costing(reads=11 + 2, requests=1 + 2):
        assert few.index.search(
            few.replica, query, readers=ANYONE, after=None, count=10, total=True
        ).total == Total(hits=50)
    with few.costing(reads=11 + 1, requests=1 + 1):
        assert few.index.search(
            few.replica, parse({}), readers=ANYONE, after=None, count=10, total=True
        ).total == Total(hits=50)


def test_hits_that_no_posting_decides_are_counted_up_to_a_bound(few: Watched) -> None:
    frequent = parse({"range": {"number": {"gte": 0}}})
    both = parse({"bool": {"must": [{"range": {"number": {"gte": 40}}}, {"term": {"organ": "brain"}}]}})

    # A page, one row more, and then twenty; the request for the last of them reads a page's worth of rows.
    with few.costing(reads=42, requests=2):
        page = few.index.search(few.replica, frequent, readers=ANYONE, after=None, count=20, total=True)
    assert page.total == Total(hits=40, exact=False)
    # Two counts, then the five rows of a term that leads to fewer than the path does. One page is all.
    with few.costing(reads=2 + 5, requests=2 + 1):
        assert few.index.search(
            few.replica, both, readers=ANYONE, after=None, count=20, total=True
        ).total == Total(hits=1)
