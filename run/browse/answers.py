"""What catalogues answer to pages, kept until they change: counts, sizes and growth.

The revision of a catalogue, which its database keeps, is read before an answer is looked up or computed. An
answer that is computed while the catalogue changes may have the change already, and is then kept under the
revision before, which is never read again. So no page shows less than the revision that it has read.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from flask import Flask, current_app

from run.api.call import Call
from run.explore.access import sought
from shared.catalogue_manifests.selections import encode_query
from shared.deadlines import limited
from shared.errors import Unavailable
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field
from shared.explore.filters import Relation
from shared.explore.query import FacetCounts, Query, Sought, Summed

# The key of an application's answers in its `extensions`.
_ANSWERS = "dss.browse_answers"
# The type of entities that has sizes.
FILES = "files"
# Characters of all answers that are kept, as Python writes them; in memory each takes some bytes.
_MOST_CHARACTERS = 4_000_000
# Values of a facet that pages show at most, beside those that are chosen.
MOST_TERMS = 15
# Seconds that a request waits for another one that computes the same.
_PATIENCE = 20.0
# Questions of a page at once, beside that of the request's own thread: a database has two cores or more.
_AT_ONCE = 2
# Seconds for which growth is shown although the catalogue has changed: it reads all documents of files.
_GROWTH_SECONDS = 3600.0

Answer = TypeVar("Answer")
_Key = tuple[int, Sought, str]


@dataclass(frozen=True)
class ShownTerms:
    """The most frequent values of a facet, those that are chosen included, and how many there are."""

    terms: Sequence[tuple[Json, int]]
    values: int


@dataclass(frozen=True)
class _Kept:
    revision: int
    since: float
    answer: Any
    characters: int


class Answers:
    """Answers by catalogue, reader and question, for a revision each; threads may share it.

    What was not asked for longest is forgotten first, as soon as there is too much.
    """

    def __init__(
        self, most_characters: int = _MOST_CHARACTERS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_characters = most_characters
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._characters = 0
        self._computing: dict[_Key, threading.Lock] = {}

    def get(self, key: _Key, revision: int, compute: Callable[[], Answer], *, seconds: float = 0.0) -> Answer:
        """Return the answer for a revision, computed by one thread at a time; or one that is no older than
        `seconds`. Raises what `compute` raises, and Unavailable if others take too long."""
        found = self._find(key, revision, seconds)
        if found is None:
            with self._alone(key):
                # Another thread may have computed it meanwhile.
                found = self._find(key, revision, seconds)
                if found is None:
                    found = self._keep(key, revision, compute())
        answer: Answer = found.answer
        return answer

    def _find(self, key: _Key, revision: int, seconds: float) -> _Kept | None:
        with self._lock:
            found = self._kept.get(key)
            if found and (found.revision == revision or self._clock() - found.since < seconds):
                self._kept.move_to_end(key)
                return found
        return None

    def _keep(self, key: _Key, revision: int, answer: Any) -> _Kept:
        made = _Kept(revision, self._clock(), answer, len(repr(answer)) + len(key[2]))
        with self._lock:
            before = self._kept.pop(key, None)
            self._characters += made.characters - (before.characters if before else 0)
            self._kept[key] = made
            while self._characters > self._most_characters and self._kept:
                _, oldest = self._kept.popitem(last=False)
                self._characters -= oldest.characters
        return made

    @contextmanager
    def _alone(self, key: _Key) -> Iterator[None]:
        with self._lock:
            mine = self._computing.setdefault(key, threading.Lock())
        if not mine.acquire(timeout=limited(_PATIENCE)):
            raise Unavailable("others ask the same, and wait for it; try again")
        try:
            yield
        finally:
            with self._lock:
                self._computing.pop(key, None)
            mine.release()


def install_answers(app: Flask) -> None:
    """Keep the answers of an application."""
    app.extensions[_ANSWERS] = Answers()


class SideBySide:
    """Questions of one page that PostgreSQL answers at the same time, two at once; for a `with` block.

    The block ends when all are answered. Each has the deadline and the application of the page.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="page")

    def __enter__(self) -> "SideBySide":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def ask(self, question: Callable[[], Answer]) -> "Future[Answer]":
        """Begin to answer a question."""
        return self._threads.submit(copy_context().run, question)


def counts(call: Call, catalogue: Catalogue, query: Query) -> tuple[int, Mapping[str, ShownTerms]]:
    """Return how many entities match, and the counts of the query's facets, as far as pages show them."""
    facets = [each.name for each in query.facets or ()]

    def compute() -> tuple[int, Mapping[str, ShownTerms]]:
        total, found = call.dss.catalogues.counts(catalogue, sought(call), query)
        return total, {each.name: _shown(query, each, found[each.name]) for each in query.facets or ()}

    return _asked(call, catalogue, f"counts {query.entity_type} {facets} {encode_query(query)}", compute)


def sums(call: Call, catalogue: Catalogue, query: Query, entity_type: str, by: str = "") -> Sequence[Summed]:
    """Return the sums of what matches, of a type of entities, for each term of a field, or of all."""
    about = replace(query, entity_type=entity_type, facets=())
    compute = partial(call.dss.catalogues.sums, catalogue, sought(call), about, by)
    return _asked(call, catalogue, f"sums {entity_type} {by} {encode_query(about)}", compute)


def size_of_files(call: Call, catalogue: Catalogue, query: Query) -> Summed | None:
    """Return how many files match, and their size in bytes; None if the catalogue has no list of files."""
    if FILES not in catalogue.listed:
        return None
    return next(iter(sums(call, catalogue, query, FILES)), Summed(None, 0, [0]))


def growth(call: Call, catalogue: Catalogue, name: str) -> Sequence[Summed]:
    """Return the files and their size by the days of a field, as they were an hour ago at most."""
    query = Query(entity_type=FILES, facets=())
    compute = partial(call.dss.catalogues.growth, catalogue, sought(call), query, name)
    return _asked(call, catalogue, f"growth {name}", compute, seconds=_GROWTH_SECONDS)


def _asked(
    call: Call, catalogue: Catalogue, question: str, compute: Callable[[], Answer], *, seconds: float = 0.0
) -> Answer:
    answers: Answers = current_app.extensions[_ANSWERS]
    store = call.dss.catalogues
    key = catalogue.number, store.labels(sought(call)), question
    return answers.get(key, store.revision(catalogue), compute, seconds=seconds)


def _shown(query: Query, known: Field, found: FacetCounts) -> ShownTerms:
    chosen = [
        value
        for each in query.filters
        if each.field.name == known.name and each.relation is Relation.IS
        for value in each.values
    ]
    others = [
        term
        for term in found.terms[MOST_TERMS:]
        if term[0] in chosen or {known.counted_by: term[0]} in chosen
    ]
    return ShownTerms([*found.terms[:MOST_TERMS], *others], len(found.terms))
