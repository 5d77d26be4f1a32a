"""Labels: the names under which an entry is indexed, so that a search finds only what its caller may read.

An entry has the labels of those who may read its document. A search looks up the labels as which its caller
counts, and finds the entries that have one of them: what it leaves out is never read, counted or paged over.

    readers of the document      labels of the entry     found by
    none: the default            default                 who may read by default
    {public}                     default, public         everybody
    {lab-a, lab-b}               lab-a, lab-b, *         members of one of the two
    any but public               ..., *                  admins, who look up default and *
"""

from collections.abc import Iterable

from shared.access import DEFAULT, PUBLIC

# Stands for all readers but the public; no group has this name.
_MANAGED = "*"


def labels_of(readers: Iterable[str]) -> frozenset[str]:
    """Return the labels of an entry whose document these may read; none of them means the default."""
    names = frozenset(readers)
    if not names:
        return frozenset((DEFAULT,))
    # Whoever counts as default may read what is public, so that the public looks up one label in any case.
    return frozenset((DEFAULT, PUBLIC)) if PUBLIC in names else names | {_MANAGED}


def labels_sought(readers: frozenset[str] | None) -> frozenset[str]:
    """Return the labels that a search looks up for somebody who counts as these; None is an admin."""
    if readers is None:
        return frozenset((DEFAULT, _MANAGED))
    names = readers - {_MANAGED}
    return names - {PUBLIC} if DEFAULT in names else names
