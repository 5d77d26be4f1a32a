"""Labels: the names under which things are indexed, so that a query finds only what its caller may read.

An index entry, event or journal has the labels of those who may read it. A query looks up the labels as which
its caller counts, and finds what has one of them: what it leaves out is never read, counted or paged over.

    readers                      labels                  found by
    none: the default            default                 who may read by default
    {public}                     default, public         everybody
    {lab-a, lab-b}               lab-a, lab-b, *         members of one of the two
    any but public               ..., *                  admins, who look up default and *
"""

from collections.abc import Iterable

from shared.access.readers import DEFAULT, PUBLIC

# Stands for all readers but the public; no group has this name.
_MANAGED = "*"


def labels_of(readers: Iterable[str]) -> frozenset[str]:
    """Return the labels of what these may read; none of them means the default."""
    names = frozenset(readers)
    if not names:
        return frozenset((DEFAULT,))
    # All who count as default may read what is public, so that the public looks up one label in any case.
    return frozenset((DEFAULT, PUBLIC)) if PUBLIC in names else names | {_MANAGED}


def labels_sought(readers: frozenset[str] | None) -> frozenset[str]:
    """Return the labels that a query looks up for somebody who counts as these; None is an admin."""
    if readers is None:
        return frozenset((DEFAULT, _MANAGED))
    names = readers - {_MANAGED}
    return names - {PUBLIC} if DEFAULT in names else names
