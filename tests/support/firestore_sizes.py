"""What documents take in Firestore: bytes, and entries of indexes; and a database that keeps what is written.

Sizes are those of https://cloud.google.com/firestore/docs/storage-size.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from shared.catalog.indexes import COMPOSITE_INDEXES, FIELD_INDEXES

# https://cloud.google.com/firestore/quotas: of a document.
MOST_BYTES = 1_048_576
MOST_ENTRIES = 40_000


def bytes_of(path: str, document: Mapping[str, Any]) -> int:
    """Return the size of a document: its name, its fields, and 32 bytes."""
    name = sum(len(part.encode()) + 1 for part in path.split("/")) + 16
    return name + _bytes_of_map(document) + 32


def _bytes_of_map(fields: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + 1 + _bytes_of(value) for name, value in fields.items())


def _bytes_of(value: Any) -> int:
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int | float | datetime):
        return 8
    if isinstance(value, str):
        return len(value.encode()) + 1
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return _bytes_of_map(value)
    return sum(map(_bytes_of, value))


def entries_of(path: str, document: Mapping[str, Any]) -> int:
    """Return how many entries a document has in all indexes of its collection."""
    collection = path.split("/")[-2]
    own = [((row.field, row.mode),) for row in FIELD_INDEXES if row.collection == collection]
    own += [row.fields for row in COMPOSITE_INDEXES if row.collection == collection]
    return sum(_entries_in(fields, document) for fields in own)


def _entries_in(fields: tuple[tuple[str, str], ...], document: Mapping[str, Any]) -> int:
    """Return the entries in an index: one for each element of a list, if all of its fields are there."""
    counts = [len(document[name]) if mode == "CONTAINS" else 1 for name, mode in fields if name in document]
    return math.prod(counts) if len(counts) == len(fields) else 0


class Recorder:
    """Takes the place of a Firestore client, and keeps the documents that are created or set, by path."""

    def __init__(self) -> None:
        self.documents: dict[str, Mapping[str, Any]] = {}

    def collection(self, path: str) -> SimpleNamespace:
        """Return a collection, of documents with collections of their own."""

        def document(name: str) -> SimpleNamespace:
            own = f"{path}/{name}"
            return SimpleNamespace(path=own, collection=lambda below: self.collection(f"{own}/{below}"))

        return SimpleNamespace(document=document)

    def batch(self) -> SimpleNamespace:
        """Return a batch that writes at once."""

        def keep(reference: Any, document: Mapping[str, Any]) -> None:
            self.documents[reference.path] = document

        def nothing(*_: Any, **__: Any) -> None:
            return

        return SimpleNamespace(create=keep, set=keep, delete=nothing, commit=nothing)
