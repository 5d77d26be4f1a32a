"""Range terms: hex words by which PostgreSQL looks up values between bounds, and text by its prefix.

The range term of a value has three parts: ten hex digits of its path's hash, `n` or `t` for number or text,
and hex digits that sort as the values do. A number has the bits of its float (sixteen digits), a text its
first twenty bytes of UTF-8:

    {"age": 60}    ->  <hash of age>nc04e000000000000
    {"age": 61}    ->  <hash of age>nc04e800000000000
    {"name": "b"}  ->  <hash of name>t62

The terms of an entry are a tsvector under a GIN index, which looks up words by prefix. A range becomes the
prefixes that cover it, digit by digit. From "a3" (6133) to "b" (62):

    614:* … 61f:*      begins with 61, then a higher third digit than 6133
    6134:* … 613f:*    begins with 613, then a higher fourth digit
    6133:*             the lower bound and what it begins
    62:*               the upper bound and what it begins

What a query looks up so includes all hits and perhaps more: digits are cut off at the end, so that "a3" and
"a3x", or "b" and "bc", answer alike. So the query compares the values themselves as well.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from shared.search.base import IndexEntry
from shared.search.matching import scalars_of
from shared.search.postgresql.rows import as_jsonb
from shared.search.postings import Postings, truncate
from shared.search.query import Scalar

# PostgreSQL: the words of a tsvector take at most 1 MiB; ours have up to 51 bytes each.
MOST_RANGE_TERMS = 16_000
# Of a text; dates differ within them.
_BYTES = 20
# Digits of a bound behind those that both bounds share. Each digit adds up to fifteen prefixes to the query.
_DIGITS, _DIGITS_OF_TWO = 20, 10
_NUMBER, _TEXT, _OVERFLOW = "n", "t", "g"
_HEX = "0123456789abcdef"
_SIGN = 1 << 63


def range_terms_of(entry: IndexEntry) -> str:
    """Return the range terms of an entry as a tsvector, MOST_RANGE_TERMS at most.

    Paths with the most values lose theirs first and get an overflow marker instead.
    """
    hashed = Postings(entry.replica)
    at_path: dict[str, set[str]] = {}
    for path, value in scalars_of(entry.document):
        stored = as_jsonb(value)
        if stored is not None and not isinstance(stored, bool):
            at_path.setdefault(path, set()).add(_sortable(stored))
    if truncate(at_path, MOST_RANGE_TERMS, lambda _: _OVERFLOW) > MOST_RANGE_TERMS:
        return _path_digits(hashed, "") + _OVERFLOW
    digits = {path: _path_digits(hashed, path) for path in at_path}
    return " ".join(f"{digits[path]}{term}" for path, terms in at_path.items() for term in terms)


def terms_between(hashed: Postings, path: str, bounds: Mapping[str, Scalar | None]) -> str:
    """Return the tsquery for values at a path between bounds; empty if no value can be between them.

    There is at least one bound, and all are of one type, as `as_jsonb` returns them.
    """
    places = {name: _sortable(bound) for name, bound in bounds.items()}
    kind = next(iter(places.values()))[0]
    low = max((places[name][1:] for name in ("gt", "gte") if name in places), default="")
    high = min((places[name][1:] for name in ("lt", "lte") if name in places), default=None)
    return _tsquery(hashed, path, [f"{kind}{prefix}" for prefix in _covering(low, high)])


def terms_beginning(hashed: Postings, path: str, begin: str) -> str:
    """Return the tsquery for text at a path with a prefix, which `as_jsonb` has returned."""
    return _tsquery(hashed, path, [f"{_sortable(begin)}:*"])


def _tsquery(hashed: Postings, path: str, terms: list[str]) -> str:
    if not terms:
        return ""
    of_path = _path_digits(hashed, path)
    markers = [f"{of_path}{_OVERFLOW}", _path_digits(hashed, "") + _OVERFLOW]
    return " | ".join([*(of_path + term for term in terms), *markers])


def _path_digits(hashed: Postings, path: str) -> str:
    # If two paths share them, the query compares more values, and finds the same.
    return hashed.of_path(path).hex()[:10]


def _sortable(value: Any) -> str:
    """Return the letter and the digits of a value; digits sort as values do, though two may share theirs."""
    if isinstance(value, str):
        return _TEXT + value[:_BYTES].encode()[:_BYTES].hex()
    try:
        number = float(value)
    except OverflowError:
        number = float("inf") if value > 0 else -float("inf")
    # IEEE 754: the bits sort as unsigned integers do, but those of negative numbers the other way round. So
    # the sign bit of positive numbers is set, and all bits of negative ones are inverted. -0.0 becomes 0.0.
    [bits] = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return f"{_NUMBER}{bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN:016x}"


def _covering(low: str, high: str | None) -> Iterator[str]:
    """Yield words, and prefixes with `:*`, that cover all digits from `low` to `high`; None is no end.

    They may cover words beyond both ends as well.
    """
    if high is None:
        yield from _above(low[:_DIGITS], 0)
        return
    if low > high:
        return
    # `shared` digits are the same: between 6133 and 62 one, the 6.
    shared = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    digits = _DIGITS_OF_TWO if low else _DIGITS
    low, high = low[: shared + digits], high[: shared + digits]
    if low == high:
        yield f"{low}:*"
        return
    begin = low[:shared]
    # Between the bounds: shared digits, then one between theirs.
    first = int(low[shared], 16) + 1 if low[shared:] else 0
    yield from (f"{begin}{digit}:*" for digit in _HEX[first : int(high[shared], 16)])
    # From the lower bound up; if it ends here, it is a word itself.
    yield from _above(low, shared + 1) if low[shared:] else [begin]
    # Up to the upper bound: words that end within it, and those with a lower digit somewhere.
    for place in range(shared + 1, len(high)):
        yield high[:place]
        yield from (f"{high[:place]}{digit}:*" for digit in _HEX[: int(high[place], 16)])
    yield f"{high}:*"


def _above(low: str, start: int) -> Iterator[str]:
    """Yield prefixes of all words from `low` on that share its first `start` digits."""
    for place in range(start, len(low)):
        yield from (f"{low[:place]}{digit}:*" for digit in _HEX[int(low[place], 16) + 1 :])
    yield f"{low}:*"
