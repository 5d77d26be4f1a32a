"""What search takes: `python -m tests.benchmarks.searching [BUNDLES]` prints the section and writes nothing.

The same bundles are in each back end: first the index of each is made anew of their documents, then each is
asked the same queries, by POST /search, one client.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import run.local
from run.local.api import api_process
from run.local.components import API_TABLE
from run.local.index_components import BACK_ENDS
from run.local.stack import Stack
from shared.config import Settings
from shared.events.documents import CREATE, group_name
from shared.files import write_once
from shared.identifiers import Fqid, document_key
from shared.index.checking import Tally
from shared.index.rebuilding import rebuild_index
from shared.manifests import encode
from shared.system import Dss
from shared.wiring import open_index, open_system
from tests.given import TIMEOUT, Api, Version, new_uuid, put_bundle
from tests.system.file_heads import multiply_bundle

BUNDLES = 10_000
# The emulator of Firestore has no index and looks at every row for every query: measured at some 30 ms a row.
FEWER = {"firestore": 200}
# Of so many bundles one is rare, and each other one is of the commoner sex.
RARE_ONE_IN = 1000
# Requests a query, or fewer where they take more seconds than these, but never less than a few.
ASKED, SECONDS, LEAST = 40, 5.0, 5
_SAMPLE = Path(run.local.__path__[0]) / "sample"
_THREADS = 16

_ORGAN = "files.specimen_from_organism_json.organ.text"
_SPECIES = "files.donor_organism_json.genus_species.text"
QUERIES: Mapping[str, dict[str, Any]] = {
    "everything": {"match_all": {}},
    "a rare term": {"term": {_ORGAN: "a rare organ"}},
    "a common term": {"term": {"files.donor_organism_json.sex": "female"}},
    "a rare and a common term, and one that is not": {
        "bool": {
            "must": [{"match": {_SPECIES: "sapiens"}}, {"match": {_ORGAN: "rare"}}],
            "must_not": [{"match": {"files.donor_organism_json.sex": "unknown"}}],
        }
    },
    "a range of numbers, one in a thousand": {
        "range": {"files.project_json.number": {"lt": BUNDLES // 1000}}
    },
    "a prefix": {"prefix": {_ORGAN: "a rare"}},
    "nothing": {"term": {_ORGAN: "no such organ"}},
}


@dataclass(frozen=True, kw_only=True)
class Searched:
    """How long a back end took for a query, in seconds, and how many bundles it found."""

    back_end: str
    query: str
    found: int
    p50: float
    p95: float

    def __str__(self) -> str:
        times = f"p50 {self.p50 * 1000:7.1f} ms  p95 {self.p95 * 1000:7.1f} ms"
        return f"{self.back_end:11} {self.query:46} {self.found:6,} found  {times}"


def searching(count: int = BUNDLES) -> str:
    """Measure, and return the section of the report. Raises LocalFailure; Missing where PostgreSQL is."""
    caller = {**os.environ, "DSS_INDEX": "postgresql"}
    with Stack(port=0, table=API_TABLE, caller=caller).running() as env, mock.patch.dict(os.environ, env):
        dss = open_system(Settings.from_environment())
        api = Api(env["DSS_URL"], env["DSS_TOKEN"])
        _populate(dss, multiply_bundle(env, put_bundle(api, "gcp", []), count, prefix=new_uuid()[:8]))
        rates, rows = {}, []
        for name in BACK_ENDS:
            settings = replace(dss.settings, index=name)
            system = replace(dss, settings=settings, index=open_index(settings, dss.catalog))
            rates[name] = _rebuild(system, FEWER.get(name, count))
            print(f"{name}: {rates[name]:,.0f} bundles/s rebuilt", flush=True)
            with api_process(env, {"DSS_INDEX": name}) as process:
                asked = Api(process.url, env["DSS_TOKEN"])
                for query in QUERIES:
                    rows.append(_search(asked, name, query))
                    print(rows[-1], flush=True)
    return _section(count, rates, rows)


def _populate(dss: Dss, bundles: list[Version]) -> None:
    sample = {path.name: json.loads(path.read_text()) for path in sorted(_SAMPLE.glob("*.json"))}

    def keep(number: int, bundle: Version) -> None:
        fqid = Fqid(bundle.uuid, bundle.version)
        content = encode(_document(fqid, number, json.loads(json.dumps(sample))))
        write_once(dss, "gcp", document_key(fqid, dead=False), content)

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(keep, range(len(bundles)), bundles))


def _document(fqid: Fqid, number: int, sample: dict[str, Any]) -> dict[str, Any]:
    """Return a document as that of a bundle of the sample, with some values of its own."""
    sample["donor_organism_0.json"]["sex"] = "male" if number % 2 else "female"
    rare = number % RARE_ONE_IN == 0
    sample["specimen_from_organism_0.json"]["organ"] = {
        "text": "a rare organ" if rare else f"organ {number % 40}"
    }
    sample["project_0.json"]["number"] = number
    groups: dict[str, list[Any]] = {}
    for name, content in sample.items():
        groups.setdefault(group_name(name), []).append(content)
    files = [
        {"name": name, "content-type": "application/json", "indexed": True, "uuid": fqid.uuid, "size": 1}
        for name in sample
    ]
    return {
        "event_type": CREATE,
        "bundle_info": {"uuid": fqid.uuid, "version": fqid.version},
        "manifest": {"files": files, "creator_uid": number},
        "files": groups,
    }


def _rebuild(dss: Dss, count: int) -> float:
    """Return how many bundles a second an empty index gains, until it has so many (or some more)."""
    began, written = time.monotonic(), 0
    for outcome in islice(rebuild_index(dss, dss.replicas.named("gcp"), tally=Tally()), count):
        if outcome.failed:
            raise RuntimeError(f"{outcome.fqid}: {outcome.failed}")
        written += outcome.done == "written"
    return written / (time.monotonic() - began)


def _search(api: Api, back_end: str, query: str) -> Searched:
    answers = list(_answers(api, {"es_query": {"query": QUERIES[query]}}))
    seconds = sorted(one for one, _ in answers[1:])
    return Searched(
        back_end=back_end,
        query=query,
        found=answers[0][1],
        p50=seconds[len(seconds) // 2],
        p95=seconds[len(seconds) * 95 // 100],
    )


def _answers(api: Api, body: dict[str, Any]) -> Iterator[tuple[float, int]]:
    """Yield how long each answer took, and how many bundles it says there are; the first one warms up."""
    until = time.monotonic() + SECONDS
    for number in range(ASKED + 1):
        if number > LEAST and time.monotonic() > until:
            return
        began = time.monotonic()
        answer = api.request("POST", "/v1/search", replica="gcp", json=body)
        seconds = time.monotonic() - began
        if answer.status_code not in (200, 206) or seconds > TIMEOUT:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
        yield seconds, answer.json().get("total_hits", -1)


def _section(count: int, rates: Mapping[str, float], rows: list[Searched]) -> str:
    lines = [
        "## Search",
        "",
        f"{count:,} bundles of the sample's {len(list(_SAMPLE.glob('*.json')))} JSON files, no two alike; "
        f"one client, {LEAST} to {ASKED} requests a query for a page of 100 and the number of all hits. The "
        f"index in Firestore has {FEWER['firestore']:,} of them and some more: the emulator has no index of "
        "its own, and looks at every row for every query, which the service does not.",
        "",
        *(
            f"- {name}: an empty index gained {rate:,.0f} bundles/s by a rebuild."
            for name, rate in rates.items()
        ),
        "",
        "| query | found | " + " | ".join(f"{name} p50 ms | {name} p95 ms" for name in BACK_ENDS) + " |",
        "| --- | ---: |" + " ---: |" * (2 * len(BACK_ENDS)),
    ]
    for query in QUERIES:
        of_query = {row.back_end: row for row in rows if row.query == query}
        times = [f"{of_query[name].p50 * 1000:.1f} | {of_query[name].p95 * 1000:.1f}" for name in BACK_ENDS]
        found = {row.found for row in of_query.values()}
        lines.append(f"| {query} | {'/'.join(f'{one:,}' for one in sorted(found))} | {' | '.join(times)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(searching(int(sys.argv[1]) if len(sys.argv) > 1 else BUNDLES))
