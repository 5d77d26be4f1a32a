"""What a document is found, counted and sorted by."""

import math
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.explore.dates import in_utc
from shared.explore.fields import MISSING, Field, FieldType, least
from shared.explore.rows import is_missing, number, number_key, number_of, sort_key, term_key, term_value

TEXT = Field("t", ("list", "key"))
NUMBER = Field("n", ("list", "key"), FieldType.NUMBER)
DATE = Field("d", ("list", "key"), FieldType.DATE)
RANGE = Field("r", ("list", "key"), FieldType.RANGE)


@pytest.mark.parametrize(
    ("inner", "values"),
    [
        ([], [MISSING]),
        ([{}], [MISSING]),
        ([{"key": None}], [None]),
        ([{"key": []}], [None]),
        ([{"key": ["a", None]}], ["a", None]),
        ([{"key": "a"}, {"key": ["b"]}, {}], ["a", "b"]),
    ],
)
def test_an_empty_value_is_null_and_a_field_without_an_owner_is_missing(inner: Any, values: Any) -> None:
    assert TEXT.values({"contents": {"list": inner}}) == values


def test_one_range_is_one_value() -> None:
    assert RANGE.values({"contents": {"list": [{"key": [1, 2]}]}}) == [[1, 2]]
    assert RANGE.values({"contents": {"list": [{"key": [[1, 2], [3, 4]]}]}}) == [[1, 2], [3, 4]]
    assert RANGE.values({"contents": {}}) == [MISSING]


def test_values_of_the_document_itself_have_a_path_of_one() -> None:
    assert Field("c", ("cell_count",)).values({"cell_count": 7, "contents": {}}) == [7]
    assert Field("c", ("bundles", "uuid")).values({"bundles": [{"uuid": "x"}], "contents": {}}) == ["x"]


def test_values_come_before_null_and_null_before_what_is_missing() -> None:
    keys = [sort_key(TEXT, value) for value in ("", "a", "a b", "b", "é", None, MISSING)]

    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert least(TEXT, ["b", None, "a"]) == "a"
    assert least(TEXT, [None]) is None
    assert least(NUMBER, [10, 9]) == 9


@given(st.lists(st.floats(allow_nan=False) | st.integers(-(10**12), 10**12)))
def test_keys_sort_as_numbers_do(numbers: list[float]) -> None:
    # -0.0 and 0.0 are equal, and sort apart.
    numbers = [number for number in numbers if number]

    assert sorted(numbers, key=lambda each: number_key(float(each))) == sorted(numbers, key=float)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_a_term_is_told_from_others_and_from_what_is_missing(value: Any) -> None:
    assert term_value(term_key(value)) == value
    assert not is_missing(term_key(value))
    assert is_missing(term_key(MISSING))
    assert term_value(term_key(MISSING)) is None
    assert term_key(1) != term_key(True) != term_key("true")


# As far as dates are exact to the microsecond.
_DATES = st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1)).map(in_utc)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
_NONE = st.sampled_from([None, MISSING])


@given(
    st.tuples(st.just(NUMBER), st.lists(_NUMBERS | _NONE))
    | st.tuples(st.just(DATE), st.lists(_DATES | _NONE))
)
def test_numbers_of_values_sort_as_their_keys_do_and_follow_from_them(
    field_and_values: tuple[Field, list[Any]],
) -> None:
    a_field, values = field_and_values
    numbers = [number(a_field, value) for value in values]

    # No number is greater than any in PostgreSQL, and equals itself.
    assert [_order(n) for n in numbers] == [_order(number_of(a_field, sort_key(a_field, v))) for v in values]
    by_key = sorted(values, key=lambda value: sort_key(a_field, value))
    assert [_order(number(a_field, value)) for value in by_key] == sorted(map(_order, numbers))


def _order(n: float) -> tuple[bool, float]:
    return math.isnan(n), 0.0 if math.isnan(n) else n


@pytest.mark.parametrize("key", ["", "0", "7", "x", "0123", "0" + "g" * 16, "0-" + "1" * 15, "02024-13-01"])
def test_what_is_no_sort_key_has_no_number(key: str) -> None:
    for a_field in (NUMBER, DATE):
        with pytest.raises(ValueError):
            number_of(a_field, key)
