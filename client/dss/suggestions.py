"""Names that are like one that does not exist."""

import difflib
from collections.abc import Iterable
from itertools import islice

_MOST_NAMES = 10_000
_SUGGESTIONS = 3


def names_like(wanted: str, names: Iterable[str]) -> list[str]:
    """Return at most three of the names, the most similar first: no case, no directories, no wildcards.

    Looks at the first 10,000 names only.
    """
    by_key: dict[str, list[str]] = {}
    for name in islice(names, _MOST_NAMES):
        for key in {_key(name), _key(_last_step(name))}:
            by_key.setdefault(key, []).append(name)
    texts = [_key(wanted), _key(_last_step(wanted))]
    keys = [text for text in texts if text in by_key]
    keys = keys or [key for text in texts for key in difflib.get_close_matches(text, by_key, n=_SUGGESTIONS)]
    return list(dict.fromkeys(name for key in keys for name in by_key[key]))[:_SUGGESTIONS]


def suggestion(wanted: str, names: Iterable[str]) -> str:
    """Return what to add to an error about a name: the names that are like it, or nothing."""
    like = names_like(wanted, names)
    return f"; did you mean {' or '.join(map(repr, like))}?" if like else ""


def _key(name: str) -> str:
    return name.strip("*?").lower()


def _last_step(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
