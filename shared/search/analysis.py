"""Analysis: cut text into the tokens that `match` compares, the same way in queries and in documents.

Tokens are the words of Unicode's text segmentation (UAX 29), as Elasticsearch's standard analyzer cuts them,
in folded case: `Homo sapiens` has two tokens, `don't` and `1.5` have one, `left-hand` has two.
"""

import unicodedata

import regex

# A word begins with a letter, digit or underscore and ends at the next boundary of UAX 29.
_WORD = regex.compile(r"\w(?:\B.)*", regex.WORD | regex.DOTALL)
# Elasticsearch: its standard analyzer cuts longer words into pieces of this many characters.
_LONGEST = 255


def tokens(text: str) -> list[str]:
    """Return the tokens of a text, in order, with repetitions."""
    pieces = []
    for word in _WORD.findall(unicodedata.normalize("NFC", text).casefold()):
        pieces += [word[start : start + _LONGEST] for start in range(0, len(word), _LONGEST)]
    return pieces


def scalar_tokens(value: str | int | float | bool) -> list[str]:
    """Return the tokens of a scalar value: those of a text; a number or boolean is one token, as in JSON."""
    return tokens(value) if isinstance(value, str) else [scalar_text(value)]


def scalar_text(value: str | int | float | bool) -> str:
    """Return the same text for equal values: `1`, `1.0` and `"1"` differ in type only."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
