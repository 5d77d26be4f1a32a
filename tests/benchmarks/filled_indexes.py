"""Indexes filled with bundles whose documents are like that of the sample bundle, no two of them equal."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

import psycopg

from local.demo.data import SAMPLE
from shared.config import Settings
from shared.group_names import group_name
from shared.identifiers import Fqid
from shared.metadata import CREATE
from shared.search.base import IndexEntry
from shared.search.documents import indexed_document
from shared.search.dsl import parse
from shared.search.firestore.planning import Selection, plan
from shared.search.firestore.rows import row_of
from shared.search.postgresql.backend import PostgreSqlIndex
from shared.search.postings import Postings
from tests.support.api import new_uuid
from tests.support.dss import firestore_client

REPLICA = "gcp"
# Of so many bundles one is rare, and each other one is of the commoner sex.
RARE_ONE_IN = 1000
VERSION = "2026-01-12T093000.000000Z"
_THREADS = 8
# One commit: 10 MiB at most, and a row has some 5 KiB.
_COMMIT = 250

_Queries = Iterable[Mapping[str, Any]]
Fill = Callable[[Mapping[str, str], int, _Queries], None]


@cache
def sample() -> Mapping[str, Any]:
    """Return the JSON files of the sample bundle, by name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(SAMPLE.glob("*.json"))}


def metadata_document(fqid: Fqid, number: int) -> dict[str, Any]:
    """Return the metadata document of a bundle like the sample, with some values of its own."""
    contents = json.loads(json.dumps(sample()))
    contents["donor_organism_0.json"]["sex"] = "male" if number % 2 else "female"
    rare = number % RARE_ONE_IN == 0
    organ = "a rare organ" if rare else f"organ {number % 40}"
    contents["specimen_from_organism_0.json"]["organ"] = {"text": organ}
    contents["project_0.json"]["number"] = number
    groups: dict[str, list[Any]] = {}
    for name, content in contents.items():
        groups.setdefault(group_name(name), []).append(content)
    files = [
        {"name": name, "content-type": "application/json", "indexed": True, "uuid": fqid.uuid, "size": 1}
        for name in contents
    ]
    return {
        "event_type": CREATE,
        "bundle_info": {"uuid": fqid.uuid, "version": fqid.version},
        "manifest": {"files": files, "creator_uid": number},
        "files": groups,
    }


def _entry(number: int) -> IndexEntry:
    fqid = Fqid(new_uuid(), VERSION)
    return IndexEntry(replica=REPLICA, fqid=fqid, document=indexed_document(metadata_document(fqid, number)))


def fill_postgresql(env: Mapping[str, str], count: int, _: _Queries) -> None:
    """Write the entries of `count` bundles, each as `index` writes it."""
    dsn = Settings.from_environment(env).postgresql_dsn
    # What an entry is made of is made of Python: a process a core. A fork would share threads of gRPC.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        list(processes.map(partial(_put, dsn), _parts(count)))
    # As a server does by itself within some minutes.
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ANALYZE dss_index")


def _put(dsn: str, numbers: range) -> None:
    index = PostgreSqlIndex(dsn)
    for number in numbers:
        index.put(_entry(number))
    index.close()


def fill_firestore(env: Mapping[str, str], count: int, queries: _Queries) -> None:
    """Write the rows of so many bundles, with those postings only that some queries ask for.

    The emulator has no index: it holds every posting of every row against each query.
    """
    asked = {posting for query in queries for posting in _asked(query)}
    client = firestore_client(env)
    rows = client.collection("index_rows")

    def commit(numbers: range) -> None:
        batch = client.batch()
        for number in numbers:
            row = row_of(_entry(number))
            kept = [posting for posting in row.fields["postings"] if posting in asked]
            batch.set(rows.document(row.name), {**row.fields, "postings": kept})
        batch.commit()

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(commit, _parts(count)))
    client.close()


def _parts(count: int) -> list[range]:
    return [range(at, min(at + _COMMIT, count)) for at in range(0, count, _COMMIT)]


def _asked(query: Mapping[str, Any]) -> Iterator[Any]:
    """Yield all postings that may be looked up or counted for a query."""
    selections: list[Selection] = []

    def costs(several: Sequence[Selection]) -> list[int]:
        selections.extend(several)
        return [1] * len(several)

    selections.append(plan(parse({"query": query}), Postings(REPLICA), costs))
    for one in selections:
        yield from one.postings | one.markers


FILL: Mapping[str, Fill] = {"firestore": fill_firestore, "postgresql": fill_postgresql}
