"""Filters are checked before anything is asked: errors name the field and the relation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import IllegalArguments
from shared.explore.filters import MOST_RANGES, Relation, parse_filters
from shared.explore.hca.fields import FIELDS

KNOWN = {each.name: each for each in FIELDS if not each.is_hidden}


def parse(filters: Any) -> Any:
    return parse_filters(filters, KNOWN)


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ([], "must be a dictionary"),
        ({"x": {"is": []}}, "Unknown field `x`"),
        # For summaries alone.
        ({"donorId": {"is": ["x"]}}, "Unknown field `donorId`"),
        ({"organ": []}, "entry for `organ` must be a single-item dictionary"),
        ({"organ": {}}, "entry for `organ` must be a single-item dictionary"),
        ({"organ": {"is": [], "within": []}}, "entry for `organ` must be a single-item dictionary"),
        ({"organ": {"like": []}}, "relation in the filter for `organ` must be one of is, within, contains"),
        ({"organ": {"is": "x"}}, "`is` relation in the filter for `organ` is not a list"),
        ({"organ": {"is": [1]}}, "value 1 of the `is` relation in the filter for `organ` is invalid"),
        ({"organ": {"is": [["x"]]}}, "filter for `organ` is invalid"),
        ({"organ": {"within": [["a", "b"]]}}, "`organ` can only be filtered by `is`, not by `within`"),
        ({"fileName": {"is": ["a\0b"]}}, "a value that a document can have"),
        ({"organ": {"is": ["\ud800"]}}, "a value that a document can have"),
        ({"accessions": {"is": [{"accession": "\0"}]}}, "some of the properties namespace, accession"),
        ({"organismAge": {"is": [{"value": "\0", "unit": None}]}}, "just `value` and `unit`"),
        ({"fileSize": {"is": [float("inf")]}}, "a value that a document can have"),
        ({"fileSize": {"within": [[0, 10**400]]}}, "a pair of numbers"),
        ({"organismAgeRange": {"contains": [float("nan")]}}, "a pair of numbers"),
        ({"fileSize": {"is": [True]}}, "filter for `fileSize` is invalid"),
        ({"fileSize": {"contains": [1]}}, "`fileSize` can only be filtered by `is`, not by `contains`"),
        ({"fileSize": {"within": [[1]]}}, "a pair of numbers"),
        ({"fileSize": {"within": [["1", "2"]]}}, "a pair of numbers"),
        ({"pairedEnd": {"is": ["true"]}}, "a value of type flag or null"),
        ({"pairedEnd": {"is": [1]}}, "a value of type flag or null"),
        ({"submissionDate": {"within": [["2020", "2021"]]}}, "a date such as 2018-10-03T14:41:37.044509Z"),
        ({"submissionDate": {"is": ["soon"]}}, "a date such as"),
        ({"submissionDate": {"intersects": [["2020", "2021"]]}}, "can only be filtered by `is`"),
        ({"organismAge": {"is": ["20 year"]}}, "just `value` and `unit`"),
        ({"organismAge": {"is": [{"value": "20"}]}}, "just `value` and `unit`"),
        ({"organismAge": {"is": [{"value": "", "unit": "year"}]}}, "just `value` and `unit`"),
        ({"organismAge": {"is": [{"value": "2 0", "unit": "year"}]}}, "just `value` and `unit`"),
        ({"organismAge": {"is": [{"value": "20", "unit": "year", "x": 1}]}}, "just `value` and `unit`"),
        ({"organismAge": {"is": [{"value": 1, "unit": "year"}]}}, "just `value` and `unit`"),
        ({"accessions": {"within": [[1, 2]]}}, "`accessions` can only be filtered by `is`, not by `within`"),
        ({"accessions": {"is": []}}, "`accessions` needs exactly one object"),
        ({"accessions": {"is": [{}, {}]}}, "`accessions` needs exactly one object"),
        ({"accessions": {"is": [{}]}}, "some of the properties namespace, accession"),
        ({"accessions": {"is": [None]}}, "some of the properties namespace, accession"),
        ({"accessions": {"is": [{"namespace": 1}]}}, "some of the properties namespace, accession"),
        ({"tissueAtlas": {"is": [{"name": "x"}]}}, "some of the properties atlas, version"),
        ({"tissueAtlas": {"is": [None]}}, "some of the properties atlas, version"),
        ({"tissueAtlas": {"within": [{"atlas": "x"}]}}, "`tissueAtlas` can only be filtered by `is`"),
        ({"organismAgeRange": {"within": [1]}}, "a pair of numbers"),
        ({"organismAgeRange": {"is": [1]}}, "a pair of numbers"),
        ({"organismAgeRange": {"intersects": [1]}}, "a pair of numbers"),
    ],
)
def test_a_bad_filter_is_refused_by_name(filters: Any, reason: str) -> None:
    with pytest.raises(IllegalArguments) as caught:
        parse(filters)

    assert reason in caught.value.title


def test_good_filters_keep_their_values() -> None:
    organ, size, age = parse(
        {
            "organ": {"is": ["a", None]},
            "fileSize": {"within": [[1, 2.5]]},
            "organismAgeRange": {"contains": [7]},
        }
    )

    assert (organ.field.name, organ.relation, organ.values) == ("organ", Relation.IS, ("a", None))
    assert (size.relation, size.values) == (Relation.WITHIN, ([1, 2.5],))
    # A single number is a range of one.
    assert (age.relation, age.values) == (Relation.CONTAINS, ([7, 7],))


RANGES = [[number, number + 1] for number in range(MOST_RANGES + 1)]


def test_values_that_come_twice_count_once() -> None:
    size, organ = parse({"fileSize": {"within": RANGES[1:] * 9}, "organ": {"is": ["b", "a", None, "b"]}})

    assert size.values == tuple(RANGES[1:])
    assert organ.values == ("b", "a", None)


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"fileSize": {"within": RANGES}}, "`within` relation in the filter for `fileSize` has more than 10"),
        ({"organismAgeRange": {"contains": [*range(11)]}}, "`organismAgeRange` has more than 10 ranges"),
        ({"organismAgeRange": {"intersects": RANGES}}, "`organismAgeRange` has more than 10 ranges"),
        (
            {name: {"is": [*map(str, range(5001))]} for name in ("organ", "fileName")},
            "more than 10,000 values",
        ),
    ],
)
def test_too_many_values_are_refused(filters: Any, reason: str) -> None:
    with pytest.raises(IllegalArguments, match=reason):
        parse(filters)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(KNOWN)), st.sampled_from([each.value for each in Relation]), JSON)
def test_any_filter_is_taken_or_refused(name: str, relation: str, value: Any) -> None:
    for values in (value, [value]):
        try:
            parse({name: {relation: values}})
        except IllegalArguments as error:
            assert name in error.title
