"""Spans together hold every key of a folder, each in one of them."""

import itertools
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from shared.maintenance.spans import MOST_SPANS, Span, spans

names = some.one_of(some.text(max_size=20), some.uuids().map(str), some.text("0123456789abcdef", min_size=1))


def holds(span: Span, key: str) -> bool:
    return key > span.after and (not span.until or key <= span.until)


@given(count=some.integers(1, MOST_SPANS), name=names)
@example(count=16, name="1000")
@example(count=2, name="8000")
@example(count=2, name="\U0010ffff")
def test_every_key_is_in_one_span(count: int, name: str) -> None:
    key = f"files/{name}"
    assert sum(holds(span.keys("files/"), key) for span in spans(count)) == 1


@given(count=some.integers(1, MOST_SPANS), uuid=some.uuids(), versions=some.lists(some.text(), max_size=5))
def test_no_uuid_is_split(count: int, uuid: uuid.UUID, versions: list[str]) -> None:
    keys = [f"bundles/{uuid}{version}" for version in ("", *versions)]
    inside = [[holds(span.keys("bundles/"), key) for key in keys] for span in spans(count)]
    assert all(len(set(row)) == 1 for row in inside)


@given(count=some.integers(1, MOST_SPANS))
def test_spans_are_as_wide_as_each_other(count: int) -> None:
    ends = [0, *(int(span.until, 16) for span in spans(count)[:-1]), 16**4]
    widths = [end - begin for begin, end in itertools.pairwise(ends)]
    assert max(widths) - min(widths) <= 1


@pytest.mark.parametrize("count", [0, -1, MOST_SPANS + 1])
def test_there_are_neither_none_nor_too_many(count: int) -> None:
    with pytest.raises(ValueError, match="spans"):
        spans(count)
