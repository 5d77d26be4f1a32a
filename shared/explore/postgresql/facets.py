"""The counts of a facet, of the numbers of documents that have each of its terms."""

from collections.abc import Iterable

from shared.explore.bundle_metadata import Json
from shared.explore.fields import Field
from shared.explore.query import FacetCounts
from shared.explore.rows import is_missing, term_value


def facet_counts(facet: Field, counted: Iterable[tuple[str, int]], total: int) -> FacetCounts:
    """Return the counts of a facet's terms, the most frequent first; of equal ones by their text.

    What lacks the field counts as null, and comes last if no document has null.
    """
    terms = dict(counted)
    if facet.counted_by:
        return _nested_counts(facet, terms)
    missing = sum(count for key, count in terms.items() if is_missing(key))
    present = {key: count for key, count in terms.items() if not is_missing(key)}
    listed = sorted(present.items(), key=lambda item: (-item[1], term_text(term_value(item[0]))))
    answer = [(term_value(key), count + (missing if key == "null" else 0)) for key, count in listed]
    if missing and "null" not in present:
        answer.append((None, missing))
    return FacetCounts(answer, total if present else 0, len(present))


def term_text(value: Json) -> str:
    """Return the text by which equally frequent terms are ordered; null comes last."""
    if isinstance(value, dict):
        return " ".join(str(value[name]) for name in sorted(value, reverse=True))
    return "~null" if value is None else str(value)


def _nested_counts(facet: Field, terms: dict[str, int]) -> FacetCounts:
    """Count objects rather than documents, by one of their properties."""
    counts: dict[str, int] = {}
    for key, count in terms.items():
        value = term_value(key)
        if value is not None:
            counts[value[facet.counted_by]] = counts.get(value[facet.counted_by], 0) + count
    listed = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return FacetCounts(listed, sum(counts.values()), len(counts))
