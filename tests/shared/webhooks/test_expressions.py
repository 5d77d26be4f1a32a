"""JMESPath: expressions are checked when they are written, and comparisons follow the specification."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.webhooks.expressions import MOST_KEPT, check_expression, evaluate_expression, kept_in_bounds

DONORS = {"donors": [{"age": 30}, {"age": "unknown"}, {"age": 12}, {"age": None}, {}, {"age": [30]}]}
VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=2)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("donors[?age > `18`].age", [30]),
        ("donors[?age <= `18`].age", [12]),
        # `!null` is true.
        ("donors[?!(age > `18`)].age", ["unknown", 12, [30]]),
        ("donors[1].age > `18`", None),
        ("!(donors[1].age > `18`)", True),
        ("donors[1].age > 'a'", True),
        ("donors[0].age == 'unknown'", False),
        ("length(donors[?age > `18`])", 1),
        ("sort_by(donors[?age > `1`], &age)[0].age", 12),
    ],
)
def test_a_comparison_of_unlike_types_is_null(expression: str, value: Any) -> None:
    check_expression(expression)
    assert evaluate_expression(expression, DONORS) == value


@given(VALUES, VALUES, st.sampled_from(["<", "<=", ">", ">="]))
def test_no_comparison_fails(left: Any, right: Any, operator: str) -> None:
    value = evaluate_expression(f"left {operator} right", {"left": left, "right": right})
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (left, right))
    texts = isinstance(left, str) and isinstance(right, str)
    assert isinstance(value, bool) if numbers or texts else value is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("no_function(@)", r"unknown function no_function\(\); JMESPath has abs, avg, "),
        ("files[?is_empty(x)]", r"unknown function is_empty\(\)"),
        ("{a: [b, sort_by(@, &wrong(x))]}", r"unknown function wrong\(\)"),
        ("a | !b && c.d(@)", r"unknown function d\(\)"),
        ("abs()", r"abs\(\) needs 1 argument\(s\), and has 0"),
        ("length(a, b)", r"length\(\) needs 1 argument\(s\), and has 2"),
        ("join(',')", r"join\(\) needs 2 argument\(s\), and has 1"),
        ("merge()", r"merge\(\) needs at least 1 argument\(s\), and has 0"),
        ("a[", "Invalid"),
        ("(" * 4000 + "a" + ")" * 4000, "nested too deeply"),
        ("a" * 8193, "longer than 8192 characters"),
    ],
)
def test_an_expression_that_can_never_work_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_expression(expression)


@pytest.mark.parametrize(
    "expression", ["merge(a, b, c)", "not_null(a)", "map(&length(@), a)", "a[?contains(@, 'x')] | [0]", "*"]
)
def test_functions_with_the_right_number_of_arguments_are_accepted(expression: str) -> None:
    check_expression(expression)


def test_ten_thousand_queries_are_parsed_once_and_long_ones_take_the_place_of_others() -> None:
    parsed: Counter[str] = Counter()

    def length(text: str) -> int:
        parsed[text] += 1
        return len(text)

    parse = kept_in_bounds(length)
    usual = [f"{number:080}" for number in range(MOST_KEPT // 80)]
    assert len(usual) == 10_000
    for _ in range(2):
        assert [parse(text) for text in usual] == list(map(len, usual))
    assert set(parsed.values()) == {1}

    # As long as ten of them: the ten that were asked for first are parsed anew.
    parse("x" * 800)
    parse(usual[10])
    parse(usual[0])
    assert (parsed[usual[10]], parsed[usual[0]]) == (1, 2)
