"""Times of indexing and of POST /search.

Two measurements for each back end: an empty index is rebuilt from the documents of some bundles, and another,
of many bundles, answers some queries of one client by POST /search.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from unittest import mock

from local.api import api_process
from local.components import API_TABLE
from local.components.events import topics
from local.components.search import BACK_ENDS
from local.stack import Stack
from shared.config import Settings
from shared.identifiers import Fqid, document_key
from shared.maintenance.index_check import IndexTally
from shared.maintenance.index_rebuild import rebuild_index
from shared.manifests import encode, write_once
from shared.system import Dss
from shared.wiring import open_system
from tests.benchmarks.filled_indexes import FILL, RARE_ONE_IN, REPLICA, metadata_document, sample
from tests.benchmarks.lag import percentile
from tests.benchmarks.sizes import sized
from tests.support.api import TIMEOUT, Api, Version, new_uuid, put_bundle
from tests.support.bulk_heads import duplicate_bundles
from tests.support.firestore_proxy import FirestoreProxy

BUNDLES = sized(10_000, 1_000)
# A rebuild goes through all documents alike: so many tell its pace.
REBUILT = sized(1000, 300)
# Requests a query, or fewer where they take more seconds than these, but never less than a few.
ASKED, SECONDS, LEAST = 40, sized(5.0, 2.0), sized(5, 3)
_THREADS = 16

_ORGAN = "files.specimen_from_organism_json.organ.text"
_SPECIES = "files.donor_organism_json.genus_species.text"
_SEX = "files.donor_organism_json.sex"
_NUMBER = "files.project_json.number"
QUERIES: Mapping[str, Mapping[str, Any]] = {
    "everything": {"match_all": {}},
    "a rare term": {"term": {_ORGAN: "a rare organ"}},
    "a common term": {"term": {_SEX: "female"}},
    "a rare and a common term, and one that is not": {
        "bool": {
            "must": [{"match": {_SPECIES: "sapiens"}}, {"match": {_ORGAN: "rare"}}],
            "must_not": [{"match": {_SEX: "unknown"}}],
        }
    },
    "a rare term, within a range": {
        "bool": {"filter": [{"term": {_ORGAN: "a rare organ"}}, {"range": {_NUMBER: {"gte": RARE_ONE_IN}}}]}
    },
    "a range of numbers, one in a thousand": {"range": {_NUMBER: {"lt": BUNDLES // 1000}}},
    "a prefix, one in a thousand": {"prefix": {_ORGAN: "a rare"}},
    "nothing": {"term": {_ORGAN: "no such organ"}},
}


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The seconds that a back end took for a query, and the number of bundles that it found.

    `reads` is what Firestore bills for one request; None for another back end. `found` is None where it was
    not counted.
    """

    back_end: str
    query: str
    found: int | None
    p50: float
    p95: float
    reads: int | None

    def __str__(self) -> str:
        times = f"p50 {self.p50 * 1000:7.1f} ms  p95 {self.p95 * 1000:7.1f} ms"
        return f"{self.back_end:11} {self.query:46} {_number(self.found):>11} found  {times} {self.reads}"


def search() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    rates, rows = {}, []
    for name in BACK_ENDS:
        rates[name] = _rebuild(name)
        print(f"{name}: {rates[name]:,.0f} bundles/s rebuilt", flush=True)
        for row in _search(name):
            print(row, flush=True)
            rows.append(row)
    return _section(rates, rows)


@contextlib.contextmanager
def _stack(back_end: str) -> Iterator[dict[str, str]]:
    table, caller = (*API_TABLE, topics), {**os.environ, "DSS_INDEX": back_end}
    with Stack(port=0, table=table, caller=caller).running() as env:
        yield env


def _rebuild(back_end: str) -> float:
    """Return the bundles per second that an empty index gains."""
    with _stack(back_end) as env, mock.patch.dict(os.environ, env):
        dss = open_system(Settings.from_environment())
        bundle = put_bundle(Api(env["DSS_URL"], env["DSS_TOKEN"]), REPLICA, [])
        _keep_documents(dss, duplicate_bundles(env, bundle, REBUILT, prefix=new_uuid()[:8]))
        began, written = time.monotonic(), 0
        for outcome in rebuild_index(dss, dss.replicas.named(REPLICA), tally=IndexTally()):
            if outcome.failed:
                raise RuntimeError(f"{outcome.fqid}: {outcome.failed}")
            written += outcome.done == "written"
        return written / (time.monotonic() - began)


def _keep_documents(dss: Dss, bundles: list[Version]) -> None:
    def keep(number: int, bundle: Version) -> None:
        fqid = Fqid(bundle.uuid, bundle.version)
        content = encode(metadata_document(fqid, number))
        write_once(dss.replicas.named(REPLICA), document_key(fqid, dead=False), content)

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(keep, range(len(bundles)), bundles))


def _search(back_end: str) -> Iterator[Searched]:
    with _stack(back_end) as env, FirestoreProxy(env["FIRESTORE_EMULATOR_HOST"]) as proxy:
        FILL[back_end](env, BUNDLES, QUERIES.values())
        with api_process(env, {"FIRESTORE_EMULATOR_HOST": proxy.address}) as process:
            api = Api(process.url, env["DSS_TOKEN"])
            for name, query in QUERIES.items():
                proxy.forget()
                # The first one opens connections, and is not timed.
                _, found = _asked(api, query)
                reads = sum(call.reads for call in proxy.calls)
                seconds = sorted(_timed(api, query))
                yield Searched(
                    back_end=back_end,
                    query=name,
                    found=found,
                    p50=percentile(seconds, 50),
                    p95=percentile(seconds, 95),
                    reads=reads if back_end == "firestore" else None,
                )


def _timed(api: Api, query: Mapping[str, Any]) -> Iterator[float]:
    until = time.monotonic() + SECONDS
    for number in range(ASKED):
        if number >= LEAST and time.monotonic() > until:
            return
        yield _asked(api, query)[0]


def _asked(api: Api, query: Mapping[str, Any]) -> tuple[float, int | None]:
    """Return the seconds until the answer, and the number of bundles in it."""
    began = time.monotonic()
    answer = api.request("POST", "/v1/search", replica=REPLICA, json={"es_query": {"query": query}})
    seconds = time.monotonic() - began
    if answer.status_code not in (200, 206) or seconds > TIMEOUT:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
    return seconds, answer.json().get("total_hits")


def _section(rates: Mapping[str, float], rows: list[Searched]) -> str:
    lines = [
        "## Search",
        "",
        f"{BUNDLES:,} bundles, each with a document of {len(sample())} JSON files, no two alike. One",
        f"client, {LEAST} to {ASKED} requests a query, for a page of 100 names and the number of all hits.",
        "",
        "The emulator of Firestore has no index: for every query it holds all that is asked for against each",
        "row. Its rows have those postings only that these queries ask for, and its times are still its own;",
        "what the service takes and bills goes by the documents that a request reads, counts included. It",
        "counts no hits for which over 2,000 rows had to be read; what PostgreSQL found stands for both.",
        "",
        *(
            f"- {name}: an empty index gained {rate:,.0f} bundles/s by a rebuild, of {REBUILT:,} bundles."
            for name, rate in rates.items()
        ),
        "",
        "| query | found | " + " | ".join(f"{name} p50 ms | p95 ms" for name in BACK_ENDS) + " | reads |",
        "| --- | ---: |" + " ---: |" * (2 * len(BACK_ENDS) + 1),
    ]
    for query in QUERIES:
        of_query = {row.back_end: row for row in rows if row.query == query}
        times = [f"{of_query[name].p50 * 1000:.1f} | {of_query[name].p95 * 1000:.1f}" for name in BACK_ENDS]
        found = [row.found for row in of_query.values() if row.found is not None]
        if len(set(found)) != 1:
            raise RuntimeError(f"{query}: the back ends found {found}")
        reads = of_query["firestore"].reads
        lines.append(f"| {query} | {_number(found[0])} | {' | '.join(times)} | {_number(reads)} |")
    return "\n".join([*lines, ""])


def _number(value: int | None) -> str:
    return "not counted" if value is None else f"{value:,}"
