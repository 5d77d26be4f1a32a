"""Evaluation: matches are right, and a query that never ends costs no other subscription anything."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.catalog import Subscription
from shared.errors import Unavailable
from shared.webhooks import evaluation
from shared.webhooks.budgets import CAPACITY, EVENT_SECONDS, FREE_SECONDS, REFILL, OwnerBudgets
from shared.webhooks.evaluation import (
    FIRST_TRY,
    EvaluatorPool,
    EvaluatorProcess,
    Failure,
    Match,
    Outcome,
    OverBudget,
)
from tests.support.api import new_uuid

DOCUMENT = {
    "event_type": "CREATE",
    "bundle_info": {"uuid": new_uuid(), "version": "2026-01-12T093000.000000Z"},
    "manifest": {
        "files": [
            {"name": f"cell_{number}.json", "content-type": "application/json", "indexed": True}
            for number in range(2)
        ]
    },
    "files": {"cell_json": [{"name": "a", "age": 3}, {"name": "b", "age": 0}]},
}
ENCODED = json.dumps(DOCUMENT).encode()
# Each step doubles a list.
ENDLESS = "[@, @]" + " | [@, @][]" * 60
# A few objects, which hold each other so often that their text would fill any disk.
HUGE = " | ".join(["{a: @, b: @}"] * 60)
LONG_TEXT = "[to_string(@)] | " + " | ".join(["[join('', [@[0], @[0]])]"] * 60)


def test_processes_start_one_after_the_other() -> None:
    """Started all at once on a busy machine none was ready in time, again and again: found by chaos."""
    starting, most = [0], [0]

    class Counted(EvaluatorProcess):
        def __init__(self) -> None:
            starting[0] += 1
            most[0] = max(most[0], starting[0])
            super().__init__()
            starting[0] -= 1

    pool = EvaluatorPool(start=Counted)
    together = threading.Barrier(4)

    def evaluate(_: int) -> int:
        together.wait(60)
        return len(matches(pool, ENCODED, asking()))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(evaluate, range(4))) == [1] * 4
    pool.close()
    assert most == [1]


def test_a_process_that_does_not_become_ready_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation, "_START_SECONDS", 0.0)
    with pytest.raises(Unavailable, match="the start of a process"):
        EvaluatorProcess()


@pytest.fixture(scope="module")
def pool() -> Iterator[EvaluatorPool]:
    """What `notify` uses, over all tests."""
    pool = EvaluatorPool()
    yield pool
    pool.close()


def asking(jmespath: str | None = None, *, owner: str = "", **more: Any) -> Subscription:
    """Return a subscription, of an owner who has no other one unless it is given."""
    return Subscription(
        uuid=new_uuid(),
        replica="gcp",
        owner=owner or new_uuid(),
        callback_url="https://example.org",
        created=datetime.now(UTC),
        jmespath_query=jmespath,
        **more,
    )


def matching(pool: EvaluatorPool, *subscriptions: Subscription) -> list[Subscription]:
    """Return the subscriptions that the document matches, in the order in which they are found."""
    return [match.subscription for match in matches(pool, ENCODED, *subscriptions)]


def matches(pool: EvaluatorPool, document: bytes, *subscriptions: Subscription) -> list[Match]:
    """Return the matches of a document, in the order in which they are found."""
    return [outcome for outcome in pool.outcomes(document, subscriptions) if isinstance(outcome, Match)]


def reasons(outcomes: Iterator[Outcome]) -> dict[str, str]:
    """Return why queries failed, by subscription."""
    return {one.subscription.uuid: one.reason for one in outcomes if isinstance(one, Failure)}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (None, True),
        ("event_type == 'CREATE'", True),
        ("event_type == 'TOMBSTONE'", False),
        ("files.cell_json[?age > `2`]", True),
        ("files.cell_json[?age > `3`]", False),
        ("files.nothing_json", False),
        ("length(files.cell_json)", True),
        ("files.cell_json[1].age", False),
        ("length(files.nothing_json)", False),
        ("abs(files)", False),
        ("no_function(@)", False),
    ],
)
def test_a_query_matches_if_its_value_is_true(pool: EvaluatorPool, query: str | None, matches: bool) -> None:
    subscription = asking(query)
    assert matching(pool, subscription) == [subscription] * matches


@pytest.mark.parametrize(
    ("clause", "matches"),
    [
        ({"match_all": {}}, True),
        ({"term": {"files.cell_json.name.keyword": "a"}}, True),
        ({"match": {"files.cell_json.name": "c"}}, False),
        ({"bool": {"must_not": [{"term": {"state": "new"}}]}}, False),
    ],
)
def test_an_elasticsearch_query_matches_the_search_document(
    pool: EvaluatorPool, clause: dict[str, Any], matches: bool
) -> None:
    subscription = asking(es_query={"query": clause})
    assert matching(pool, subscription) == [subscription] * matches


def test_attachments_are_the_values_of_expressions(pool: EvaluatorPool) -> None:
    wanted = {"names": "files.cell_json[].name", "none": "nothing", "wrong": "abs(files)", "odd": "f(@)"}
    # What JMESPath knows and JSON does not.
    wanted |= {"infinite": "to_number('inf')", "expression": "&files"}
    [match] = matches(pool, ENCODED, asking(attachments=wanted))
    found = match.attachments
    assert (found["names"], found["none"]) == (["a", "b"], None)
    assert found.keys() == {"names", "none", "_errors"}
    assert found["_errors"].keys() == {"wrong", "odd", "infinite", "expression"}
    assert "abs" in found["_errors"]["wrong"]
    assert "f()" in found["_errors"]["odd"]


@pytest.mark.parametrize(("size", "fits"), [(131_072, True), (131_073, False)])
def test_attachments_are_at_most_128_kib_as_json(pool: EvaluatorPool, size: int, fits: bool) -> None:
    text = "x" * (size - len('{"a": ""}'))
    document = json.dumps({**DOCUMENT, "text": text}).encode()
    [match] = matches(pool, document, asking(attachments={"a": "text"}))
    expected = {"a": text} if fits else {"_errors": f"Attachments too large ({size} > 131072)"}
    assert match.attachments == expected


def test_queries_that_never_end_harm_no_other_subscription(pool: EvaluatorPool) -> None:
    good = [asking("event_type"), asking(es_query={"query": {"match_all": {}}})]
    bad = [asking(f"length({ENDLESS})"), asking(f"({HUGE}) == ({HUGE})")]
    attaching = asking(attachments={"a": LONG_TEXT})

    outcomes = list(pool.outcomes(ENCODED, [*bad, good[0], attaching, good[1]]))
    again = matching(pool, bad[0], *good)

    # An attachment that fails is an error, and no reason not to be notified.
    found = [one.subscription for one in outcomes if isinstance(one, Match)]
    assert [one for one in found if one != attaching] == good
    failed = reasons(iter(outcomes))
    assert {one.uuid for one in bad} <= failed.keys()
    # The other one runs out of time or memory.
    assert "it ended the evaluator process" in failed[bad[1].uuid]
    # By now they are known to be slow, and come last.
    assert again == good


def test_a_subscription_matches_even_if_its_attachment_never_ends(pool: EvaluatorPool) -> None:
    attaching = asking("event_type", attachments={"a": f"length({ENDLESS})"})
    [match] = matches(pool, ENCODED, attaching)
    assert match.subscription == attaching
    assert match.attachments == {"_errors": "Attachments: it took too long"}


def test_a_subscription_matches_even_if_its_attachment_ends_the_process() -> None:
    class Ended(EvaluatorProcess):
        """Is ended by the kernel while it evaluates attachments."""

        def _line(self, seconds: float = 20) -> bytes:
            line = super()._line(seconds)
            if line == b"true":
                self._process.kill()
                self._process.wait()
                self._buffer = b""
            return line

    pool = EvaluatorPool(start=Ended)
    # One that ends by itself may have its result in the pipe before the process is killed.
    attaching = asking("event_type", attachments={"a": f"length({ENDLESS})"})
    plain = asking("event_type")
    found = matches(pool, ENCODED, attaching, plain)
    pool.close()
    assert {match.subscription.uuid: match.attachments for match in found} == {
        attaching.uuid: {"_errors": "Attachments: it took too long"},
        plain.uuid: {},
    }


def test_a_failed_process_loses_no_match() -> None:
    class Mortal(EvaluatorProcess):
        """Is killed before its third result."""

        results = 0

        def result(self) -> Any:
            Mortal.results += 1
            if Mortal.results == 3:
                self._process.kill()
                self._process.wait()
                self._buffer = b""
            return super().result()

    pool = EvaluatorPool(start=Mortal)
    subscriptions = [asking() for _ in range(6)]
    try:
        found = matching(pool, *subscriptions)
    finally:
        pool.close()
    # The subscription of the failed first try has a second one.
    assert sorted(one.uuid for one in found) == sorted(one.uuid for one in subscriptions)


def test_a_document_that_cannot_be_parsed_is_unavailable(pool: EvaluatorPool) -> None:
    with pytest.raises(Unavailable, match="cannot be evaluated"):
        list(pool.outcomes(b"{no json", [asking()]))
    assert len(matching(pool, asking())) == 1


def test_a_document_that_search_cannot_read_fails_elasticsearch_queries_only(pool: EvaluatorPool) -> None:
    document = json.dumps({"event_type": "CREATE", "bundle_info": DOCUMENT["bundle_info"]}).encode()
    failing, good = asking(es_query={"query": {"match_all": {}}}), asking("event_type")
    assert [match.subscription for match in matches(pool, document, failing, good)] == [good]
    assert reasons(pool.outcomes(document, [failing])) == {failing.uuid: "KeyError: 'files'"}


def test_no_process_is_started_without_subscriptions() -> None:
    def start() -> EvaluatorProcess:
        raise AssertionError("started")

    assert list(EvaluatorPool(start=start).outcomes(ENCODED, [])) == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("abs(files)", "abs"),
        ("length(files.nothing_json)", "length"),
    ],
    ids=["type", "null"],
)
def test_a_query_that_fails_is_an_outcome_with_its_reason(
    pool: EvaluatorPool, query: str, reason: str
) -> None:
    failing, good = asking(query), asking("event_type")
    found = reasons(pool.outcomes(ENCODED, [failing, good]))
    assert (found.keys(), reason in found[failing.uuid]) == ({failing.uuid}, True)


def test_the_costly_queries_of_one_owner_cost_an_event_no_more_than_its_budget() -> None:
    # The budget is not refilled, however slow the machine is.
    pool = EvaluatorPool(budgets=OwnerBudgets(clock=lambda: 0.0))
    good = asking("event_type")
    costly = [asking(f"length({ENDLESS})", owner="bad") for _ in range(60)]
    try:
        outcomes = list(pool.outcomes(ENCODED, [*costly, good]))
        after = [[type(outcome) for outcome in pool.outcomes(ENCODED, [*costly, good])] for _ in range(8)]
        # By now all of them are known, or wait for the budget, and another owner's query comes first.
        assert after[-1] == [Match, *[OverBudget] * 60]
        # On a busy machine a small query may take longer than is free.
        assert pool.budgets.available("bad") <= 0 < CAPACITY / 2 < pool.budgets.available(good.owner)
    finally:
        pool.close()
    kinds = [type(outcome) for outcome in outcomes]
    # A query may take twice its time before it is stopped.
    assert kinds.count(OverBudget) >= 60 - 2 * EVENT_SECONDS / FIRST_TRY
    assert kinds.count(Match) == 1


def test_a_budget_is_refilled_and_small_evaluations_are_free() -> None:
    seconds = [0.0]
    budgets = OwnerBudgets(clock=lambda: seconds[0])
    for _ in range(10_000):
        budgets.charge("owner", FREE_SECONDS)
    assert budgets.available("owner") == CAPACITY
    budgets.charge("owner", CAPACITY + 1 + FREE_SECONDS)
    assert (budgets.available("owner"), budgets.available("other")) == (pytest.approx(-1), CAPACITY)
    seconds[0] += 2 / REFILL
    assert budgets.available("owner") == pytest.approx(1)
    seconds[0] += 100 / REFILL
    assert budgets.available("owner") == CAPACITY


def test_the_process_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top secret")
    evaluator = EvaluatorProcess()
    try:
        environment = Path(f"/proc/{evaluator.pid}/environ").read_bytes()
        assert b"top secret" not in environment
    finally:
        evaluator.kill()


def test_many_subscriptions_have_the_outcomes_that_each_has_alone(pool: EvaluatorPool) -> None:
    queries = ["event_type == 'CREATE'", "event_type == 'X'", "abs(files)", "files.cell_json[?name == 'b']"]
    clauses = [{"term": {"files.cell_json.name": name}} for name in "ac"]
    some = [asking(query) for query in [*queries, None] * 5]
    some += [asking(es_query={"query": clause}) for clause in clauses * 5]

    together = {one.subscription.uuid: type(one) for one in pool.outcomes(ENCODED, some)}
    again = {one.subscription.uuid: type(one) for one in pool.outcomes(ENCODED, some)}

    alone = [outcome for one in some for outcome in pool.outcomes(ENCODED, [one])]
    assert together == again == {one.subscription.uuid: type(one) for one in alone}
    assert sorted(kind.__name__ for kind in together.values()) == ["Failure"] * 5 + ["Match"] * 20


def test_a_process_is_told_of_a_subscription_once_and_again_when_it_has_changed() -> None:
    told: list[int] = []

    class Told(EvaluatorProcess):
        def _write(self, message: Any, content: bytes = b"") -> None:
            told.append(len(message.get("define", ())))
            super()._write(message, content)

    pool = EvaluatorPool(start=Told)
    some = [asking(f"event_type == '{number}'") for number in range(30)]
    changed = [replace(some[0], jmespath_query="event_type == 'CREATE'"), *map(replace, some[1:])]
    try:
        found = [matching(pool, *subscriptions) for subscriptions in (some, some, changed)]
    finally:
        pool.close()

    assert found == [[], [], [changed[0]]]
    assert sum(told) == 31


def test_a_process_that_fails_while_it_looks_up_loses_no_match() -> None:
    class Failing(EvaluatorProcess):
        def candidates(self, document: bytes, subscriptions: Any) -> list[Subscription]:
            self._process.kill()
            return super().candidates(document, subscriptions)

    pool = EvaluatorPool(start=Failing)
    some = [asking("event_type == 'CREATE'") for _ in range(20)]
    try:
        assert sorted(one.uuid for one in matching(pool, *some)) == sorted(one.uuid for one in some)
    finally:
        pool.close()


def test_dense_queries_of_others_keep_nobody_from_being_matched() -> None:
    """Kept parsed without a bound, they filled the memory of each evaluator, and nobody was matched."""
    dense = [asking(f"a{number}{'[]' * 250}", owner=f"owner {number // 100}") for number in range(3000)]
    mine = asking("event_type == 'CREATE' && contains(manifest.files[].name, 'cell_0.json')")
    own = EvaluatorPool()
    try:
        assert matching(own, *dense, mine) == [mine]
    finally:
        own.close()
