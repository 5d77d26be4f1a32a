"""What queries mean, as laws that hold for all documents."""

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.identifiers import Fqid
from shared.search.analysis import tokens
from shared.search.budget import Budget, BudgetSpent
from shared.search.documents import tombstone_document
from shared.search.matching import Matcher, Subject, matches, paths_to, scalars_of, values_at
from shared.search.query import (
    Bool,
    Exists,
    Ids,
    Match,
    MatchAll,
    Prefix,
    Query,
    Range,
    Terms,
    Wildcard,
)
from tests.support.queries import clauses, documents, paths, queries, scalars

FQID = Fqid("0c6e5b14-5d4a-4d5c-9f1c-2f6a5a8b7e10", "2026-01-12T093000.000000Z")


def found(query: Query, document: dict) -> bool:
    return matches(query, FQID, document)


DONOR = {
    "donor": [{"organ": {"text": "Left Brain"}, "age": 61}, {"organ": {"text": "kidney"}, "dead": False}]
}


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        (Match("donor.organ.text", ("brain",)), True),
        (Match("donor.organ.text", ("spleen", "kidney")), True),
        (Match("donor.organ.text", ("left", "kidney"), all_tokens=True), True),
        (Match("donor.organ.text", ("left", "spleen"), all_tokens=True), False),
        (Match("donor.age", ("61",)), True),
        (Match("donor.organ.text", ()), False),
        (Match("donor.organ.text", (), all_tokens=True), False),
        (Terms("donor.organ.text", ("Left Brain",)), True),
        (Terms("donor.organ.text", ("left brain",)), False),
        (Terms("donor.organ.text", ("brain",)), False),
        (Terms("donor.age", (61.0,)), True),
        (Terms("donor.age", ("61",)), False),
        (Terms("donor.dead", (False,)), True),
        (Terms("donor.dead", (0,)), False),
        (Range("donor.age", gt=60, lte=61), True),
        (Range("donor.age", gt=61), False),
        (Range("donor.age", gte="0"), False),
        (Range("donor.organ.text", gte="Left", lt="Leg"), True),
        (Exists("donor.organ"), True),
        (Exists("donor.organ.name"), False),
        (Exists("donor.org"), False),
        (Prefix("donor.organ.text", "kid"), True),
        (Prefix("donor.organ.text", "Kid"), False),
        (Wildcard("donor.organ.text", "L*t B???n"), True),
        (Wildcard("donor.organ.text", "L*t B????n"), False),
        (Ids((str(FQID),)), True),
        (Ids(("other",)), False),
        (Bool(), True),
    ],
)
def test_a_clause_finds_any_value_at_its_path(query, is_found):
    assert found(query, DONOR) is is_found


@given(queries, documents)
def test_a_query_finds_the_same_value_in_a_list_of_one(query, document):
    listed = {name: [value] for name, value in document.items()}
    assert found(query, listed) == found(query, document)


@given(clauses, documents, documents)
def test_a_clause_finds_a_list_if_it_finds_one_of_its_items(query, one, other):
    if isinstance(query, Match) and query.all_tokens:
        return  # its words may come from both
    together = {name: [one.get(name), other.get(name)] for name in {**one, **other}}
    assert found(query, together) == (found(query, one) or found(query, other))


@given(queries, queries, documents)
def test_bool_is_and_or_and_not(one, other, document):
    a, b = found(one, document), found(other, document)
    assert found(Bool(must=(one, other)), document) == (a and b)
    assert found(Bool(filter=(one,), must_not=(other,)), document) == (a and not b)
    assert found(Bool(must_not=(one, other)), document) == (not a and not b)
    assert found(Bool(should=(one, other), minimum_should_match=1), document) == (a or b)
    assert found(Bool(should=(one, other, MatchAll()), minimum_should_match=2), document) == (a or b)
    assert found(Bool(should=(one,), minimum_should_match=2), document) is False


@given(queries)
def test_only_clauses_about_its_content_find_a_tombstone(query):
    dead = tombstone_document(FQID.uuid, "who@example.org", "withdrawn")
    assert not found(Bool(must_not=(query,)), dead)
    assert not found(MatchAll(), dead)
    assert not found(Ids((str(FQID),)), dead)
    assert found(Terms("admin_deleted", (True,)), dead)
    assert found(Bool(must=(Terms("uuid", (FQID.uuid,)),), must_not=(Exists("manifest"),)), dead)


@given(
    some.text("ab*?\\", max_size=8),
    some.text("ab*?\\\n", max_size=12),
)
def test_a_wildcard_matches_what_its_regular_expression_matches(pattern, text):
    steps = re.findall(r"\\.|.", pattern, re.DOTALL)
    plain = {"*": ".*", "?": "."}
    expression = "".join(plain.get(step, re.escape(step[1:] if len(step) > 1 else step)) for step in steps)
    expected = re.fullmatch(expression, text, re.DOTALL) is not None
    assert found(Wildcard("a", pattern), {"a": text}) is expected


@pytest.mark.timeout(10)
def test_no_wildcard_takes_more_than_proportional_time():
    assert not found(Wildcard("a", "*a" * 500 + "b"), {"a": "a" * 5000})


@given(paths, documents)
def test_the_values_at_a_path_are_those_of_the_document_with_this_path(path, document):
    here = [value for at, value in scalars_of(document) if at == path]
    below = [value for at, value in scalars_of(document) if path in paths_to(at)]

    assert [value for value in values_at(document, path) if value is not None] == here
    assert [value for value in values_at(document, path, below=True) if value is not None] == below


@pytest.mark.parametrize(
    ("document", "path"),
    [({"": {"a": 1}}, "a"), ({"a.b": {"c": 1}}, "a.b.c"), ({"a": {"": 1}}, "a."), ({"a.b": 1}, "a.b")],
)
def test_a_path_leads_through_dotted_and_empty_keys(document, path):
    assert [value for value in values_at(document, path) if value is not None] == [1]
    assert all(found(Exists(known), document) for known in paths_to(path))


TEXT = " ".join(f"word{number}" for number in range(100_000))
LETTERS = "a" * 1_000_000


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ({"a": TEXT}, Bool(should=tuple(Match("a", (f"none{n}",)) for n in range(1000)))),
        ({"a": TEXT}, Bool(should=tuple(Wildcard("a", f"*none{n}*") for n in range(1000)))),
        ({"a": LETTERS}, Wildcard("a", "*" + "a?" * 1998 + "b*")),
        ({"a": [TEXT[:20_000]] * 50}, Bool(must_not=tuple(Wildcard("a", f"*?{n}?*") for n in range(900)))),
        ({"a": [[]] * 2_000_000}, Range("a", gte=0)),
        ({"a": {str(number): number for number in range(300_000)}}, Exists("a.none")),
    ],
)
def test_a_budget_of_processor_time_ends_a_match_within_a_document(document, query):
    """Each of these took up to two minutes, some of it in one step that nothing could interrupt."""
    started = time.thread_time()
    with contextlib.suppress(BudgetSpent):
        Matcher(Bool(should=(query,), minimum_should_match=1)).finds(Subject(FQID, document, Budget(0.2)))
    # A machine whose cores are shared counts some time of its other guests.
    assert time.thread_time() - started < 5.0


def test_a_spent_budget_is_an_error_and_not_an_answer():
    for query in (Exists("a"), Terms("a", (1,)), Match("a", ("x",)), Wildcard("a", "*")):
        with pytest.raises(BudgetSpent):
            Matcher(query).finds(Subject(FQID, {"a": "x"}, Budget(0)))


@given(paths, scalars)
def test_a_scalar_value_is_at_its_path(path, value):
    document = value
    for name in reversed(path.split(".")):
        document = [{name: document}]
    assert list(scalars_of(document)) == [(path, value)]
    assert found(Terms(path, (value,)), document[0]) and found(Exists(path), document[0])


def test_words_are_those_of_unicode_in_folded_case():
    assert tokens("Homo sapiens, DON'T 1.5 left-hand a_b") == [
        *("homo", "sapiens", "don't", "1.5", "left", "hand", "a_b")
    ]
    assert tokens("CAFÉ") == tokens("cafe\u0301") and tokens("Straße") == tokens("STRASSE")
    assert tokens(" .,- ") == []
    assert [len(token) for token in tokens("x" * 300)] == [255, 45]
