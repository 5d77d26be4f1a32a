"""Each reader belongs to one audience of an entity at most, and sees just what they may read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.explore.audiences import MAX_LABEL_SETS, Labels, TooManyAudiences, audiences

LABELS = st.frozensets(st.sampled_from("abcd"), min_size=1)


@given(st.lists(LABELS, max_size=MAX_LABEL_SETS), st.frozensets(st.sampled_from("abcde")))
def test_a_reader_is_in_the_one_audience_that_shows_what_they_may_read(
    label_sets: list[Labels], sought: Labels
) -> None:
    readable = frozenset(labels for labels in label_sets if labels & sought)

    belonging = [each for each in audiences(label_sets) if each.includes(sought)]

    assert [each.shown for each in belonging] == ([readable] if readable else [])


def test_an_entity_with_too_many_sets_of_readers_is_refused() -> None:
    label_sets = [frozenset((str(number),)) for number in range(MAX_LABEL_SETS + 1)]

    assert len(list(audiences(label_sets[1:]))) == 2**MAX_LABEL_SETS - 1
    with pytest.raises(TooManyAudiences, match="7 different sets of readers"):
        list(audiences(label_sets))
