"""How Firestore keeps an indexed document: a row with its postings, and the document itself, compressed.

A row is one document of Firestore, so that it is written whole or not at all. What is too large for it is
kept in pieces beside it, which are named by the document's digest and written first.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.identifiers import Fqid
from shared.search.analysis import scalar_tokens
from shared.search.base import IndexEntry
from shared.search.documents import digest_of
from shared.search.matching import leaves_of, paths_to
from shared.search.postings import FORM, Postings, thinned

# Firestore: a document has 40,000 index entries at most, and 8 MiB of them; an entry of ours has up to 260
# bytes, with the names of the row and its bundle.
MOST_POSTINGS = 20_000
# Firestore: a document is at most 1 MiB. The postings of a row take 320,000 bytes of it.
MOST_INLINE_BYTES = 512 * 1024
PIECE_BYTES = 900 * 1024


@dataclass(frozen=True, kw_only=True)
class Row:
    """An entry as it is written: the fields of its row, and the pieces that go beside it."""

    name: str
    digest: str
    fields: Mapping[str, Any]
    pieces: Sequence[bytes]


def row_of(entry: IndexEntry) -> Row:
    """Return the row of an entry."""
    digest = digest_of(entry.document)
    data = zlib.compress(json.dumps(entry.document, separators=(",", ":")).encode())
    inline = len(data) <= MOST_INLINE_BYTES
    pieces = [] if inline else [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
    postings, partial = postings_of(entry)
    fields = {
        "fqid": str(entry.fqid),
        "postings": postings,
        "partial": partial,
        "dead": entry.dead,
        "digest": digest,
        "form": FORM,
        "data": data if inline else b"",
        "pieces": len(pieces),
    }
    return Row(name=row_name(entry.replica, entry.fqid), digest=digest, fields=fields, pieces=pieces)


def row_name(replica: str, fqid: Fqid) -> str:
    """Return the name of the row of an entry: those of one replica are side by side, in order of FQID."""
    return f"{replica}.{fqid}"


def piece_name(row: str, digest: str, number: int) -> str:
    """Return the name of a piece of a row's document."""
    return f"{row}.{digest}.{number:03d}"


def unpacked(data: bytes) -> dict[str, Any]:
    """Return the document whose compressed form this is."""
    document: dict[str, Any] = json.loads(zlib.decompress(data))
    return document


def postings_of(entry: IndexEntry) -> tuple[list[bytes], bool]:
    """Return the postings of an entry, MOST_POSTINGS at most, and whether gaps stand for some of them.

    The paths with the most values lose theirs first: that there are so many says that few ask for one.
    """
    hashed = Postings(entry.replica)
    of_entry = set() if entry.dead else {hashed.of_living(), hashed.of_name(entry.fqid)}
    at_path: dict[str, set[Any]] = {}
    for path, value in leaves_of(entry.document):
        found = at_path.setdefault(path, set())
        found.add(hashed.of_value(path, value))
        found.update(hashed.of_token(path, token) for token in scalar_tokens(value))
    of_paths = set(map(hashed.of_path, {known for path in at_path for known in paths_to(path)}))
    room = MOST_POSTINGS - len(of_entry) - len(of_paths)
    partial = sum(map(len, at_path.values())) > room
    thinned(at_path, room, hashed.of_gap)
    kept = of_entry.union(of_paths, *at_path.values())
    if len(kept) > MOST_POSTINGS:
        kept = of_entry | {hashed.of_gap()}
    return sorted(posting.bytes for posting in kept), partial
