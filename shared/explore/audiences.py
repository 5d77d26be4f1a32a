"""Which readers see which version of an entity, if it is in bundles that not all may read.

A bundle has labels (`shared.access.labels`), and a reader who looks up one of them sees it. Of an entity that
is in bundles with different labels there is one document for each combination that somebody may see: an
*audience* is such a combination. Each reader belongs to one audience of an entity at most, so nothing is
counted twice, and what a reader may not see has no part in what is counted, sorted or shown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

Labels = frozenset[str]

# There are 2^n - 1 combinations of n sets of readers.
MAX_LABEL_SETS = 6


class TooManyAudiences(Exception):
    """An entity is in bundles with more sets of readers than can be distinguished."""


@dataclass(frozen=True)
class Audience:
    """Readers who may read bundles of all `shown` sets of labels, and of none of the `hidden` ones."""

    shown: frozenset[Labels]
    hidden: frozenset[Labels] = frozenset()

    def includes(self, sought: Labels) -> bool:
        """Return whether a reader who looks up some labels belongs to this audience."""
        return all(labels & sought for labels in self.shown) and not any(
            labels & sought for labels in self.hidden
        )


def audiences(label_sets: Iterable[Labels]) -> Iterator[Audience]:
    """Yield the audiences of an entity that is in bundles with some sets of labels.

    Raises TooManyAudiences if there are more than MAX_LABEL_SETS.
    """
    distinct = sorted(set(label_sets), key=sorted)
    if len(distinct) > MAX_LABEL_SETS:
        raise TooManyAudiences(f"it is in bundles with {len(distinct)} different sets of readers")
    everything = frozenset(distinct)
    for count in range(1, len(distinct) + 1):
        for shown in map(frozenset, combinations(distinct, count)):
            yield Audience(shown, everything - shown)
