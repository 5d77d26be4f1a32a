"""Reads values out of HCA documents, whose fields changed names and forms over the years."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import Json, UnusableMetadata

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
_AGE = re.compile(rf"({_NUMBER})?\s*(-)?\s*({_NUMBER})?")
# Characters of an age: nobody needs more, and in seconds it is below NO_UPPER_LIMIT.
_MAX_AGE = 100

# A float that JSON can hold, for "at least": there is no infinity in JSON.
NO_UPPER_LIMIT = 1e308
# Of counts. Sums of nine million such numbers fit into 64 bits.
MAX_COUNT = 10**12

# Where a term of an ontology has its label: in the first of these that is present.
_LABELS = ("ontology_label", "text", "ontology")


@dataclass(frozen=True)
class Document:
    """A JSON object of a metadata file, and its path there.

    Each method reads the first of some fields that is present and not null. Raises UnusableMetadata, which
    names the file and the field, if the value is of another type.
    """

    file: str
    content: Mapping[str, Json] = field(repr=False)
    path: str = ""

    def text(self, *names: str) -> str | None:
        """Return a text."""
        name, value = self._first(names)
        return value if value is None else self._checked(name, value, str, "a text")

    def flag(self, *names: str) -> bool | None:
        """Return true or false."""
        name, value = self._first(names)
        return value if value is None else self._checked(name, value, bool, "true or false")

    def count(self, *names: str) -> int | None:
        """Return a whole number from 0 to MAX_COUNT."""
        name, value = self._first(names)
        if value is None:
            return None
        if _is_number(value) and 0 <= value <= MAX_COUNT and value == int(value):
            return int(value)
        raise self._wrong(name, value, f"a whole number from 0 to {MAX_COUNT}")

    def scalar(self, *names: str) -> str | int | float | None:
        """Return a text or a number."""
        name, value = self._first(names)
        return value if _is_number(value) else self.text(name)

    def label(self, *names: str) -> str | None:
        """Return the label of an ontology term, or a text."""
        name, value = self._first(names)
        return None if value is None else self._label(name, value)

    def labels(self, *names: str) -> list[str]:
        """Return the labels of a list of ontology terms, or of one, in order and each once; null has none."""
        name, value = self._first(names)
        if value is None:
            return []
        listed = value if isinstance(value, list) else [value]
        return distinct(
            self._label(f"{name}[{number}]", each) for number, each in enumerate(listed) if each is not None
        )

    def texts(self, *names: str) -> list[str]:
        """Return the texts of a list; null has none."""
        return [self._checked(name, each, str, "a text") for name, each in self.items(*names)]

    def objects(self, *names: str) -> list["Document"]:
        """Return the objects of a list; null has none."""
        return [self.element(name, each) for name, each in self.items(*names)]

    def items(self, *names: str) -> Iterator[tuple[str, Json]]:
        """Yield the elements of a list, each with its name; null has none."""
        name, value = self._first(names)
        listed = [] if value is None else self._checked(name, value, list, "a list")
        return ((f"{name}[{number}]", each) for number, each in enumerate(listed))

    def object(self, name: str) -> "Document":
        """Return an object, an empty one for null."""
        value = self.content.get(name)
        return self.element(name, {} if value is None else value)

    def element(self, name: str, value: Json) -> "Document":
        """Return an element of a list, or the value of a field, which must be an object."""
        return Document(self.file, self._checked(name, value, dict, "an object"), self.at(name))

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def _first(self, names: Iterable[str]) -> tuple[str, Any]:
        name = ""
        for name in names:
            if (value := self.content.get(name)) is not None:
                return name, value
        return name, None

    def _label(self, name: str, value: Any) -> str | None:
        if isinstance(value, dict):
            return self.element(name, value).text(*_LABELS)
        label: str = self._checked(name, value, str, "a text or an ontology term")
        return label

    def _checked(self, name: str, value: Any, kind: type, expected: str) -> Any:
        if isinstance(value, kind):
            return value
        raise self._wrong(name, value, expected)

    def _wrong(self, name: str, value: Any, expected: str) -> UnusableMetadata:
        return UnusableMetadata(self.file, self.at(name), f"must be {expected}, is {repr(value)[:100]}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def distinct(values: Iterable[str | None]) -> list[str]:
    """Return texts that are not empty, in order and each once."""
    return list(dict.fromkeys(value for value in values if value))


def age_range(age: str | None, unit: str | None) -> tuple[float, float] | None:
    """Return an age as a range of seconds: "38", "6-12", "-5" and "80-" have one; None if it has none."""
    seconds = _SECONDS.get(unit.removesuffix("s")) if unit else None
    match = _AGE.fullmatch(age.strip()) if age is not None and len(age) <= _MAX_AGE else None
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
