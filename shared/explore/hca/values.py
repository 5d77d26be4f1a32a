"""Reads values out of HCA documents, whose fields changed names and forms over the years."""

import re
from collections.abc import Callable, Iterable, Mapping

from shared.explore.bundle_metadata import Json

Document = Mapping[str, Json]

# Seconds; a year has 365 days, as in the predecessor's index, so that filters find the same.
_YEAR = 31_536_000.0
_SECONDS = {
    "year": _YEAR,
    "month": _YEAR / 12,
    "week": 604_800.0,
    "day": 86_400.0,
    "hour": 3_600.0,
    "minute": 60.0,
    "second": 1.0,
}
_NUMBER = r"\d+(?:\.\d+)?"
_AGE = re.compile(rf"\s*({_NUMBER})?\s*(-)?\s*({_NUMBER})?\s*")

# A float that JSON can hold, for "at least": there is no infinity in JSON.
NO_UPPER_LIMIT = 1e308


def first(document: Document, *names: str) -> Json:
    """Return the value of the first of some fields that is present and not null, else None."""
    for name in names:
        value = document.get(name)
        if value is not None:
            return value
    return None


def label(value: Json) -> Json:
    """Return the label of an ontology term: its label, text or id, whichever comes first; else the value."""
    if isinstance(value, dict):
        return first(value, "ontology_label", "text", "ontology")
    return value


def labels(values: Json) -> list[Json]:
    """Return the labels of a list of ontology terms, or of one term, in order and each once; null has
    none."""
    if values is None:
        return []
    listed = values if isinstance(values, list) else [values]
    return distinct(label(value) for value in listed)


def distinct(values: Iterable[Json]) -> list[Json]:
    """Return values that are not empty, in order and each once."""
    return list(dict.fromkeys(value for value in values if value))


def field_label(*names: str) -> Callable[[Document], Json]:
    """Return a reader of the label of the first field that is present."""
    return lambda document: label(first(document, *names))


def field_labels(*names: str) -> Callable[[Document], list[Json]]:
    """Return a reader of the labels of the first list that is present."""
    return lambda document: labels(first(document, *names))


def age_range(age: Json, unit: Json) -> tuple[float, float] | None:
    """Return an age as a range of seconds: "38", "6-12", "-5" and "80-" have one; None if it has none."""
    seconds = _SECONDS.get(str(unit).removesuffix("s")) if unit else None
    match = _AGE.fullmatch(str(age)) if age is not None else None
    if seconds is None or match is None:
        return None
    low, dash, high = match.groups()
    if (low is None and high is None) or (high is not None and not dash):
        return None
    minimum = float(low) * seconds if low else 0.0
    if not dash:
        return minimum, minimum
    maximum = float(high) * seconds if high else NO_UPPER_LIMIT
    return (minimum, maximum) if minimum <= maximum else None
