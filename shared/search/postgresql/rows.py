"""What a row of PostgreSQL holds of an indexed document: its postings and its scalar values.

A GIN index over the array of postings serves `term`, `terms`, `match`, `exists` and `ids`. Postings are
hashes, since a key of GIN has at most 2,700 bytes, and text of PostgreSQL no null byte.

The scalar values are a JSON object of flat lists, path by path. `range`, `prefix` and `wildcard` compare them
in the rows that `shared.search.postgresql.range_terms` leads to.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from shared.search.analysis import iter_scalar_tokens
from shared.search.base import IndexEntry
from shared.search.matching import paths_to, scalars_of
from shared.search.postings import FORM as _FORM_OF_POSTINGS
from shared.search.postings import Postings
from shared.search.query import Scalar

# Raise it with every change of what a row holds; a change of postings raises it as well.
FORM = _FORM_OF_POSTINGS + 1

# JSONB takes neither null bytes nor halves of surrogate pairs. Their escapes sort as the characters do, and
# no escape is the beginning of another.
_ESCAPED = re.compile("[\x00\x01\ud7ff\ud800-\udfff]")
# Greater than every float. Python writes integers of at most 4,300 digits; PostgreSQL takes more.
_INFINITE = 10**4299


def escape(text: str) -> str:
    """Return a text that JSONB takes: different for different texts, with the same order and prefixes."""
    return _ESCAPED.sub(_escape, text)


def _escape(character: "re.Match[str]") -> str:
    code = ord(character[0])
    if code <= 1:
        return "\x01" + chr(code + 1)
    return "\ud7ff" + ("\x01" if code == 0xD7FF else chr(0xE000 + code - 0xD800))


def as_jsonb(value: Scalar) -> Scalar | None:
    """Return a value that JSONB takes and compares like this one; None for NaN, which compares with nothing.

    A whole float becomes an integer: PostgreSQL reads 1e23 as a decimal, which is another number.
    """
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return _INFINITE if value > 0 else -_INFINITE
        return int(value) if value.is_integer() else value
    return value


def scalars(document: Mapping[str, Any]) -> str:
    """Return the scalar values of a document as a JSON object of a list for each path, each value once."""
    at_path: dict[str, dict[tuple[type, Scalar], None]] = {}
    for path, value in scalars_of(document):
        stored = as_jsonb(value)
        if stored is not None:
            at_path.setdefault(escape(path), {})[type(stored), stored] = None
    return json.dumps({path: [value for _, value in values] for path, values in at_path.items()})


def postings(entry: IndexEntry) -> str:
    """Return the postings of an entry, as `uuids` does, sorted, each once."""
    hashed = Postings(entry.replica)
    of_entry: set[bytes] = set() if entry.dead else {hashed.of_name(str(entry.fqid))}
    paths: set[str] = set()
    for path, value in scalars_of(entry.document):
        paths.update((path, *paths_to(path)))
        of_entry.add(hashed.of_value(path, value))
        of_entry.update(hashed.of_tokens(path, iter_scalar_tokens(value)))
    of_entry.update(map(hashed.of_path, paths))
    return uuids(sorted(of_entry))


def uuids(postings: Iterable[bytes]) -> str:
    """Return postings as the text of a `uuid[]`; a type of 16 bytes takes the least room in indexes.

    Psycopg would make the same text of a list, at some microseconds for each of a thousand postings.
    """
    return f"{{{','.join(posting.hex() for posting in postings)}}}"
