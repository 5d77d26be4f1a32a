"""What PostgreSQL keeps of an indexed document: postings, by which clauses are looked up, and leaves.

An index over the postings (GIN over an array) answers `term`, `terms`, `match`, `exists` and `ids`. They are
hashes, as a key of GIN has 2,700 bytes at most and text of PostgreSQL no null byte.

The leaves are a JSON object of flat lists, path by path, in which `range`, `prefix` and `wildcard` look where
`shared.search.postgresql.order` says that it may be worth while.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from shared.search.analysis import scalar_tokens
from shared.search.base import IndexEntry
from shared.search.matching import leaves_of, paths_to
from shared.search.postings import FORM as _FORM_OF_POSTINGS
from shared.search.postings import Postings
from shared.search.query import Scalar

# To be raised with every change of what a row holds; that of postings raises it as well.
FORM = _FORM_OF_POSTINGS + 1

# JSONB takes neither null bytes nor halves of surrogate pairs. What stands for them keeps the order of code
# points, and no character's substitute begins with another's.
_UNFIT = re.compile("[\x00\x01\ud7ff\ud800-\udfff]")
# Beyond every other float. Python: a whole number is written in 4,300 digits at most; PostgreSQL takes more.
_INFINITE = 10**4299


def fit(text: str) -> str:
    """Return what stands for a text within JSONB: no two texts share one, and order and prefixes are kept."""
    return _UNFIT.sub(_substitute, text)


def _substitute(found: "re.Match[str]") -> str:
    code = ord(found[0])
    if code <= 1:
        return "\x01" + chr(code + 1)
    return "\ud7ff" + ("\x01" if code == 0xD7FF else chr(0xE000 + code - 0xD800))


def stored(value: Scalar) -> Scalar | None:
    """Return what stands for a value within JSONB, and compares as it does; None for what compares with none.

    A float of a whole number is written out in full: as a decimal, 1e23 would be another number.
    """
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return _INFINITE if value > 0 else -_INFINITE
        return int(value) if value.is_integer() else value
    return value


def leaves(document: Mapping[str, Any]) -> str:
    """Return the leaves of a document as a JSON object of lists, each value once."""
    found: dict[str, dict[tuple[type, Scalar], None]] = {}
    for path, value in leaves_of(document):
        fitting = stored(value)
        if fitting is not None:
            found.setdefault(fit(path), {})[type(fitting), fitting] = None
    return json.dumps({path: [value for _, value in values] for path, values in found.items()})


def postings(entry: IndexEntry) -> list[UUID]:
    """Return the postings of an entry, each once."""
    hashed = Postings(entry.replica)
    found: set[UUID] = set() if entry.dead else {hashed.of_name(str(entry.fqid))}
    paths: set[str] = set()
    for path, value in leaves_of(entry.document):
        paths.update((path, *paths_to(path)))
        found.add(hashed.of_value(path, value))
        found.update(hashed.of_token(path, token) for token in scalar_tokens(value))
    found.update(map(hashed.of_path, paths))
    return sorted(found)
