"""Values in order: words by which PostgreSQL finds values between bounds, and text by what it begins with.

A word is the hash of a path, the kind of a value, and the first of hex digits that are in order as the values
are. An index (GIN over a tsvector) finds words by what they begin with; what is between bounds begins in one
of some ways. Words lead to all that a clause finds, and to more, where digits are left out: who asks for them
looks at the leaves as well.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from shared.search.base import IndexEntry
from shared.search.matching import leaves_of
from shared.search.postgresql.rows import stored
from shared.search.postings import Postings, thinned
from shared.search.query import Scalar

# PostgreSQL: the words of a tsvector take 1 MiB at most; ours have up to 51 bytes each.
MOST_WORDS = 16_000
# Of a text; dates differ within them.
_BYTES = 20
# Digits of a bound that are asked for behind those that both bounds share, fifteen ways to begin for each.
_DIGITS, _DIGITS_OF_TWO = 20, 10
_NUMBER, _TEXT, _GAP = "n", "t", "g"
_HEX = "0123456789abcdef"
_SIGN = 1 << 63


def words_of(entry: IndexEntry) -> str:
    """Return the words of an entry, as PostgreSQL reads them.

    The paths with the most values lose theirs first, and have one that stands for all of them.
    """
    hashed = Postings(entry.replica)
    at_path: dict[str, set[str]] = {}
    for path, value in leaves_of(entry.document):
        fitting = stored(value)
        if fitting is not None and not isinstance(fitting, bool):
            at_path.setdefault(path, set()).add(_in_order(fitting))
    if thinned(at_path, MOST_WORDS, lambda _: _GAP) > MOST_WORDS:
        return _of_path(hashed, "") + _GAP
    return " ".join(f"{_of_path(hashed, path)}{word}" for path, words in at_path.items() for word in words)


def asked_between(hashed: Postings, path: str, bounds: Mapping[str, Scalar | None]) -> str:
    """Return what a tsquery asks for values at a path between bounds, one at least, of one kind and `stored`.

    It is empty where nothing can be between them.
    """
    places = {name: _in_order(bound) for name, bound in bounds.items()}
    kind = next(iter(places.values()))[0]
    low = max((places[name][1:] for name in ("gt", "gte") if name in places), default="")
    high = min((places[name][1:] for name in ("lt", "lte") if name in places), default=None)
    return _asked(hashed, path, [f"{kind}{word}" for word in _covering(low, high)])


def asked_beginning(hashed: Postings, path: str, begin: str) -> str:
    """Return what a tsquery asks for text at a path that begins so; `begin` is `stored`."""
    return _asked(hashed, path, [f"{_in_order(begin)}:*"])


def _asked(hashed: Postings, path: str, words: list[str]) -> str:
    if not words:
        return ""
    of_path = _of_path(hashed, path)
    gaps = [f"{of_path}{_GAP}", _of_path(hashed, "") + _GAP]
    return " | ".join([*(of_path + word for word in words), *gaps])


def _of_path(hashed: Postings, path: str) -> str:
    # Where two paths share one, more is looked at.
    return hashed.of_path(path).hex[:10]


def _in_order(value: Any) -> str:
    """Return kind and digits of a `stored` value: in the order of the values, though two may share them."""
    if isinstance(value, str):
        return _TEXT + value[:_BYTES].encode()[:_BYTES].hex()
    try:
        number = float(value)
    except OverflowError:
        number = float("inf") if value > 0 else -float("inf")
    # IEEE 754: in order as whole numbers are, the negative ones backwards. 0.0 is -0.0.
    [bits] = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return f"{_NUMBER}{bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN:016x}"


def _covering(low: str, high: str | None) -> Iterator[str]:
    """Yield words, or beginnings of words with `:*` behind, that cover all digits from `low` to `high`.

    Without an end, `high` is None. Words behind the one or before the other may be covered, too.
    """
    if high is None:
        yield from _from(low[:_DIGITS], 0)
        return
    if low > high:
        return
    at = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    digits = _DIGITS_OF_TWO if low else _DIGITS
    low, high = low[: at + digits], high[: at + digits]
    if low == high:
        yield f"{low}:*"
        return
    begin = low[:at]
    first = int(low[at], 16) + 1 if low[at:] else 0
    yield from (f"{begin}{digit}:*" for digit in _HEX[first : int(high[at], 16)])
    yield from _from(low, at + 1) if low[at:] else [begin]
    for place in range(at + 1, len(high)):
        yield high[:place]
        yield from (f"{high[:place]}{digit}:*" for digit in _HEX[: int(high[place], 16)])
    yield f"{high}:*"


def _from(low: str, at: int) -> Iterator[str]:
    """Yield beginnings of all words from `low` on that share its first digits, up to `at`."""
    for place in range(at, len(low)):
        yield from (f"{low[:place]}{digit}:*" for digit in _HEX[int(low[place], 16) + 1 :])
    yield f"{low}:*"
