"""The PostgreSQL back end, beyond test_backends.py."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.errors import Unavailable
from shared.identifiers import Fqid
from shared.search.base import IndexEntry
from shared.search.matching import is_dead, matches
from shared.search.postgresql import backend
from shared.search.postgresql.backend import PostgreSqlIndex
from shared.search.postgresql.clauses import condition, readable
from shared.search.postgresql.rows import escape
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard
from tests.support import queries
from tests.support.api import new_uuid, now
from tests.support.postgresql_server import StoppableServer
from tests.support.queries import total
from tests.support.tcp_relay import tcp_relay
from tests.support.waiting import deadline_after

# What PostgreSQL has its own opinion of: null bytes, halves of surrogate pairs and what stands for them, wild
# cards of LIKE and of expressions, numbers that no float or no integer of its is.
hard_texts = some.text(
    some.sampled_from("\x00\x01\x02\ud7ff\ud800\udfff\ue000\U0010ffff%_.*?\\[]()^$ \n'\"aA"), max_size=5
)
hard_numbers = some.sampled_from(
    [10**23, 1e23, int(1e23), 2**53 + 1, 2.0**53, -0.0, 1e308, 10**400, float("inf"), 0.1]
)
hard_scalars = some.one_of(hard_texts, hard_numbers, queries.scalars)
hard_names = some.one_of(queries.names, some.sampled_from(["a.b", "", "\x00", "'; --", "$[*]"]))
hard_values = some.recursive(
    some.one_of(some.none(), hard_scalars),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3), some.dictionaries(hard_names, inner, max_size=3)
    ),
    max_leaves=6,
)
hard_documents = some.dictionaries(hard_names, hard_values, max_size=3)
hard_bounds = some.one_of(hard_texts, hard_numbers)
hard_paths = some.one_of(queries.paths, hard_names)
hard_clauses: some.SearchStrategy[Query] = some.one_of(
    some.builds(Terms, hard_paths, some.lists(hard_scalars, max_size=3).map(tuple)),
    some.builds(Range, hard_paths, *[some.one_of(some.none(), hard_bounds)] * 4),
    some.builds(Prefix, hard_paths, hard_texts),
    some.builds(Wildcard, hard_paths, hard_texts),
    some.builds(Exists, hard_paths),
    some.builds(
        lambda three, least: Bool(should=tuple(three), minimum_should_match=least),
        some.lists(queries.clauses, min_size=3, max_size=3),
        some.integers(1, 4),
    ),
)


@pytest.fixture
def index(postgresql: StoppableServer) -> Iterator[PostgreSqlIndex]:
    """The back end, as a process has it."""
    opened = PostgreSqlIndex(postgresql.dsn)
    yield opened
    opened.close()


def _entry(document: dict[str, Any], *, fqid: Fqid | None = None, replica: str = "") -> IndexEntry:
    return IndexEntry(
        replica=replica or new_uuid(),
        fqid=fqid or Fqid(new_uuid(), now()),
        document=document,
        dead=is_dead(document),
    )


def _found(index: PostgreSqlIndex, replica: str, query: Query) -> list[Fqid]:
    return [
        hit.fqid
        for hit in index.search(replica, query, readers=None, after=None, count=100, documents=False).hits
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.lists(
        some.one_of(
            queries.documents,
            hard_documents,
            queries.documents.map(lambda one: {**one, "admin_deleted": True}),
        ),
        min_size=1,
        max_size=4,
    ),
    some.lists(some.one_of(queries.queries, hard_clauses), min_size=1, max_size=6),
)
def test_it_finds_exactly_what_the_query_means(index: PostgreSqlIndex, documents, asked):
    replica = new_uuid()
    entries = {entry.fqid: entry for entry in (_entry(one, replica=replica) for one in documents)}
    for entry in entries.values():
        index.put(entry)

    for query in (*asked, Ids((str(next(iter(entries))), "x"))):
        means = {fqid for fqid, entry in entries.items() if matches(query, fqid, entry.document)}
        assert _found(index, replica, query) == sorted(means, reverse=True), query
        assert total(index, replica, query) == len(means), query
    for hit in index.search(replica, MatchAll(), readers=None, after=None, count=100, documents=True).hits:
        assert hit.document == entries[hit.fqid].document


def test_at_least_minimum_should_match_clauses_match(index: PostgreSqlIndex):
    entry = _entry({"a": ["x", "y"]})
    index.put(entry)
    clauses = tuple(Terms("a", (value,)) for value in ("x", "y", "z", "0"))

    found = [_found(index, entry.replica, Bool(should=clauses, minimum_should_match=n)) for n in range(6)]
    assert [len(one) for one in found] == [1, 1, 1, 0, 0, 0]


def test_must_not_finds_a_path_that_only_leads_on(index: PostgreSqlIndex):
    entry = _entry({"a": {"b": "x"}})
    index.put(entry)

    for clause in (Range("a", gte="x"), Prefix("a", ""), Wildcard("a", "*")):
        assert _found(index, entry.replica, Bool(must_not=(clause,))) == [entry.fqid]
        assert _found(index, entry.replica, clause) == []


def test_large_numbers_stay_exact(index: PostgreSqlIndex):
    # As a decimal, 1e23 would be 10**23; it is a little less.
    entry = _entry({"n": 1e23})
    index.put(entry)

    for query in (Range("n", gte=int(1e23)), Range("n", lt=10**23), Range("n", lte=1e23)):
        assert _found(index, entry.replica, query) == [entry.fqid]
    assert _found(index, entry.replica, Range("n", gte=10**23)) == []


@given(some.lists(some.one_of(hard_texts, some.text()), min_size=2, max_size=2))
def test_escapes_keep_order_and_prefixes(pair):
    one, other = pair
    assert (escape(one) < escape(other)) == (one < other)
    assert escape(one).startswith(escape(other)) == one.startswith(other)
    assert "\x00" not in escape(one)
    escape(one).encode()


def test_a_deep_large_and_odd_document_comes_back_as_it_was(index: PostgreSqlIndex):
    deep: Any = "bottom"
    for _ in range(400):
        deep = {"d": [deep]}
    entry = _entry({"deep": deep, "long": "x" * 3_000_000, "many": [f"value {n}" for n in range(30_000)]})
    index.put(entry)

    for query in (
        Terms(".".join(["deep"] + ["d"] * 400), ("bottom",)),
        Terms("long", ("x" * 3_000_000,)),
        Match("many", ("29999",)),
        Prefix("long", "xxx"),
    ):
        [hit] = index.search(entry.replica, query, readers=None, after=None, count=10, documents=True).hits
        assert hit.document == entry.document


def _made_database(postgresql: StoppableServer) -> str:
    """Make a database, and return its DSN."""
    name = f"made_{new_uuid().replace('-', '')}"
    with psycopg.connect(postgresql.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgresql.dsn.replace("/postgres", f"/{name}").replace(f"{name}ql:", "postgresql:")


def test_many_processes_can_create_the_tables_at_once(postgresql: StoppableServer):
    dsn = _made_database(postgresql)
    start = threading.Barrier(8)

    def first_use(_: int) -> int:
        index = PostgreSqlIndex(dsn)
        start.wait()
        index.put(_entry({}, replica="gcp"))
        index.close()
        return 1

    with ThreadPoolExecutor(8) as executor:
        assert sum(executor.map(first_use, range(8))) == 8
    index = PostgreSqlIndex(dsn)
    assert total(index, "gcp", MatchAll()) == 8
    index.close()


def test_concurrent_writers_never_revive_a_dead_entry(index: PostgreSqlIndex):
    replica, fqid = new_uuid(), Fqid(new_uuid(), now())
    living = [_entry({"n": n}, fqid=fqid, replica=replica) for n in range(40)]
    dead = _entry({"admin_deleted": True}, fqid=fqid, replica=replica)

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(index.put, [*living[:20], dead, *living[20:]]))

    assert [(one.fqid, one.dead) for one in index.entries(replica)] == [(fqid, True)]
    assert total(index, replica, MatchAll()) == 0


def test_entries_of_the_first_release_are_found_before_and_after_they_are_rewritten(postgresql):
    dsn = _made_database(postgresql)
    entries = [_entry({"n": n, "text": f"word {n}"}, replica="gcp") for n in range(3)]
    with contextlib.closing(PostgreSqlIndex(dsn)) as index:
        for entry in entries:
            index.put(entry)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE dss_index DROP COLUMN range_terms, DROP COLUMN labels")
        connection.execute("ALTER TABLE dss_index RENAME COLUMN scalars TO leaves")
        connection.execute("UPDATE dss_index SET form = 1")
        connection.execute("DROP INDEX dss_index_without_range_terms")
        connection.execute("DELETE FROM dss_index_migrations WHERE number > 1")

    with contextlib.closing(PostgreSqlIndex(dsn)) as index:
        for written in range(3):
            # What is renewed and what is not are found side by side.
            assert [bool(one.digest) for one in index.entries("gcp")].count(True) == written
            for query in (Range("n", gte=0), Prefix("text", "wor"), Wildcard("text", "w*d ?")):
                assert len(_found(index, "gcp", query)) == total(index, "gcp", query) == 3
            assert _found(index, "gcp", Range("n", gte=1, lte=1)) == [entries[1].fqid]
            assert len(_found(index, "gcp", Bool(must_not=(Range("n", lt=1),)))) == 2
            assert len(_found(index, "gcp", Bool(must_not=(Range("m", lt=1),)))) == 3
            index.put(entries[written])


def test_the_gin_indexes_have_no_pending_list(index, postgresql):
    for number in range(3):
        index.put(_entry({"number": number}))

    with psycopg.connect(postgresql.dsn, autocommit=True) as connection:
        for name in ("dss_index_postings", "dss_index_range_terms"):
            [[pages]] = connection.execute("SELECT gin_clean_pending_list(%s::regclass)", (name,)).fetchall()
            assert pages == 0


def test_an_entry_in_an_older_form_has_no_digest_until_it_is_rewritten(index, postgresql):
    entry = _entry({"a": 1})
    index.put(entry)
    with psycopg.connect(postgresql.dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE dss_index SET form = 0, postings = '{}' WHERE replica = %s", (entry.replica,)
        )
    [older] = index.entries(entry.replica)

    index.put(entry)

    [newer] = index.entries(entry.replica)
    assert (older.digest, len(newer.digest)) == ("", 64)
    assert total(index, entry.replica, Exists("a")) == 1


def test_a_put_that_takes_too_long_is_unavailable(index, postgresql):
    entry = _entry({})
    index.put(entry)
    hurried = PostgreSqlIndex(postgresql.dsn, statement_seconds=0.2)
    with psycopg.connect(postgresql.dsn) as connection:
        connection.execute("LOCK TABLE dss_index")
        with pytest.raises(Unavailable, match="too long"):
            hurried.put(entry)
    hurried.put(entry)
    hurried.close()


@pytest.mark.parametrize("slow", ["sample", "page"])
def test_a_search_goes_on_after_a_commit_that_takes_too_long(postgresql: StoppableServer, slow: str):
    # Messages of PostgreSQL's protocol: a letter, the length of the rest, and the statement.
    commit, wait = b"Q\x00\x00\x00\x0bCOMMIT\x00", b"Q\x00\x00\x00\x18SELECT pg_sleep(60)\x00"
    passing = {"sample": 0, "page": 1}[slow]
    armed, commits, entry = threading.Event(), 0, _entry({"number": 1})

    def rewrite(data: bytes) -> bytes:
        nonlocal commits
        if not (armed.is_set() and data == commit):
            return data
        commits += 1
        return wait if commits == passing + 1 else data

    server = conninfo_to_dict(postgresql.dsn)
    with tcp_relay(f"{server['host']}:{server['port']}", rewrite=rewrite) as relay:
        host, _, port = relay.address.rpartition(":")
        dsn = make_conninfo(postgresql.dsn, host=host, port=port)
        with contextlib.closing(PostgreSqlIndex(dsn, seconds=5)) as index:
            index.put(entry)
            armed.set()
            assert _found(index, entry.replica, Range("number", gte=1)) == [entry.fqid]

    # The sample's, the page's, and after the page's the window's.
    assert commits == {"sample": 2, "page": 3}[slow]


def test_a_stopped_server_is_unavailable_and_loses_nothing(postgresql: StoppableServer):
    with contextlib.closing(PostgreSqlIndex(postgresql.dsn, connection_seconds=1)) as index:
        entry = _entry({})
        index.put(entry)
        postgresql.stop()
        try:
            with pytest.raises(Unavailable):
                total(index, entry.replica, MatchAll())
        finally:
            postgresql.start()

        assert _recovered(lambda: total(index, entry.replica, MatchAll())) == 1


def test_a_cut_connection_is_replaced(index: PostgreSqlIndex, postgresql: StoppableServer):
    entry = _entry({})
    index.put(entry)
    with psycopg.connect(postgresql.dsn, autocommit=True) as connection:
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'dss' AND pid <> pg_backend_pid()"
        ).fetchall()

    assert cut
    assert total(index, entry.replica, MatchAll()) == 1


def _recovered(ask: Callable[[], int]) -> int:
    deadline = deadline_after(30)
    while True:
        try:
            return ask()
        except Unavailable:
            assert time.monotonic() < deadline


def test_a_window_holds_nothing_that_a_caller_may_not_see(
    index: PostgreSqlIndex, postgresql: StoppableServer
):
    replica = new_uuid()
    managed = frozenset(("lab",))
    entries = [
        replace(_entry({"n": n}, replica=replica), readers=managed if n % 3 else frozenset())
        for n in range(9)
    ]
    for entry in entries:
        index.put(entry)
    visible = sorted((entry.fqid for entry in entries if not entry.readers), reverse=True)

    for labels, meant in (({"default", "public"}, visible), ({"public"}, [])):
        statement, values = backend.window_statement(
            replica, condition(Range("n", gte=0), replica), readable(frozenset(labels)), after=None, count=3
        )
        with psycopg.connect(postgresql.dsn) as connection:
            rows = connection.execute(statement, values).fetchall()
        # Its last row may be where a page ends.
        assert [Fqid(row[0], row[1]) for row in rows] == meant


def test_a_count_that_is_cut_short_counts_some_of_the_hits(
    index: PostgreSqlIndex, postgresql: StoppableServer
):
    entries = [_entry({"number": number}) for number in range(5)]
    for entry in entries:
        index.put(entry)
    one_replica = sql.SQL("replica = {}").format(entries[0].replica)
    with psycopg.connect(postgresql.dsn) as connection:
        statement = backend._COUNT_SOME.format(one_replica)
        assert connection.execute(statement, (entries[0].replica, 1)).fetchone() == (1,)
