"""Analysed text: the tokens that `match` compares, of what is asked and of what is indexed alike.

They are the words of Unicode's text segmentation (UAX 29), as Elasticsearch's standard analyzer cuts them,
in folded case: `Homo sapiens` has two tokens, `don't` and `1.5` have one, `left-hand` has two.
"""

import unicodedata

import regex

# A word goes on from a letter, digit or underscore for as long as UAX 29 has no boundary.
_WORD = regex.compile(r"\w(?:\B.)*", regex.WORD | regex.DOTALL)
# Elasticsearch: its standard analyzer cuts longer words into pieces of this many characters.
_LONGEST = 255


def tokens(text: str) -> list[str]:
    """Return the tokens of a text, in their order and as often as they occur."""
    found = []
    for word in _WORD.findall(unicodedata.normalize("NFC", text).casefold()):
        found += [word[start : start + _LONGEST] for start in range(0, len(word), _LONGEST)]
    return found


def scalar_tokens(value: str | int | float | bool) -> list[str]:
    """Return the tokens of a value: those of a text, or the one that JSON writes for any other."""
    return tokens(value) if isinstance(value, str) else [scalar_text(value)]


def scalar_text(value: str | int | float | bool) -> str:
    """Return one text for all values that are equal: `1`, `1.0` and `"1"` are told apart by kind alone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
