"""The Elasticsearch DSL: what each form means, and what is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.errors import IndexQueryRefused
from shared.search.dsl import parse
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard
from shared.search.should import least_of

FQID = "0c6e5b14-5d4a-4d5c-9f1c-2f6a5a8b7e10.2026-01-12T093000.000000Z"
A, B = {"term": {"a": 1}}, {"exists": {"field": "b"}}
ONE, TWO = Terms("a", (1,)), Exists("b")


def either(*queries: Query) -> Bool:
    return Bool(should=queries, minimum_should_match=1)


def words(path: str, least: int, *asked: str) -> Bool:
    return Bool(should=tuple(Match(path, (word,)) for word in asked), minimum_should_match=least)


@pytest.mark.parametrize(
    ("clause", "query"),
    [
        ({"match_all": {}}, MatchAll()),
        ({"match_all": {"boost": 2.0}}, MatchAll()),
        ({"match": {"a.b": "Homo sapiens"}}, Match("a.b", ("homo", "sapiens"))),
        ({"match": {"a": {"query": "x y", "operator": "AND"}}}, Match("a", ("x", "y"), all_tokens=True)),
        ({"match": {"a": 5}}, Match("a", ("5",))),
        ({"match": {"a": {"query": ".", "zero_terms_query": "all"}}}, MatchAll()),
        (
            {"match": {"a": {"query": ".", "zero_terms_query": "NONE", "operator": None}}},
            Match("a", ()),
        ),
        ({"match": {"a": {"query": "x y z", "minimum_should_match": "-1"}}}, words("a", 2, "x", "y", "z")),
        # What is asked for twice counts twice, and of one word alone nothing is left out.
        ({"match": {"a": {"query": "x x y", "minimum_should_match": "70%"}}}, words("a", 2, "x", "x", "y")),
        ({"match": {"a": {"query": "x", "minimum_should_match": 2}}}, Match("a", ("x",))),
        ({"match": {"a": {"query": "x y", "minimum_should_match": 3}}}, words("a", 3, "x", "y")),
        (
            {"match": {"a": {"query": "x y", "minimum_should_match": 1, "operator": "and"}}},
            Match("a", ("x", "y"), all_tokens=True),
        ),
        ({"match": {"a.keyword": "X y"}}, either(Terms("a", ("X y",)), Match("a.keyword", ("x", "y")))),
        ({"match": {"a.b.text": "X"}}, either(Match("a.b.text", ("x",)), Match("a.b", ("x",)))),
        # A number that is written as one is found, though as text it has other words.
        ({"match": {"a": " -5"}}, either(Match("a", ("5",)), Terms("a", (-5,)))),
        ({"match": {"a": "1e-7"}}, either(Match("a", ("1e", "7")), Terms("a", (1e-7,)))),
        ({"match": {"a": "61.0"}}, either(Match("a", ("61.0",)), Terms("a", (61.0,)))),
        ({"match": {"a": "61"}}, Match("a", ("61",))),
        ({"match": {"a": "0xA"}}, Match("a", ("0xa",))),
        ({"term": {"a": "X y"}}, Terms("a", ("X y",))),
        ({"term": {"a": {"value": True, "_name": "n"}}}, Terms("a", (True,))),
        ({"term": {"a": {"term": "x"}}}, Terms("a", ("x",))),
        (
            {"term": {"a.keyword": "X"}},
            Bool(should=(Terms("a", ("X",)), Terms("a.keyword", ("X",))), minimum_should_match=1),
        ),
        ({"terms": {"a": ["x", 1, False], "boost": 1}}, Terms("a", ("x", 1, False))),
        ({"terms": {"a": []}}, Terms("a", ())),
        ({"range": {"a": {"gte": "2026", "lt": "2027"}}}, Range("a", gte="2026", lt="2027")),
        ({"range": {"a": {"gt": 1, "lte": 2.5}}}, Range("a", gt=1, lte=2.5)),
        ({"exists": {"field": "a.b"}}, Exists("a.b")),
        ({"prefix": {"a": "x"}}, Prefix("a", "x")),
        ({"range": {"a": {"gte": "nowhere", "lt": "a||b"}}}, Range("a", gte="nowhere", lt="a||b")),
        ({"prefix": {"a": {"value": "x"}}}, Prefix("a", "x")),
        ({"prefix": {"a": {"prefix": "x"}}}, Prefix("a", "x")),
        ({"wildcard": {"a": "x*"}}, Wildcard("a", "x*")),
        ({"wildcard": {"a": {"value": "x*"}}}, Wildcard("a", "x*")),
        ({"wildcard": {"a": {"wildcard": "x*", "boost": 1}}}, Wildcard("a", "x*")),
        ({"ids": {"values": [FQID.upper()]}}, Ids((FQID,))),
        ({"bool": {}}, Bool()),
        ({"bool": {"must": A, "filter": [A, B]}}, Bool(must=(ONE,), filter=(ONE, TWO))),
        ({"bool": {"should": [A, B]}}, Bool(should=(ONE, TWO), minimum_should_match=1)),
        (
            {"bool": {"should": [A, B], "must_not": B}},
            Bool(should=(ONE, TWO), must_not=(TWO,), minimum_should_match=1),
        ),
        ({"bool": {"should": [A], "must": [B]}}, Bool(should=(ONE,), must=(TWO,))),
        (
            {"bool": {"should": [A, B], "minimum_should_match": 0}},
            Bool(should=(ONE, TWO), minimum_should_match=1),
        ),
        (
            {"bool": {"should": [A, B], "must": A, "minimum_should_match": "100%"}},
            Bool(should=(ONE, TWO), must=(ONE,), minimum_should_match=2),
        ),
        # Without a clause it finds everything, however many should match.
        ({"bool": {"must": [], "should": [], "minimum_should_match": 1}}, Bool()),
        ({"bool": {"must": [A], "minimum_should_match": 1}}, Bool(must=(ONE,), minimum_should_match=1)),
    ],
)
def test_a_clause_is_parsed_alone_and_in_a_whole_body(clause, query):
    assert parse(clause) == query
    assert parse({"query": clause}) == query
    assert parse({"query": {"bool": {"must": [clause]}}}) == Bool(must=(query,))


@pytest.mark.parametrize("kind", ["filter", "must_not"])
def test_a_bool_in_a_filter_requires_one_should_clause(kind):
    inner = {"bool": {"must": [A], "should": [B]}}
    one, none = (Bool(must=(ONE,), should=(TWO,), minimum_should_match=least) for least in (1, 0))

    assert parse({"bool": {kind: inner}}) == Bool(**{kind: (one,)})
    # However deep it is, unless it says how many.
    assert parse({"bool": {kind: {"bool": {"must": inner}}}}) == Bool(**{kind: (Bool(must=(one,)),)})
    inner["bool"]["minimum_should_match"] = 0
    assert parse({"bool": {kind: inner}}) == Bool(**{kind: (none,)})


def test_an_empty_body_finds_everything():
    assert parse({}) == MatchAll()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"query": {}}, "es_query.query: "),
        ({"query": {"match": {"a": "b"}, "term": {"a": "b"}}}, "es_query.query: "),
        ({"query": []}, "es_query.query: "),
        ({"query": {"match_all": {}}, "size": 5}, "es_query.size: "),
        ({"query": {"match_phrase": {"a": "b"}}}, "es_query.query.match_phrase: "),
        ({"query": {"bool": {"must": [A, {"nested": {}}]}}}, "es_query.query.bool.must[1].nested: "),
        ({"bool": {"must": 5}}, "es_query.bool.must: "),
        ({"bool": {"musst": []}}, "es_query.bool.musst: "),
        ({"bool": {"should": [A], "minimum_should_match": "most"}}, "es_query.bool.minimum_should_match: "),
        ({"match": {"a": {"query": "b", "fuzziness": "AUTO"}}}, "es_query.match.a.fuzziness: "),
        ({"match": {"a": {"query": "b", "operator": "xor"}}}, "es_query.match.a.operator: "),
        ({"match": {"a": {"query": "b", "zero_terms_query": 1}}}, "es_query.match.a.zero_terms_query: "),
        (
            {"match": {"a": {"query": "b", "minimum_should_match": "x"}}},
            "es_query.match.a.minimum_should_match: ",
        ),
        ({"match": {"_all": "b"}}, "es_query.match._all: "),
        ({"terms": {"_id": [FQID]}}, "es_query.terms._id: "),
        ({"exists": {"field": "_source"}}, "es_query.exists.field._source: "),
        ({"term": {"a": {"value": "b", "term": "c"}}}, "es_query.term.a.term: "),
        ({"range": {"a": {"gte": "now"}}}, "es_query.range.a.gte: 'now' is date math"),
        ({"range": {"a": {"lt": "now-7d/d"}}}, "es_query.range.a.lt: "),
        ({"range": {"a": {"gt": "2026-01-12||+1M/d"}}}, "es_query.range.a.gt: "),
        ({"match": {"a": {"operator": "and"}}}, "query is missing"),
        ({"match": {"a": None}}, "es_query.match.a: "),
        ({"match": {"a": ["b"]}}, "es_query.match.a: "),
        ({"match": {"a": "b", "c": "d"}}, "es_query.match: "),
        ({"match": {"files.*.text": "b"}}, "files.*.text"),
        ({"term": {"a": {"value": "b", "case_insensitive": True}}}, "es_query.term.a.case_insensitive: "),
        ({"terms": {"a": {"index": "x"}}}, "es_query.terms.a: "),
        ({"terms": {"a": ["b", {}]}}, "es_query.terms.a[1]: "),
        ({"range": {"a": {"gte": 1, "lt": "b"}}}, "es_query.range.a: "),
        ({"range": {"a": {"gte": "now-1d", "format": "epoch"}}}, "es_query.range.a.format: "),
        ({"range": {"a": {"gte": True}}}, "es_query.range.a.gte: "),
        ({"exists": {"field": ["a"]}}, "es_query.exists.field: "),
        ({"exists": {}}, "es_query.exists.field: "),
        ({"prefix": {"a": 5}}, "es_query.prefix.a: "),
        ({"wildcard": {"a": {}}}, "value is missing"),
        ({"ids": {"values": [FQID, {}]}}, "es_query.ids.values[1]: "),
        ({"bool": {"must": [{"match": {"a": "x" * 4000}}] * 33}}, "es_query.bool.must[32].match: "),
        ({"bool": {"must": [{"wildcard": {"a": "?" * 4000}}] * 33}}, "131072 characters"),
        ({"ids": {}}, "es_query.ids.values"),
        ({"term": {"a": "x" * 5000}}, "es_query.term.a: "),
        ({"bool": {"should": [A] * 1024}}, "1024 clauses"),
    ],
)
def test_a_clause_or_option_that_is_not_served_is_named(body, words):
    with pytest.raises(IndexQueryRefused) as error:
        parse(body)
    assert words in error.value.title


def test_ids_that_are_no_fqids_find_nothing():
    """As in Elasticsearch, where every text may be an id."""
    assert parse({"ids": {"values": ["x", FQID.upper(), 5, "", "a.b", "x" * 300]}}) == Ids((FQID,))
    assert parse({"ids": {"values": "x"}}) == Ids(())


def test_values_that_are_looked_up_count_as_no_characters():
    values = [f"{number:036d}" for number in range(65_536)]
    assert parse({"terms": {"a": values}}) == Terms("a", tuple(values))


def test_depth_is_bounded():
    body = A
    for _ in range(19):
        body = {"bool": {"must": body}}
    parse(body)
    with pytest.raises(IndexQueryRefused, match="20 deep"):
        parse({"bool": {"must": body}})


@given(
    some.recursive(
        some.one_of(some.none(), some.booleans(), some.integers(), some.floats(), some.text(max_size=3)),
        lambda inner: some.one_of(
            some.lists(inner, max_size=3),
            some.dictionaries(
                some.sampled_from(
                    [
                        *("query", "bool", "must", "should", "match", "term", "terms", "range", "gte", "ids"),
                        *(
                            "values",
                            "exists",
                            "field",
                            "wildcard",
                            "value",
                            "prefix",
                            "minimum_should_match",
                            "a",
                        ),
                    ]
                ),
                inner,
                max_size=2,
            ),
        ),
    )
)
def test_any_json_is_parsed_or_refused(body):
    try:
        parse(body)
    except IndexQueryRefused as error:
        assert error.title.startswith("es_query")


@pytest.mark.parametrize(
    ("value", "count", "least"),
    [
        *[
            (2, 3, 2),
            (5, 3, 5),
            (-1, 3, 2),
            (-5, 3, 0),
            ("75%", 4, 3),
            ("75%", 3, 2),
            ("-25%", 3, 3),
            ("-25%", 4, 3),
        ],
        *[("2<75%", 2, 2), ("2<75%", 4, 3), ("2<-25% 9<-3", 10, 7), ("2<-25% 9<-3", 8, 6), ("3", 0, 3)],
        *[("2 < 75%", 4, 3), (" 2 <-25%  9< -3 ", 10, 7), ("+2", 3, 2), ("150%", 2, 3)],
    ],
)
def test_minimum_should_match_is_read_as_elasticsearch_does(value, count, least):
    assert least_of(value, count) == least
