"""Reads the values of facets out of a bundle's JSON files, of any form."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from shared.explore.bundle_metadata import BundleMetadata, Json
from shared.explore.dates import in_utc
from shared.explore.fields import FieldType
from shared.explore.generic.configuration import Facet, Path

# Of one bundle. All this is in the document of each of its files, and a bundle may have 10,000.
MOST_VALUES = 100
MOST_CHARACTERS = 1_000
MOST_TEXT = 20_000


@dataclass
class BundleValues:
    """What a bundle's JSON files say: the values of each facet, each once, and texts to be found by words.

    `incomplete` are the facets of which values are left out or cut: there are too many, they are too long, or
    the content of a file can't be had.
    """

    facets: dict[str, list[Json]] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def read_values(bundle: BundleMetadata, facets: Sequence[Facet], words: Sequence[Path]) -> BundleValues:
    """Return the values in a bundle's metadata files. What has another type than a facet is left out."""
    documents = bundle.indexed
    found = BundleValues()
    budget = MOST_TEXT
    for facet in facets:
        listed = _Distinct(budget)
        for name, document in documents.items():
            if fnmatchcase(name, facet.file):
                for value in values_at(document, facet.path):
                    listed.add(converted(facet.type, value))
        budget = listed.budget
        found.facets[facet.name] = listed.values
        if listed.is_cut or any(fnmatchcase(name, facet.file) for name in bundle.left_out):
            found.incomplete.append(facet.name)
    texts = _Distinct(MOST_TEXT, longest=MOST_TEXT)
    for path in words:
        for document in documents.values():
            for value in values_at(document, path):
                texts.add(converted(FieldType.TEXT, value))
    found.words = texts.values
    return found


def values_at(document: Json, path: Path) -> Iterator[Json]:
    """Yield what is at a path, in order; of lists on the way, and at the end, each element."""
    # A list in place of recursion: documents may be nested deeper than Python's stack.
    pending = [(document, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, list):
            pending += [(each, depth) for each in reversed(value)]
        elif depth == len(path):
            yield value
        elif isinstance(value, dict) and path[depth] in value:
            pending.append((value[path[depth]], depth + 1))


def converted(kind: FieldType, value: Json) -> Json:
    """Return a value as one of a type; None if it is none. Numbers and truth values are texts, too."""
    if kind is FieldType.FLAG:
        return value if isinstance(value, bool) else None
    if kind is FieldType.NUMBER:
        return value if _is_number(value) else None
    if kind is FieldType.DATE:
        return _date(value)
    if isinstance(value, bool) or _is_number(value):
        return json.dumps(value)
    return clean(value) or None if isinstance(value, str) else None


def clean(text: str) -> str:
    """Return a text as a database can hold it: without null characters and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _is_number(value: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _date(value: Json) -> str | None:
    """Return a date, or a date and time, in the form of filters; UTC unless it has a time zone."""
    try:
        return in_utc(datetime.fromisoformat(value))
    except (TypeError, ValueError, OverflowError):
        return None


class _Distinct:
    """Values in order and each once, as many as a budget of characters allows."""

    def __init__(self, budget: int, longest: int = MOST_CHARACTERS) -> None:
        self._known: dict[Json, None] = {}
        self._longest = longest
        self.budget = budget
        self.is_cut = False

    @property
    def values(self) -> list[Json]:
        return list(self._known)

    def add(self, value: Json) -> None:
        if isinstance(value, str) and len(value) > self._longest:
            value, self.is_cut = value[: self._longest], True
        if value is None or value in self._known:
            return
        size = len(str(value))
        if len(self._known) >= MOST_VALUES or size > self.budget:
            self.is_cut = True
            return
        self._known[value] = None
        self.budget -= size
