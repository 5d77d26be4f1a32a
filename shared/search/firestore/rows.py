"""How Firestore holds an index entry: a row with its postings and its document, compressed.

A row is one document of Firestore, so that a write is all or nothing. A document that is too large for its
row is in pieces beside it, named by the document's digest and written before the row.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.access import labels_of
from shared.identifiers import Fqid
from shared.search.analysis import iter_scalar_tokens
from shared.search.base import IndexEntry
from shared.search.documents import digest_of
from shared.search.matching import paths_to, scalars_of
from shared.search.postings import FORM, Postings, labelled, truncate

# Firestore: a document has at most 40,000 index entries, and 8 MiB of them; an entry of ours has up to 260
# bytes, including the names of row and bundle.
MOST_POSTINGS = 20_000
# Firestore: a document is at most 1 MiB. The postings of a row take 320,000 bytes of it.
MOST_INLINE_BYTES = 512 * 1024
PIECE_BYTES = 900 * 1024


@dataclass(frozen=True, kw_only=True)
class Row:
    """An entry to write: the fields of its row, and the pieces beside it."""

    name: str
    digest: str
    fields: Mapping[str, Any]
    pieces: Sequence[bytes]


def row_of(entry: IndexEntry) -> Row:
    """Return the row of an entry."""
    digest = digest_of(entry.document)
    encoded = json.dumps(entry.document, separators=(",", ":")).encode()
    data = zlib.compress(encoded)
    inline = len(data) <= MOST_INLINE_BYTES
    pieces = [] if inline else [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
    fields = {
        "fqid": str(entry.fqid),
        **fields_of_readers(entry),
        "dead": entry.dead,
        "digest": digest,
        "form": FORM,
        "size": len(encoded),
        "data": data if inline else b"",
        "pieces": len(pieces),
    }
    return Row(name=row_name(entry.replica, entry.fqid), digest=digest, fields=fields, pieces=pieces)


def fields_of_readers(entry: IndexEntry) -> dict[str, Any]:
    """Return the fields of an entry's row that change with its readers."""
    postings, partial = postings_of(entry)
    return {"labels": sorted(labels_of(entry.readers)), "postings": postings, "partial": partial}


def row_name(replica: str, fqid: Fqid) -> str:
    """Return the name of an entry's row; the rows of a replica sort by FQID."""
    return f"{replica}.{fqid}"


def piece_name(row: str, digest: str, number: int) -> str:
    """Return the name of a piece of a row's document."""
    return f"{row}.{digest}.{number:03d}"


def postings_of(entry: IndexEntry) -> tuple[list[bytes], bool]:
    """Return the postings of an entry, MOST_POSTINGS at most, and whether overflow markers stand for some.

    Each is there once for each label. Paths with the most values lose theirs first: few people ask for one of
    so many.
    """
    labels = labels_of(entry.readers)
    most = MOST_POSTINGS // len(labels)
    hashed = Postings(entry.replica)
    of_entry = set() if entry.dead else {hashed.of_living(), hashed.of_name(entry.fqid)}
    at_path: dict[str, set[Any]] = {}
    for path, value in scalars_of(entry.document):
        of_path = at_path.setdefault(path, set())
        of_path.add(hashed.of_value(path, value))
        of_path.update(hashed.of_tokens(path, iter_scalar_tokens(value)))
    of_paths = set(map(hashed.of_path, {known for path in at_path for known in paths_to(path)}))
    room = most - len(of_entry) - len(of_paths)
    partial = sum(map(len, at_path.values())) > room
    truncate(at_path, room, hashed.of_overflow)
    postings = of_entry.union(of_paths, *at_path.values())
    if len(postings) > most:
        # Too many paths: one marker stands for all of them.
        postings = of_entry | {hashed.of_overflow()}
    return sorted(labelled(postings, labels)), partial
