"""`minimum_should_match`, as Elasticsearch reads it: how many of so many clauses have to match."""

import re

_FORM = re.compile(r"([-+]?)([0-9]{1,9})(%?)")


def least_of(value: object, count: int) -> int:
    """Return how many of `count` clauses must match: never less than 0, and perhaps more than there are.

    The value is a number, a negative number (so many may fail), a share as `75%` or `-25%` (rounded down), or
    conditions on the count such as `2<75% 9<-3`. Raises ValueError, saying what it should be, for all else.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a number, a share such as 75%, or conditions such as 3<90%")
    least = count
    text = str(value)
    if "<" not in text:
        return max(_plain(text.strip(), count), 0)
    for condition in re.sub(r"\s*<\s*", "<", text).split():
        above, _, then = condition.partition("<")
        if count <= _number(above):
            break
        least = _plain(then, count)
    return max(least, 0)


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"{text[:20]!r} is not a number of clauses")
    return int(text)


def _plain(text: str, count: int) -> int:
    found = _FORM.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:20]!r} is neither a number nor a share such as 75%")
    number = int(found[2]) * count // 100 if found[3] else int(found[2])
    return count - number if found[1] == "-" else number
