"""`minimum_should_match`, as Elasticsearch reads it: the number of clauses that must match."""

import re

_FORM = re.compile(r"([-+]?)([0-9]{1,9})(%?)")


def least_of(value: object, count: int) -> int:
    """Return how many of `count` clauses must match: at least 0, and possibly more than `count`.

    The value is a number, a negative number (so many may fail), a share such as `75%` or `-25%` (rounded
    down), or conditions on the count such as `2<75% 9<-3`. Raises ValueError, with the reason, for others.
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
    parts = _FORM.fullmatch(text)
    if not parts:
        raise ValueError(f"{text[:20]!r} is neither a number nor a share such as 75%")
    number = int(parts[2]) * count // 100 if parts[3] else int(parts[2])
    return count - number if parts[1] == "-" else number
