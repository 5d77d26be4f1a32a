"""Names within a bundle are legal, different, and always the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.drs.names import legal_names

# Characters that make names equal once they are replaced.
NAMES = st.lists(st.text(alphabet="ab/ _-é.", min_size=1, max_size=5), unique=True, max_size=30)


def test_a_legal_name_stays_and_other_characters_become_underscores() -> None:
    assert legal_names(["a-B_1.txt", "data/x y.json", "é"]) == ["a-B_1.txt", "data_x_y.json", "_"]


def test_a_name_that_would_be_equal_to_another_has_a_digest_in_front() -> None:
    first, second, legal = legal_names(["a/b", "a b", "a_b"])

    assert legal == "a_b"
    assert re.fullmatch("[0-9a-f]{16}-a_b", first)
    assert re.fullmatch("[0-9a-f]{16}-a_b", second)
    assert first != second


def test_nobody_can_take_such_a_name_first() -> None:
    [taken, _] = legal_names(["a/b", "a_b"])

    assert len(set(legal_names(["a/b", "a_b", taken]))) == 3


@given(NAMES)
def test_names_are_legal_and_different(names: list[str]) -> None:
    found = legal_names(names)

    assert len(set(found)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9._-]+", name) for name in found)
    assert [new for old, new in zip(names, found, strict=True) if re.fullmatch("[A-Za-z0-9._-]+", old)] == [
        old for old in names if re.fullmatch("[A-Za-z0-9._-]+", old)
    ]


@given(st.lists(st.text(alphabet="ab/ _", min_size=1, max_size=4), unique=True, max_size=8))
def test_names_do_not_depend_on_their_order(names: list[str]) -> None:
    found = dict(zip(names, legal_names(names), strict=True))

    assert dict(zip(names[::-1], legal_names(names[::-1]), strict=True)) == found
