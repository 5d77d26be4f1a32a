"""Range terms: a value has one of the terms of every range that it is in."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.identifiers import Fqid
from shared.search.base import IndexEntry
from shared.search.postgresql.range_terms import (
    MOST_RANGE_TERMS,
    range_terms_of,
    terms_beginning,
    terms_between,
)
from shared.search.postgresql.rows import as_jsonb
from shared.search.postings import Postings
from tests.shared.search.postgresql.test_postgresql import hard_numbers, hard_texts

FQID = Fqid("0c6e5b14-5d4a-4d5c-9f1c-2f6a5a8b7e10", "2026-01-12T093000.000000Z")
HASHED = Postings("gcp")

texts = some.one_of(hard_texts, some.text(), some.text("ab", max_size=40))
numbers = some.one_of(hard_numbers, some.integers(), some.floats(allow_nan=False))
# Of one kind: a value, and two bounds.
thrice = some.one_of(some.tuples(texts, texts, texts), some.tuples(numbers, numbers, numbers))


def terms(document: dict) -> list[str]:
    return range_terms_of(IndexEntry(replica="gcp", fqid=FQID, document=document)).split()


def answers(held: list[str], asked: str) -> bool:
    """Return whether a tsvector matches a tsquery, as in PostgreSQL."""
    wanted = asked.split(" | ")
    begins = tuple(one.removesuffix(":*") for one in wanted if one.endswith(":*"))
    return any(word.startswith(begins) or word in wanted for word in held)


@given(thrice, some.sampled_from(["gt", "gte", None]), some.sampled_from(["lt", "lte", None]))
def test_a_value_between_bounds_has_one_of_their_terms(values, lower, upper):
    value, *ends = values
    low, high = sorted(ends)
    bounds = {name: as_jsonb(end) for name, end in ((lower, low), (upper, high)) if name}
    if bounds and (not lower or value >= low) and (not upper or value <= high):
        asked = terms_between(HASHED, "a", bounds)
        assert answers(terms({"a": [value]}), asked)
        assert not answers(terms({"b": [value]}), asked)


@given(texts, texts)
def test_a_text_with_a_prefix_has_one_of_its_terms(begin, rest):
    assert answers(terms({"a": begin + rest}), terms_beginning(HASHED, "a", as_jsonb(begin)))


@pytest.mark.parametrize(
    ("bounds", "apart"),
    [
        ({"gte": 60, "lt": 61}, [59.999, 61.001, -60, 6e9]),
        ({"gte": -1.5}, [-1.501, -1e300]),
        ({"lt": 10**9}, [10**9 + 1, float("inf")]),
        ({"gte": "2026-01-12", "lt": "2026-01-13"}, ["2026-01-11T235959", "2026-01-14", "202", "kidney"]),
        ({"gt": "2026-01-12"}, ["2026-01-11T235959", "2025", ""]),
    ],
)
def test_a_value_well_outside_has_none_of_the_terms(bounds, apart):
    asked = terms_between(HASHED, "a", bounds)

    assert [value for value in apart if answers(terms({"a": value}), asked)] == []
    # Each is a walk through the index.
    assert len(asked.split(" | ")) <= 320


def test_there_is_no_query_if_no_value_can_be_between():
    assert terms_between(HASHED, "a", {"gt": 5, "lt": 4}) == terms_between(
        HASHED, "a", {"gte": "b", "lt": "a"}
    )
    assert terms_between(HASHED, "a", {"gt": 5, "lt": 4}) == ""


def test_a_path_with_too_many_values_has_an_overflow_marker():
    many = terms({"n": [number / 3 for number in range(MOST_RANGE_TERMS)], "few": "brain"})
    most = terms({f"p{number}": number for number in range(MOST_RANGE_TERMS + 1)})

    assert (len(many), len(most)) == (2, 1)
    for path, held in (("n", many), ("p17", most)):
        assert answers(held, terms_between(HASHED, path, {"gt": 10**9}))
    assert answers(many, terms_beginning(HASHED, "few", "bra"))
    assert not answers(many, terms_beginning(HASHED, "few", "kid"))
