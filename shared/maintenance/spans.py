"""Split a section of a bucket by key range, so that several processes work on it side by side.

Names after a folder begin with hexadecimal digits of a UUID or of a SHA-256, which are spread evenly. What
begins otherwise is in the span where it sorts: together the spans hold every key, each in one span.
"""

from dataclasses import dataclass

# Four digits: a span holds at least one of these 65,536 beginnings.
MOST_SPANS = 256
_DIGITS = 4


@dataclass(frozen=True)
class Span:
    """The names after `after` up to `until`, which counts; an empty one is no bound."""

    after: str = ""
    until: str = ""

    def keys(self, folder: str) -> "Span":
        """Return the span of the keys of these names in a folder, as `files/`."""
        return Span(
            after=f"{folder}{self.after}" if self.after else "",
            until=f"{folder}{self.until}" if self.until else "",
        )


def spans(count: int) -> list[Span]:
    """Return so many spans of equal width, in order. Raises ValueError for none, or too many."""
    if not 1 <= count <= MOST_SPANS:
        raise ValueError(f"{count} spans: between 1 and {MOST_SPANS}")
    ends = [f"{number * 16**_DIGITS // count:0{_DIGITS}x}" for number in range(1, count)]
    return [Span(after, until) for after, until in zip(["", *ends], [*ends, ""], strict=True)]
