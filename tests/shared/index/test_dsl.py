"""The Elasticsearch DSL: what each form means, and what is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.errors import IndexQueryRefused
from shared.index.dsl import parse
from shared.index.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Range, Terms, Wildcard
from shared.index.should import least_of

FQID = "0c6e5b14-5d4a-4d5c-9f1c-2f6a5a8b7e10.2026-01-12T093000.000000Z"
A, B = {"term": {"a": 1}}, {"exists": {"field": "b"}}
ONE, TWO = Terms("a", (1,)), Exists("b")


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
            {"match": {"a": {"query": "x y z", "minimum_should_match": "-1"}}},
            Bool(should=tuple(Match("a", (word,)) for word in "xyz"), minimum_should_match=2),
        ),
        (
            {"match": {"a.keyword": "X y"}},
            Bool(should=(Terms("a", ("X y",)), Match("a.keyword", ("x", "y"))), minimum_should_match=1),
        ),
        ({"term": {"a": "X y"}}, Terms("a", ("X y",))),
        ({"term": {"a": {"value": True, "_name": "n"}}}, Terms("a", (True,))),
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
        ({"prefix": {"a": {"value": "x"}}}, Prefix("a", "x")),
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
    ],
)
def test_a_clause_is_read_alone_and_in_a_whole_body(clause, query):
    assert parse(clause) == query
    assert parse({"query": clause}) == query
    assert parse({"query": {"bool": {"must": [clause]}}}) == Bool(must=(query,))


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
        ({"match": {"a": {"query": "b", "operator": "xor"}}}, "operator"),
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
        ({"ids": {"values": ["x"]}}, "es_query.ids.values[0]: "),
        ({"ids": {}}, "es_query.ids.values"),
        ({"term": {"a": "x" * 5000}}, "es_query.term.a: "),
        ({"bool": {"should": [A] * 1024}}, "1024 clauses"),
    ],
)
def test_what_is_not_served_is_named(body, words):
    with pytest.raises(IndexQueryRefused) as error:
        parse(body)
    assert words in error.value.title


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
def test_whatever_is_sent_is_read_or_refused(body):
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
    ],
)
def test_how_many_should_match(value, count, least):
    assert least_of(value, count) == least
