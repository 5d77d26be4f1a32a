"""Answers of catalogues that pages keep: as long as the catalogue is the same, and not for other readers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.api.app import create_app
from run.browse.answers import Answers, SideBySide
from run.browse.growth import periods
from shared.deadlines import deadline, limited
from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.query import Summed
from tests.run.browse.conftest import LAB, OWN, SAMPLES, Pages
from tests.support.hca_sample import sequenced
from tests.support.waiting import SLOWNESS

PATIENCE = 15 * SLOWNESS
KEY = (1, frozenset("a"), "question")


def failing() -> int:
    raise KeyError


def test_questions_of_a_page_are_answered_at_the_same_time() -> None:
    """With the deadline and the application of the page; what one raises is raised where it is used."""
    both = threading.Barrier(2, timeout=PATIENCE)

    def question() -> float:
        both.wait()
        return limited(PATIENCE * 2)

    with deadline(time.monotonic() + PATIENCE), SideBySide() as besides:
        first, second = besides.ask(question), besides.ask(question)
        broken = besides.ask(failing)
        assert first.result() <= PATIENCE and second.result() <= PATIENCE
        with pytest.raises(KeyError):
            broken.result()


def test_an_answer_counts_for_one_revision_and_one_reader() -> None:
    answers = Answers()

    assert answers.get(KEY, 1, lambda: "first") == "first"
    assert answers.get(KEY, 1, lambda: "again") == "first"
    assert answers.get(KEY, 2, lambda: "changed") == "changed"
    assert answers.get((1, frozenset("b"), "question"), 2, lambda: "of others") == "of others"
    assert answers.get((1, None, "question"), 2, lambda: "of an admin") == "of an admin"
    assert answers.get((2, frozenset("a"), "question"), 2, lambda: "elsewhere") == "elsewhere"


def test_an_answer_may_be_older_where_that_is_wanted() -> None:
    now = 0.0
    answers = Answers(clock=lambda: now)
    answers.get(KEY, 1, lambda: "first", seconds=60)
    now = 59
    assert answers.get(KEY, 2, lambda: "second", seconds=60) == "first"
    now = 61
    assert answers.get(KEY, 2, lambda: "second", seconds=60) == "second"


def test_an_answer_that_fails_is_not_kept() -> None:
    answers = Answers()
    with pytest.raises(KeyError):
        answers.get(KEY, 1, failing)

    assert answers.get(KEY, 1, lambda: 2) == 2


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 30)), max_size=40))
def test_what_is_kept_is_bounded(asked: list[tuple[int, int]]) -> None:
    answers = Answers(most_characters=60)
    for number, length in asked:
        key = (number, None, "")
        assert set(answers.get(key, length, lambda length=length: "x" * length)) == {"x"}
        kept = [each.answer for each in answers._kept.values()]
        assert sum(len(answer) + 2 for answer in kept) <= 60


def test_one_of_many_who_ask_the_same_computes_it() -> None:
    answers, all_there, computed = Answers(), threading.Barrier(8), []

    def compute() -> int:
        computed.append(1)
        return 5

    def ask(_: int) -> int:
        all_there.wait(PATIENCE)
        return answers.get(KEY, 1, compute)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [5] * 8
    assert len(computed) == 1


def test_a_list_is_counted_once_until_the_catalogue_changes(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    own = PostgreSqlCatalogues.counts

    def counts(store, catalogue, sought, query):  # type: ignore[no-untyped-def]
        counted.append(query.entity_type)
        return own(store, catalogue, sought, query)

    monkeypatch.setattr(PostgreSqlCatalogues, "counts", counts)
    pages.service.put(OWN, sequenced("kept one", project="kept").metadata())
    before = pages.get("/browse/files", catalog=OWN, q="kept")
    assert "2 files found, with 30 bytes in 2 files" in before.text
    for query in ({"sort": "fileSize"}, {"size": "50"}, {}):
        assert "2 files found" in pages.get("/browse/files", catalog=OWN, q="kept", **query).text
    assert counted == ["files"]
    # Other readers' counts are others'.
    pages.service.put(OWN, sequenced("kept two", project="kept").metadata(), LAB)
    assert "2 files found" in pages.get("/browse/files", catalog=OWN, q="kept").text
    member = pages.service.member(LAB)
    assert "4 files found, with 60 bytes" in pages.get("/browse/files", catalog=OWN, q="kept", by=member).text
    assert counted == ["files"] * 3


def test_chosen_values_are_shown_however_rare_they_are(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("run.browse.answers.MOST_TERMS", 1)
    fresh = replace(pages, client=create_app(pages.service.dss).test_client())

    page = fresh.get("/browse/files", catalog=SAMPLES, **{"is.organ": ["brain", "liver"]})

    chosen = [
        box["value"]
        for box in page.all("input", type="checkbox", name="is.organ")
        if "checked" in box.attributes
    ]
    assert sorted(chosen) == ["brain", "liver"]


DAYS = st.lists(
    st.tuples(
        st.dates().map(lambda day: day.isoformat()), st.integers(1, 9), st.integers(0, 99)
    ),
    unique_by=lambda day: day[0],
    max_size=200,
).map(lambda days: [Summed(day, n, [size]) for day, n, size in sorted(days)])  # fmt: skip


@given(DAYS)
def test_periods_are_few_and_end_with_all_that_there_is(days: list[Summed]) -> None:
    kind, made = periods(days)

    assert len(made) <= 60
    assert [each.name for each in made] == sorted({each.name for each in made})
    assert {len(each.name) for each in made} <= {{"Day": 10, "Month": 7, "Year": 4}[kind]}
    if days:
        assert made[-1].all_files == sum(day.n for day in days)
        assert made[-1].all_size == sum(day.sums[0] for day in days)
    if len(made) < 60:
        assert sum(each.size for each in made) == sum(day.sums[0] for day in days)


def test_growth_is_of_what_one_may_see(pages: Pages) -> None:
    page = pages.get(pages.get("/browse/charts/files", catalog=SAMPLES).link("Growth over time"))

    assert page.rows() == ["2024-03-01"]
    assert [cell.text for cell in page.all("td", class_="number")] == ["4", "60 bytes", "4", "60 bytes"]
    member = pages.get("/browse/growth", catalog=SAMPLES, by=pages.service.member(LAB))
    assert [cell.text for cell in member.all("td", class_="number")][:2] == ["6", "90 bytes"]
    assert pages.get("/browse/growth", catalog=SAMPLES, x="1", status=400)
    assert pages.get("/browse/growth", catalog="none", status=404)
