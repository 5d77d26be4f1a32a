"""The contract of index back ends, run on each of them; conftest.py says how to add one."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from shared.access import PUBLIC, SIGNED_IN, STRANGER, Policy, Principal, labels_of
from shared.errors import IndexQueryRefused
from shared.identifiers import Fqid
from shared.search.base import IndexBackend, IndexEntry, Total
from shared.search.documents import digest_of, tombstone_document
from shared.search.matching import matches
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard
from tests.support.api import new_uuid, now
from tests.support.queries import queries, total

# More values than a row of Firestore, or the range terms of PostgreSQL, can hold.
MANY = 21_000


def entry(
    replica: str, document: dict[str, Any], fqid: Fqid | None = None, *, dead: bool = False
) -> IndexEntry:
    return IndexEntry(replica=replica, fqid=fqid or Fqid(new_uuid(), now()), document=document, dead=dead)


def pages(
    index: IndexBackend, replica: str, query: Query, count: int = 500, *, documents: bool = False
) -> Iterator[list[Any]]:
    after = None
    while True:
        page = index.search(replica, query, readers=None, after=after, count=count, documents=documents)
        assert len(page.hits) <= count
        yield list(page.hits)
        if page.after is None:
            return
        assert after is None or page.after < after
        after = page.after


def found(index: IndexBackend, replica: str, query: Query, count: int = 500) -> list[Fqid]:
    return [hit.fqid for page in pages(index, replica, query, count) for hit in page]


def put_all(index: IndexBackend, entries: Iterable[IndexEntry]) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(index.put, entries))


def some_value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth < 4 and kind < 0.35:
        names = chance.sample(["a", "b", "c"], chance.randrange(4))
        return {name: some_value(chance, depth + 1) for name in names}
    if depth < 4 and kind < 0.5:
        return [some_value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return chance.choice(
        [
            None,
            "brain",
            "Brain",
            "left brain",
            "kidney",
            "",
            "1",
            "a*b",
            "a?b",
            -2,
            0,
            1,
            2,
            0.5,
            1.0,
            True,
            False,
        ]
    )


@pytest.fixture(scope="module")
def known(index: IndexBackend) -> tuple[str, list[IndexEntry]]:
    """A replica on which many small documents are indexed, tombstones among them; and what they are."""
    replica, chance = f"test-{new_uuid()}", random.Random(5)
    living = [
        entry(replica, {name: some_value(chance) for name in ("a", "b", "c")[: chance.randrange(4)]})
        for _ in range(60)
    ]
    dead = [
        entry(
            replica, {**tombstone_document(new_uuid(), "who@example.org", "brain"), "a": "brain"}, dead=True
        )
        for _ in range(3)
    ]
    put_all(index, [*living, *dead])
    return replica, [*living, *dead]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries)
def test_a_query_finds_its_matches_and_nothing_else(index, known, query):
    replica, entries = known
    meant = sorted((one.fqid for one in entries if matches(query, one.fqid, one.document)), reverse=True)

    assert found(index, replica, query, count=20) == meant
    assert total(index, replica, query) == len(meant)


LABS = ("lab-a", "lab-b", "lab-c")
members = some.builds(
    lambda groups, is_admin: Principal(email="who@example.org", groups=groups, is_admin=is_admin),
    some.frozensets(some.sampled_from((*LABS, "lab-d")), max_size=3),
    some.booleans(),
)


@pytest.fixture(scope="module")
def managed(index: IndexBackend) -> tuple[str, list[IndexEntry]]:
    """A replica whose documents have readers, and tombstones among them; and what they are."""
    replica, chance = f"test-{new_uuid()}", random.Random(7)
    gone = tombstone_document(new_uuid(), "who@example.org", "brain")
    entries = []
    for number in range(60):
        document = {name: some_value(chance) for name in ("a", "b", "c")[: chance.randrange(4)]}
        dead = number % 10 == 0
        readers = chance.sample((*LABS, PUBLIC, SIGNED_IN), chance.randrange(3))
        one = entry(replica, {**gone, **document} if dead else document, dead=dead)
        entries.append(replace(one, readers=frozenset(readers)))
    # Some get their readers later.
    put_all(index, [replace(one, readers=frozenset()) for one in entries[:20]])
    put_all(index, entries[20:])
    for one in entries[:20]:
        index.set_readers(replica, one.fqid, one.readers)
    return replica, entries


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=queries,
    who=some.one_of(some.just(STRANGER), members),
    default=some.sampled_from((PUBLIC, SIGNED_IN, "lab-a")),
)
def test_a_search_knows_only_of_what_its_caller_may_read(index, managed, query, who, default):
    replica, entries = managed
    policy = Policy(default=default)
    visible = [one for one in entries if policy.may_read(who, one.readers)]
    meant = sorted((one.fqid for one in visible if matches(query, one.fqid, one.document)), reverse=True)
    names = {one.fqid for one in visible}
    readers = policy.counts_as(who)

    hits: list[Fqid] = []
    after = None
    while True:
        page = index.search(replica, query, readers=readers, after=after, count=4, total=True)
        assert page.total == Total(hits=len(meant))
        hits += [hit.fqid for hit in page.hits]
        after = page.after
        if after is None:
            break
        # Pages are full, and none ends with what the caller may not see.
        assert len(page.hits) == 4 and after in names
    assert hits == meant


def test_the_readers_of_an_entry_change_at_once(index, replica):
    one = entry(replica, {"a": "x", "text": "many words " * 100})
    labs, lab = frozenset(("lab-a", "lab-b")), frozenset(("lab-a",))
    query = Terms("a", ("x",))

    def is_found(labels: frozenset[str] | None) -> bool:
        page = index.search(replica, query, readers=labels, after=None, count=5, total=True)
        assert page.total == Total(hits=len(page.hits))
        return bool(page.hits)

    index.set_readers(replica, one.fqid, labs)
    assert list(index.entries(replica)) == []
    index.put(one)
    for readers, strangers, members_of_a in (
        (labs, False, True),
        (frozenset(("lab-b",)), False, False),
        (frozenset((PUBLIC,)), True, True),
        (frozenset(), True, True),
        (lab, False, True),
    ):
        for _ in range(2):
            index.set_readers(replica, one.fqid, readers)
        assert is_found(frozenset(("default", PUBLIC))) is strangers, readers
        assert is_found(frozenset(("default", PUBLIC, SIGNED_IN, "lab-a"))) is members_of_a, readers
        assert is_found(None)
        [held] = index.entries(replica)
        assert (held.labels, held.digest) == (labels_of(readers), digest_of(one.document))
    # A put decides as well; so does one of a tombstone, whose readers change like any other's.
    index.put(one)
    assert is_found(frozenset(("default", PUBLIC)))
    index.put(entry(replica, {"a": "x"}, one.fqid, dead=True))
    index.set_readers(replica, one.fqid, lab)
    index.put(one)
    assert not is_found(frozenset(("default", PUBLIC)))
    assert is_found(frozenset(("lab-a",)))
    assert [(held.dead, held.labels) for held in index.entries(replica)] == [(True, labels_of(lab))]


def test_no_group_counts_as_all_of_them(index, replica):
    index.put(replace(entry(replica, {"a": "x"}), readers=frozenset(("lab-a",))))

    for name in ("*", "lab", "lab-a,lab-b", "{lab-a}"):
        page = index.search(
            replica, MatchAll(), readers=frozenset((name, PUBLIC)), after=None, count=5, total=True
        )
        assert (page.hits, page.total) == ([], Total(hits=0))


def test_fqids_and_many_values_are_looked_up(index, known):
    replica, entries = known
    living = sorted((one.fqid for one in entries if not one.dead), reverse=True)
    others = tuple(f"{new_uuid()}.{now()}" for _ in range(40))

    assert found(index, replica, Ids((*others, *map(str, living[:40])))) == living[:40]
    assert found(index, replica, Ids((*others * 5, *map(str, living)))) == living
    values = tuple(f"none {n}" for n in range(70))
    meant = found(index, replica, Terms("a", ("brain",)))
    assert found(index, replica, Terms("a", (*values, "brain"))) == meant
    assert total(index, replica, Terms("a", (*values, "brain"))) == len(meant)
    assert found(index, replica, Terms("a", (*values * 3, "brain"))) == meant


def test_a_path_that_only_leads_on_has_no_value(index, replica):
    one = entry(replica, {"a": {"b": "x"}})
    index.put(one)

    for clause in (Range("a", gte="x"), Prefix("a", "x"), Wildcard("a", "*"), Terms("a", ("x",))):
        assert found(index, replica, clause) == [], clause
        assert found(index, replica, Bool(must_not=(clause,))) == [one.fqid], clause


def test_documents_come_back_as_they_were_put(index, replica):
    document = {
        "text": "null \x00, half \ud800, é, 𝄞, \"quoted\", 'single', back\\slash, new\nline",
        "numbers": [0, -1, 2**63, 10**30, 0.1, 1e300, 1.0, -0.0],
        "others": [True, False, None, "", [], {}, [[], [{}]]],
        "dotted.name": {"": "empty", "$.[*]": "odd", 'quo"te': 1, "deep": [[[{"a": [{"b": 1}]}]]]},
    }
    one = entry(replica, document)
    index.put(one)

    [[hit]] = pages(index, replica, MatchAll(), documents=True)
    assert (hit.fqid, repr(hit.document)) == (one.fqid, repr(document))
    [[bare]] = pages(index, replica, MatchAll())
    assert bare.document is None
    for query in (
        Terms("text", (document["text"],)),
        Match("text", ("quoted", "null"), all_tokens=True),
        Terms("numbers", (10**30,)),
        Terms("numbers", (0.1,)),
        Range("numbers", gte=1e300),
        Terms("others", (True,)),
        Exists("dotted.name"),
        Terms("dotted.name.deep.a.b", (1.0,)),
        Terms("dotted.name.$.[*]", ("odd",)),
        Wildcard("text", "null*new\nline"),
        Prefix("text", "null \x00"),
    ):
        assert found(index, replica, query) == [one.fqid], query


def test_hits_are_in_order_of_uuid_then_version_both_descending(index, replica):
    uuids = sorted(new_uuid() for _ in range(5))
    fqids = [Fqid(uuid, f"20{year:02d}-01-01T000000.000000Z") for uuid in uuids for year in (19, 3, 25)]
    put_all(index, (entry(replica, {"a": "x", "n": number}, fqid) for number, fqid in enumerate(fqids)))
    expected = sorted(fqids, reverse=True)

    for query in (MatchAll(), Terms("a", ("x",)), Range("n", gte=0)):
        for size in (1, 4, 15, 16):
            sizes = [len(page) for page in pages(index, replica, query, size)]
            assert found(index, replica, query, size) == expected
            assert sizes == [size] * (15 // size) + ([15 % size] if 15 % size else [])


def test_pages_stay_right_while_documents_come_and_go(index, replica):
    fqids = sorted((Fqid(new_uuid(), now()) for _ in range(20)), reverse=True)
    put_all(index, (entry(replica, {"a": "x"}, fqid) for fqid in fqids[::2]))
    first = index.search(replica, MatchAll(), readers=None, after=None, count=5, documents=False)

    # One in front of the mark and one behind it come, and so many go.
    index.put(entry(replica, {"a": "x"}, fqids[1]))
    index.put(entry(replica, {"a": "x"}, fqids[19]))
    index.delete(replica, fqids[2])
    index.delete(replica, fqids[8])
    index.delete(replica, fqids[10])
    rest = index.search(replica, MatchAll(), readers=None, after=first.after, count=20, documents=False)

    assert [hit.fqid for hit in first.hits] == fqids[0:10:2]
    assert [hit.fqid for hit in rest.hits] == [*fqids[12:19:2], fqids[19]]
    assert rest.after is None


def test_an_entry_is_replaced_and_removed(index, replica):
    one = entry(replica, {"a": "old", "b": [1]})
    for _ in range(2):
        index.put(one)
    assert total(index, replica, MatchAll()) == 1
    index.put(entry(replica, {"a": "new"}, one.fqid))

    assert found(index, replica, Terms("a", ("old",))) == found(index, replica, Exists("b")) == []
    assert found(index, replica, Terms("a", ("new",))) == [one.fqid]
    for _ in range(2):
        index.delete(replica, one.fqid)
    assert found(index, replica, MatchAll()) == []
    index.put(one)
    assert found(index, replica, Terms("a", ("old",))) == [one.fqid]


def test_no_living_entry_replaces_a_dead_one(index, replica):
    fqid = Fqid(new_uuid(), now())
    living = entry(replica, {"a": "x"}, fqid)
    dead = entry(replica, tombstone_document(fqid.uuid, "who@example.org", "gone"), fqid, dead=True)
    for one, is_dead in ((living, False), (dead, True), (living, True), (dead, True)):
        index.put(one)

        by_death = Bool(must=(Terms("admin_deleted", (True,)), Terms("uuid", (fqid.uuid,))))
        assert found(index, replica, by_death) == ([fqid] if is_dead else [])
        assert found(index, replica, Terms("a", ("x",))) == ([] if is_dead else [fqid])
    assert [one.dead for one in index.entries(replica)] == [True]


def test_concurrent_writers_leave_one_whole_entry(index, replica):
    fqid = Fqid(new_uuid(), now())
    dead = entry(replica, tombstone_document(fqid.uuid, "who@example.org", "gone"), fqid, dead=True)
    living = [entry(replica, {"a": "x", "n": number}, fqid) for number in range(3)]
    put_all(index, [living[0], living[1], living[0], dead, living[2], living[0]])

    assert [(one.fqid, one.digest, one.dead) for one in index.entries(replica)] == [
        (fqid, digest_of(dead.document), True)
    ]
    assert found(index, replica, Exists("a")) == []


def test_replicas_know_nothing_of_each_other(index, replica):
    other = f"{replica}-2"
    one = entry(replica, {"a": "x"})
    index.put(one)
    index.put(entry(other, {"a": "y"}, one.fqid))

    assert found(index, replica, Terms("a", ("x",))) == found(index, other, Terms("a", ("y",))) == [one.fqid]
    assert found(index, replica, Terms("a", ("y",))) == []
    index.delete(other, one.fqid)
    assert [held.fqid for held in index.entries(replica)] == [one.fqid]
    assert list(index.entries(other)) == []


def test_all_entries_are_listed_in_order_with_their_digests(index, replica):
    entries = [entry(replica, {"n": number}) for number in range(12)]
    put_all(index, entries)
    entries.sort(key=lambda one: one.fqid)

    listed = list(index.entries(replica))
    assert [(one.fqid, one.digest, one.dead) for one in listed] == [
        (one.fqid, digest_of(one.document), False) for one in entries
    ]
    assert list(index.entries(replica, after=entries[4].fqid)) == listed[5:]
    assert list(index.entries(replica, after=entries[-1].fqid)) == []


def many_values() -> dict[str, Any]:
    return {
        "manifest": {"files": [{"name": f"file_{n}.bin", "size": n} for n in range(MANY)]},
        "organ": "Brain",
    }


def many_paths() -> dict[str, Any]:
    return {"a": {f"p{n}": n for n in range(MANY)}, "organ": "Brain"}


def many_bytes() -> dict[str, Any]:
    chance = random.Random(7)
    return {
        "blob": ["".join(chance.choices("0123456789abcdef", k=1000)) for _ in range(3000)],
        "organ": "Brain",
    }


@pytest.mark.parametrize(
    ("make", "sought", "absent", "between"),
    [
        (
            many_values,
            Terms("manifest.files.size", (MANY - 1,)),
            Terms("manifest.files.size", (MANY,)),
            Range("manifest.files.size", gte=MANY - 1),
        ),
        (many_paths, Terms("a.p17", (17,)), Terms("a.p17", (18,)), Range("a.p17", gt=16, lt=18)),
        (many_bytes, Match("organ", ("brain",)), Match("organ", ("kidney",)), Prefix("organ", "Br")),
    ],
)
def test_a_document_of_any_size_is_found_by_any_of_its_values(
    index: IndexBackend,
    replica: str,
    make: Callable[[], dict[str, Any]],
    sought: Query,
    absent: Query,
    between: Query,
) -> None:
    document = make()
    large, small = entry(replica, document), entry(replica, {"organ": "kidney", "a": {"p17": 3}})
    put_all(index, [large, small])

    [hits] = pages(index, replica, Bool(must=(sought, Terms("organ", ("Brain",)))), documents=True)
    assert [(hit.fqid, hit.document) for hit in hits] == [(large.fqid, document)]
    assert found(index, replica, sought) == found(index, replica, Match("organ", ("brain",))) == [large.fqid]
    assert found(index, replica, between) == [large.fqid]
    assert total(index, replica, sought) == 1 and total(index, replica, MatchAll()) == 2
    assert large.fqid not in found(index, replica, absent)
    assert len(found(index, replica, Exists("organ"))) == 2

    index.put(entry(replica, {**document, "organ": "liver"}, large.fqid))
    assert found(index, replica, Terms("organ", ("Brain",))) == []
    [[hit]] = pages(index, replica, Terms("organ", ("liver",)), documents=True)
    assert hit.document == {**document, "organ": "liver"}
    index.delete(replica, large.fqid)
    assert found(index, replica, sought) == []


def test_a_page_with_documents_ends_by_their_size(index, replica):
    text = "x" * 3_000_000
    entries = [entry(replica, {"a": "x", "text": text, "n": number}) for number in range(7)]
    put_all(index, entries)
    order = sorted((one.fqid for one in entries), reverse=True)

    sizes = [len(page) for page in pages(index, replica, Terms("a", ("x",)), 10, documents=True)]
    hits = [hit for page in pages(index, replica, Range("n", gte=0), 10, documents=True) for hit in page]

    # Three documents are more than 8 MiB.
    assert sizes == [3, 3, 1]
    assert [hit.fqid for hit in hits] == order
    assert {hit.document["n"] for hit in hits} == set(range(7))
    # Names alone are as many as ever.
    assert [len(page) for page in pages(index, replica, Terms("a", ("x",)), 10)] == [7]


def test_the_total_is_that_of_all_pages(index, replica):
    put_all(index, (entry(replica, {"a": "x", "n": number}) for number in range(9)))

    for query in (Terms("a", ("x",)), Range("n", gte=0), Bool(must_not=(Exists("b"),))):
        first = index.search(replica, query, readers=None, after=None, count=4, total=True)
        second = index.search(replica, query, readers=None, after=first.after, count=4, total=True)
        whole = index.search(replica, query, readers=None, after=None, count=9, documents=True, total=True)
        assert first.total == second.total == whole.total == Total(hits=9), query
        assert index.search(replica, query, readers=None, after=None, count=4).total is None


def costly_clauses(form: str) -> Bool:
    clauses = tuple(
        Wildcard("text", f"*{form}{number}?x*") if form else Match("text", (f"none{number}",))
        for number in range(1000)
    )
    return Bool(should=clauses, minimum_should_match=1)


# Firestore looks words up, and reads no document in which there is none of them.
@pytest.mark.parametrize(
    ("index", "form"),
    [("firestore", "word?"), ("postgresql", "word?"), ("postgresql", "")],
    indirect=["index"],
)
def test_a_thousand_clauses_end_within_the_budget(index, replica, form):
    # Few different words: the emulator of Firestore compares each with each that the query looks up.
    text = " ".join(f"word{number % 50}" for number in range(50_000))
    put_all(index, (entry(replica, {"text": text, "n": number}) for number in range(2)))

    started, processor = time.monotonic(), time.thread_time()
    after, asked = None, 0
    try:
        while asked == 0 or after:
            page = index.search(
                replica, costly_clauses(form), readers=None, after=after, count=10, total=True
            )
            assert page.hits == []
            after, asked = page.after, asked + 1
    except IndexQueryRefused as error:
        assert "fewer clauses" in error.title
    # Python takes processor time in this thread; PostgreSQL takes its own, and ends by the clock.
    assert time.thread_time() - processor < 5 * (asked + 1)
    assert time.monotonic() - started < 40 * (asked + 1)
