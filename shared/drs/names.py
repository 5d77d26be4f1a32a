"""Names as DRS allows them: letters, digits, hyphen, period and underscore, unique within a bundle.

A bundle is flat: a file `a/b` is `a_b` in it. As a nested bundle `a` would have to have an id of its own,
which DRS requires of every direct item, and clients would ask for each directory.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

_ILLEGAL = re.compile(r"[^A-Za-z0-9._-]")
# Hex digits in front of names that would be equal: enough for two of a bundle to differ.
_DIGITS = 16


def legal_names(names: Sequence[str]) -> list[str]:
    """Return a legal name for each of these names, which differ, in their order.

    Each other character becomes `_`. A name that is legal already never changes; one that would become equal
    to another gets a digest of it in front.
    """
    replaced = [_ILLEGAL.sub("_", name) for name in names]
    counted = Counter(replaced)
    taken = set(replaced)
    return [
        new if counted[new] == 1 or new == old else _distinct(old, new, taken)
        for old, new in zip(names, replaced, strict=True)
    ]


def _distinct(old: str, new: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    digest = hashlib.sha256(old.encode()).hexdigest()[:_DIGITS]
    # Once, unless somebody has given such a name to another file.
    while new in taken:
        new = f"{digest}-{new}"
    taken.add(new)
    return new
