"""Counts of values: a document made of them is the same as one made of the inner entities themselves."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.explore.hca.aggregation import MERGES
from shared.explore.tallies import (
    Counts,
    Merge,
    Merges,
    Slot,
    decode,
    distinct_number,
    encode,
    greatest,
    least,
    number,
    total,
    value_set,
)


def counts(*values: Any) -> Counts:
    return Counter(map(encode, values))


def tallies(merges: Merges, listed: str, entities: list[Any]) -> dict[Slot, Counts]:
    found: dict[Slot, Counter[str]] = {}
    for inner in entities:
        for slot, text, n in merges.slots(listed, inner):
            found.setdefault(slot, Counter())[text] += n
    return dict(found)


def merged(merge: Merge, *entities: Any) -> Any:
    merges = Merges({"list": merge})
    return merges.contents(tallies(merges, "list", list(entities))).get("list", [])


def test_accumulators_ignore_null_but_for_sets_and_numbers() -> None:
    values = counts(3, None, 1, 3)

    assert value_set(values) == [1, 3, None]
    assert total(values) == 7
    assert (least(values), greatest(values)) == (1, 3)
    assert (number(values), distinct_number(values)) == (4, 3)
    for how in (total, least, greatest):
        assert how(counts(None)) is None
        assert how(counts()) is None


def test_values_of_any_type_are_sorted() -> None:
    values = [None, True, 2, "b", "a", {"x": 1}, ["y"]]

    assert sorted(value_set(counts(*values)), key=encode) == sorted(values, key=encode)
    assert value_set(counts(*values)) == value_set(counts(*reversed(values)))
    assert value_set(counts(*values))[-1] is None


def test_lists_are_flattened_and_an_empty_list_is_there() -> None:
    assert merged(Merge(), {"a": [2, 1]}, {"a": [3]}, {"a": []}) == [{"a": [1, 2, 3]}]
    assert merged(Merge(), {"a": []}) == [{"a": []}]
    assert merged(Merge(), {"a": None}) == [{"a": [None]}]
    assert merged(Merge(whole=frozenset("a")), {"a": [2, 1]}) == [{"a": [[2, 1]]}]


def test_groups_are_sets_whatever_their_order() -> None:
    merge = Merge(group_by=("organ",), fields={"n": total})

    found = merged(
        merge, {"organ": ["a", "b"], "n": 1}, {"organ": ["b", "a"], "n": 2}, {"organ": ["a"], "n": 4}
    )

    assert sorted((tuple(each["organ"]), each["n"]) for each in found) == [(("a",), 4), (("a", "b"), 3)]


def test_what_is_dropped_or_not_among_the_only_fields_is_not_there() -> None:
    assert merged(Merge(drop=frozenset("b")), {"a": 1, "b": 2}) == [{"a": [1]}]
    assert merged(Merge(fields={"a": total}, only=True), {"a": 1, "b": 2}) == [{"a": 1}]


SUSPENSIONS = st.lists(
    st.fixed_dictionaries(
        {
            "organ": st.lists(st.sampled_from(["fin", "eye", None]), max_size=2, unique=True),
            "total_estimated_cells": st.none() | st.integers(0, 9),
        }
    ),
    max_size=6,
)


@given(SUSPENSIONS, SUSPENSIONS)
def test_adding_and_removing_leaves_what_was_there_before(kept: list[Any], passing: list[Any]) -> None:
    merges = MERGES["projects"]
    once = tallies(merges, "cell_suspensions", kept)
    both = tallies(merges, "cell_suspensions", kept + passing)

    for slot, lost in tallies(merges, "cell_suspensions", passing).items():
        both[slot] = Counter(both[slot]) - Counter(lost)
    left = {slot: found for slot, found in both.items() if found}

    assert left == once
    document = merges.contents(left)
    groups = {tuple(sorted(each["organ"], key=str)) for each in kept}
    assert len(document.get("cell_suspensions", [])) == len(groups)
    cells = [each["total_estimated_cells"] or 0 for each in document.get("cell_suspensions", [])]
    assert sum(cells) == sum(each["total_estimated_cells"] or 0 for each in kept)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_a_value_is_the_same_after_it_was_a_text(value: Any) -> None:
    assert decode(encode(value)) == value
    assert type(decode(encode(value))) is type(value)
