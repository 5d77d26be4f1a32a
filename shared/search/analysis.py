"""Analysis: cut text into the tokens that `match` compares, the same way in queries and in documents.

Tokens are the words of Unicode's text segmentation (UAX 29), as Elasticsearch's standard analyzer cuts them,
in folded case: `Homo sapiens` has two tokens, `don't` and `1.5` have one, `left-hand` has two.
"""

import unicodedata
from collections.abc import Iterator

import regex

# A word begins with a letter, digit or underscore and ends at the next boundary of UAX 29.
_WORD = regex.compile(r"\w(?:\B.)*", regex.WORD | regex.DOTALL)
# Elasticsearch: its standard analyzer cuts longer words into pieces of this many characters.
_LONGEST = 255


def tokens(text: str) -> list[str]:
    """Return the tokens of a text, in order, with repetitions."""
    return [*_iter_tokens(text)]


def scalar_tokens(value: str | int | float | bool) -> list[str]:
    """Return the tokens of a scalar value: those of a text; a number or boolean is one token, as in JSON."""
    return [*iter_scalar_tokens(value)]


def iter_scalar_tokens(value: str | int | float | bool) -> Iterator[str]:
    """Yield the tokens of a scalar value; all of them at once can take many times the memory of a text."""
    return _iter_tokens(value) if isinstance(value, str) else iter((scalar_text(value),))


def most_tokens(value: str | int | float | bool) -> int:
    """Return a number that the tokens of a scalar value never exceed, without looking for them."""
    if not isinstance(value, str):
        return 1
    if value.isascii():
        # Between two words is a character of none.
        return (len(value) + 1) // 2
    return len(_folded(value))


def _iter_tokens(text: str) -> Iterator[str]:
    for match in _WORD.finditer(_folded(text)):
        word = match[0]
        yield from (word[start : start + _LONGEST] for start in range(0, len(word), _LONGEST))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def scalar_text(value: str | int | float | bool) -> str:
    """Return the same text for equal values: `1`, `1.0` and `"1"` differ in type only."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
