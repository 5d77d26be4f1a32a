"""Query plans of PostgreSQL: it looks up rare clauses in an index, and reads rows for frequent ones."""

import contextlib
import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from shared.identifiers import Fqid
from shared.search.base import IndexEntry
from shared.search.postgresql.backend import PostgreSqlIndex, frequent_clauses, search_statement
from shared.search.postgresql.clauses import both, condition, readable
from shared.search.postgresql.range_terms import range_terms_of
from shared.search.postgresql.rows import FORM, uuids
from shared.search.postings import Postings
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard
from tests.support.api import new_uuid, now
from tests.support.postgresql_server import StoppableServer
from tests.support.queries import total


def _entry(number: int) -> IndexEntry:
    return IndexEntry(replica="many", fqid=Fqid(new_uuid(), now()), document={"number": number})


@pytest.fixture(scope="module")
def many(postgresql: StoppableServer) -> Iterator[psycopg.Connection]:
    """An index of 20,000 entries, each with a `number` and a `common` value; its statistics are known."""
    opened = PostgreSqlIndex(postgresql.dsn)
    total(opened, "many", MatchAll())
    opened.close()
    hashed = Postings("many")
    frequent = uuids([hashed.of_value("common", "yes"), hashed.of_path("common"), hashed.of_path("number")])
    with psycopg.connect(postgresql.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO dss_index SELECT 'many', gen_random_uuid(), '2020-01-01T000000.000000Z', false, '',"
            " %s, %s::uuid[] || md5(n::text)::uuid || md5('x' || n %% 50)::uuid,"
            " jsonb_build_object('number', jsonb_build_array(n)), '{}', range_terms::tsvector"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS numbers (range_terms, n)",
            (FORM, frequent, [range_terms_of(_entry(n)) for n in range(1, 20_001)]),
        )
        rare = uuids([hashed.of_value("rare", "one")])
        connection.execute(
            "UPDATE dss_index SET postings = postings || %s::uuid[] WHERE replica = 'many'"
            " AND scalars @> '{\"number\": [77]}'",
            (rare,),
        )
        connection.execute("VACUUM ANALYZE dss_index")
        yield connection


def _plan(
    connection: psycopg.Connection, query: Query, count: int = 100, frequent: frozenset[Query] = frozenset()
) -> str:
    # As for a caller who has not signed in.
    hit = both(condition(query, "many", frequent), readable(frozenset(("default", "public"))))
    statement, values = search_statement("many", hit, after=None, count=count)
    [[plan]] = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + statement, values).fetchall()
    return json.dumps(plan)


RARE = Terms("rare", ("one",))
COMMON = Terms("common", ("yes",))
RANGE = Range("number", gte=77, lt=79)


@pytest.mark.parametrize(
    "query",
    [
        RARE,
        Bool(filter=(COMMON, RARE)),
        Bool(must=(Range("number", gte=3), RARE), must_not=(Exists("none"),)),
        Bool(should=(RARE, Match("text", ("word",))), minimum_should_match=1),
        Bool(should=(RARE, COMMON, Match("text", ("word",))), minimum_should_match=2, filter=(RARE,)),
        Wildcard("absent", "*"),
        Ids((f"{new_uuid()}.2020-01-01T000000.000000Z",)),
    ],
)
def test_rare_clauses_are_looked_up_in_the_index(many, query):
    plan = _plan(many, query)

    assert '"Index Name": "dss_index_postings"' in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    "query",
    [
        RANGE,
        Range("number", gt=19_990),
        Bool(must=(Range("number", lte=10), COMMON)),
        Bool(should=(RARE, Range("number", lt=0)), minimum_should_match=1),
        Prefix("text", "word"),
        Wildcard("text", "w?rd*"),
    ],
)
def test_ranges_and_prefixes_are_looked_up_by_their_range_terms(many, query):
    plan = _plan(many, query)

    assert '"Index Name": "dss_index_range_terms"' in plan
    assert "Seq Scan" not in plan and '"Index Name": "dss_index_pkey"' not in plan


def test_range_terms_of_a_frequent_clause_are_not_looked_up(many):
    often, path = Range("number", gte=500), '"Index Name": "dss_index_range_terms"'
    for query in (often, Bool(must=(RANGE, often)), Bool(should=(often, RARE)), RANGE):
        frequent = frequent_clauses(many, "many", query, after=None)
        assert frequent == ({often} if query != RANGE else set())
    # Statistics know that what is rare is to be looked up, and that of the range nothing is.
    assert path not in _plan(many, Bool(must=(RARE, often)), frequent=frozenset({often}))
    assert path in _plan(many, RANGE)
    several = Bool(should=tuple(Range("number", lt=-number) for number in range(9)))
    assert frequent_clauses(many, "many", several, after=None) == set(several.should)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("count", [1, 100])
def test_frequent_and_rare_ranges_find_the_same(postgresql, count):
    with contextlib.closing(PostgreSqlIndex(postgresql.dsn)) as index:
        for query, number in ((Range("number", lte=15_000), 15_000), (RANGE, 2)):
            page = index.search("many", query, readers=None, after=None, count=count, documents=False)
            assert len(page.hits) == min(count, number)
            assert (page.after is None) is (number <= count)
            assert total(index, "many", query) == number


@pytest.mark.usefixtures("many")
def test_a_search_without_time_advances_window_by_window(postgresql):
    query = Bool(must_not=(Range("number", lt=19_990),))
    hits, pages, after = 0, 0, None
    with contextlib.closing(PostgreSqlIndex(postgresql.dsn, seconds=0)) as index:
        while pages == 0 or after:
            page = index.search("many", query, readers=None, after=after, count=4, documents=False)
            hits, pages, after = hits + len(page.hits), pages + 1, page.after

    # 500 entries a page, and an end where a page is full.
    assert hits == 11
    assert 40 <= pages <= 45


def test_frequent_clauses_read_rows_in_the_order_of_the_page(many):
    plan = _plan(many, Bool(filter=(COMMON, Exists("number"))), count=10)

    # No sort of 20,000 rows for ten of them.
    assert '"Index Name": "dss_index_pkey"' in plan
    assert '"Node Type": "Sort"' not in plan
