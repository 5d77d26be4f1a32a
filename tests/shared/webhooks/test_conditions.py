"""Queries that are looked up have the results that they would have if they were run."""

import json
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from shared.identifiers import Fqid
from shared.search.dsl import parse
from shared.search.matching import Subject
from shared.webhooks.conditions import Lookup, needs_of_expression, needs_of_query
from shared.webhooks.expressions import evaluate_expression, parsed_expression

FQID = Fqid("0f1e2d3c-4b5a-4678-8796-a5b4c3d2e1f0", "2026-01-12T093000.000000Z")
OTHER = Fqid("0f1e2d3c-4b5a-4678-8796-a5b4c3d2e1f1", "2026-01-12T093000.000000Z")

# Few names and values, so that queries often find something.
names = st.sampled_from(["a", "b", "c"])
scalars = st.sampled_from(["x", "y", "x y", "", "1", 0, 1, 1.0, -1, 2**53 + 1, 2.0**53, True, False, None])
documents = st.dictionaries(
    names,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=6,
    ),
)

_steps = st.sampled_from(["a", "b", "c", "[0]", "[-1]", "[2]"])
paths = st.lists(_steps, min_size=1, max_size=3).map(lambda steps: ".".join(steps).replace(".[", "["))
named = paths.filter(lambda path: not path.startswith("["))
literals = scalars.map(lambda value: f"`{json.dumps(value)}`") | st.sampled_from(["'x'", "'y'", "'1'"])
_signs = st.sampled_from(["==", "==", "==", "!=", "<"])
comparisons = st.builds("{} {} {}".format, paths | literals | st.just("@"), _signs, paths | literals)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner),
        st.builds("!({})".format, inner),
        st.builds("{}[?{}]".format, paths, inner),
        st.builds("{}[?{}].{}".format, paths, inner, named),
        st.builds("{}[].{}".format, paths, named),
        st.builds("{} | {}".format, inner, paths),
        # Which fails on most of what it is given.
        st.builds("{}({})".format, st.sampled_from(["length", "abs", "not_null"]), inner),
    )


# More of those that can be looked up.
_equalities = st.builds("{} == {}".format, paths, literals)
expressions = st.recursive(_equalities | _equalities | comparisons | paths, _larger, max_leaves=5)

_values = scalars.filter(lambda value: value is not None)
_fields = st.sampled_from(["a", "a.b", "a.b.c", "b.keyword", "c.text", "a.a"])
clauses = st.one_of(
    st.builds(lambda field, value: {"term": {field: value}}, _fields, _values),
    st.builds(lambda field, values: {"terms": {field: values}}, _fields, st.lists(_values, max_size=3)),
    st.builds(
        lambda field, text, how: {"match": {field: {"query": text, **how}}},
        _fields,
        st.sampled_from(["x", "x y", "y x", "", "1.0", "-1"]),
        st.sampled_from([{}, {"operator": "and"}, {"zero_terms_query": "all"}, {"minimum_should_match": 2}]),
    ),
    st.builds(lambda fqid: {"ids": {"values": [str(fqid)]}}, st.sampled_from([FQID, OTHER])),
    st.sampled_from([{"match_all": {}}, {"exists": {"field": "a"}}, {"prefix": {"a": "x"}}]),
)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, max_size=2)
    return st.builds(
        lambda kinds, least: {"bool": {**kinds, **least}},
        st.fixed_dictionaries({}, optional={kind: some for kind in ("must", "filter", "should", "must_not")}),
        st.sampled_from([{}, {}, {"minimum_should_match": 1}, {"minimum_should_match": 0}]),
    )


queries = st.recursive(clauses, _combined, max_leaves=6)


@settings(max_examples=600)
@given(documents, expressions)
def test_an_expression_that_is_not_run_would_not_match_and_not_fail(document: Any, expression: str) -> None:
    lookup = Lookup()
    lookup.add(7, needs_of_expression(parsed_expression(expression)), searches=False)

    if 7 in lookup.may_match(document, None):
        event("run")
        return

    event("looked up")
    assert not evaluate_expression(expression, document)


@settings(max_examples=600)
@given(documents, queries, st.booleans())
def test_a_query_that_is_not_run_would_not_find_the_document(document: Any, query: Any, dead: bool) -> None:
    subject = Subject(FQID, {**document, "admin_deleted": True} if dead else document)
    parsed = parse({"query": query})
    lookup = Lookup()
    lookup.add(7, needs_of_query(parsed), searches=True)

    if 7 in lookup.may_match({}, subject):
        event("run")
        return

    event("looked up")
    assert not subject.is_found_by(parsed)


@pytest.mark.parametrize(
    ("expression", "is_run"),
    [
        ("a.b == 'x'", True),
        ("a.b == 'z'", False),
        ("'z' == a.b", False),
        ("a.n == `1`", True),
        ("a.n == `true`", False),
        ("l[0].o == 'p'", True),
        ("l[5].o == 'p'", False),
        ("l[-1].o == 'q'", True),
        ("l[?o == 'q' && abs(r)]", True),
        ("l[?o == 'z' && abs(r)].s", False),
        ("a.b == 'z' && abs(a)", False),
        ("a.b == 'z' || l[?o == 'z']", False),
        ("a.b == 'z' || l[?o == 'q']", True),
        # These can't be looked up.
        ("abs(a) && a.b == 'z'", True),
        ("a.b != 'z'", True),
        ("a.b == `null`", True),
        ("!(a.b == 'z')", True),
        ("length(l[?o == 'z']) == `0`", True),
    ],
)
def test_expressions_that_compare_a_path_with_a_value_are_looked_up(expression: str, is_run: bool) -> None:
    document = {"a": {"b": "x", "n": 1}, "l": [{"o": "p"}, {"o": "q"}]}
    lookup = Lookup()
    lookup.add(1, needs_of_expression(parsed_expression(expression)), searches=False)

    assert lookup.may_match(document, None) == ({1} if is_run else set())


@pytest.mark.parametrize(
    ("query", "is_run"),
    [
        ({"term": {"a.b": "x"}}, True),
        ({"term": {"a.b": "z"}}, False),
        ({"terms": {"a.b.keyword": ["y", "z"]}}, False),
        ({"match": {"a.b": "z w"}}, False),
        ({"match": {"a.b": "z x"}}, True),
        ({"ids": {"values": [str(OTHER)]}}, False),
        ({"bool": {"must": [{"exists": {"field": "a"}}, {"term": {"a.b": "z"}}]}}, False),
        ({"bool": {"should": [{"term": {"a.b": "z"}}, {"match": {"a.b": "w"}}]}}, False),
        ({"bool": {"should": [{"term": {"a.b": "z"}}, {"exists": {"field": "a"}}]}}, True),
        ({"bool": {"must": [{"exists": {"field": "a"}}], "should": [{"term": {"a.b": "z"}}]}}, True),
        ({"bool": {"must_not": [{"term": {"a.b": "z"}}]}}, True),
    ],
)
def test_queries_that_compare_a_path_with_a_value_are_looked_up(query: Any, is_run: bool) -> None:
    lookup = Lookup()
    lookup.add(1, needs_of_query(parse({"query": query})), searches=True)

    assert lookup.may_match({}, Subject(FQID, {"a": {"b": "x"}})) == ({1} if is_run else set())


def test_queries_are_run_on_a_document_that_search_can_not_read() -> None:
    lookup = Lookup()
    lookup.add(1, needs_of_query(parse({"query": {"term": {"a": "b"}}})), searches=True)
    lookup.add(2, needs_of_expression(parsed_expression("a == 'b'")), searches=False)

    assert lookup.may_match({}, None) == {1}


def test_of_many_queries_those_are_run_that_have_what_they_need() -> None:
    lookup = Lookup()
    for number in range(1000):
        lookup.add(number, needs_of_expression(parsed_expression(f"a.b == '{number}'")), searches=False)
    lookup.add(1000, None, searches=False)

    assert lookup.may_match({"a": {"b": "17"}}, None) == {17, 1000}
