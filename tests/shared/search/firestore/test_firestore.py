"""The Firestore back end, beyond test_backends.py."""

import random

import pytest

from shared.identifiers import Fqid
from shared.search.base import IndexBackend, IndexEntry
from shared.search.firestore.backend import FirestoreIndex
from shared.search.firestore.planning import plan
from shared.search.firestore.rows import MOST_POSTINGS, postings_of, row_of
from shared.search.matching import matches
from shared.search.postings import Postings
from shared.search.query import Bool, Match, MatchAll, Query, Range, Terms
from tests.support.api import new_uuid, now
from tests.support.queries import total

THREES = Bool(must=(Range("n", gte=3), Range("n", lte=3)))


@pytest.fixture
def hurried(firestore_index: FirestoreIndex) -> FirestoreIndex:
    """The back end, with no time to search and few rows to count."""
    return FirestoreIndex(firestore_index._database, seconds=0.0, counted=4)


def some_entries(replica: str, count: int = 12) -> list[IndexEntry]:
    return [
        IndexEntry(replica=replica, fqid=Fqid(new_uuid(), now()), document={"n": n % 4, "b": "x"})
        for n in range(count)
    ]


def test_a_search_without_time_advances_row_by_row(hurried: FirestoreIndex, replica: str) -> None:
    entries = some_entries(replica)
    for entry in entries:
        hurried.put(entry)

    after, hits, asked = None, [], 0
    while asked == 0 or after:
        page = hurried.search(replica, THREES, readers=None, after=after, count=5, documents=False)
        hits, after, asked = [*hits, *page.hits], page.after, asked + 1
        assert asked <= len(entries)

    meant = [entry.fqid for entry in entries if matches(THREES, entry.fqid, entry.document)]
    assert [hit.fqid for hit in hits] == sorted(meant, reverse=True)


def test_there_is_no_total_if_it_needs_too_many_rows(
    firestore_index: FirestoreIndex, hurried: FirestoreIndex, replica: str
) -> None:
    patient = FirestoreIndex(firestore_index._database, counted=12)
    for entry in some_entries(replica):
        patient.put(entry)

    assert total(patient, replica, THREES) == 3
    assert total(FirestoreIndex(firestore_index._database, counted=11), replica, THREES) is None
    assert total(hurried, replica, THREES) is None
    # Here the postings decide alone.
    assert total(hurried, replica, MatchAll()) == 12
    assert total(hurried, replica, Terms("n", (1, 2))) == 6


def test_a_row_is_within_the_bounds_of_firestore() -> None:
    chance = random.Random(3)
    texts = ["".join(chance.choices("0123456789abcdef ", k=500)) for _ in range(2_500)]
    document = {"texts": texts, "paths": {f"p{n}": n for n in range(4_000)}, "organ": "brain"}
    entry = IndexEntry(replica="gcp", fqid=Fqid(new_uuid(), now()), document=document)

    postings, partial = postings_of(entry)
    hashed = Postings("gcp")
    kept = set(postings)
    assert partial and len(postings) <= MOST_POSTINGS
    # What has few values is looked up as ever; the path with the most has an overflow marker.
    assert hashed.of_value("organ", "brain") in kept
    assert hashed.of_overflow("texts") in kept and hashed.of_path("texts") in kept
    row = row_of(entry)
    assert len(row.fields["data"]) == 0 and all(len(piece) < 1_000_000 for piece in row.pieces)


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        (Bool(must=(Match("a", ("common",)), Terms("b", ("rare",)), MatchAll())), "rare"),
        (Bool(must=(Match("a", ("common", "rare"), all_tokens=True),)), "rare"),
        (
            Bool(must=(MatchAll(),), filter=(Bool(must=(Match("a", ("rare",)),), should=(MatchAll(),)),)),
            "rare",
        ),
        (
            Bool(must=(Match("a", ("common",)),), should=(Match("a", ("rare",)),), minimum_should_match=1),
            "rare",
        ),
        (Bool(must=(Match("a", ("common",)),), should=(Match("a", ("rare",)),)), "common"),
    ],
)
def test_the_rarest_clause_is_looked_up(query: Query, chosen: str) -> None:
    hashed = Postings("gcp")
    wanted = {
        "rare": {hashed.of_token("a", "rare"), hashed.of_value("b", "rare")},
        "common": {hashed.of_token("a", "common")},
    }
    found = plan(query, hashed, lambda some: [1 if one.postings & wanted["rare"] else 1000 for one in some])

    assert found.postings and found.postings <= wanted[chosen]


def test_a_back_end_is_opened_by_its_name(firestore_index: IndexBackend) -> None:
    assert isinstance(firestore_index, FirestoreIndex)
