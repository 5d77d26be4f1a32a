"""Matching: what is found is right, and what never ends costs nobody else anything."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.catalog import Subscription
from shared.errors import Unavailable
from shared.webhooks.evaluation import Evaluation, Evaluator
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


@pytest.fixture(scope="module")
def evaluation() -> Iterator[Evaluation]:
    """What `notify` uses, over all tests."""
    evaluation = Evaluation()
    yield evaluation
    evaluation.close()


def asking(jmespath: str | None = None, **more: Any) -> Subscription:
    """Return a subscription."""
    return Subscription(
        uuid=new_uuid(),
        replica="gcp",
        owner="somebody",
        callback_url="https://example.org",
        created=datetime.now(UTC),
        jmespath_query=jmespath,
        **more,
    )


def matching(evaluation: Evaluation, *subscriptions: Subscription) -> list[Subscription]:
    """Return the subscriptions that the document matches, in the order in which they are found."""
    return [match.subscription for match in evaluation.matches(ENCODED, subscriptions)]


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
def test_a_query_matches_what_it_is_true_of(evaluation: Evaluation, query: str | None, matches: bool) -> None:
    subscription = asking(query)
    assert matching(evaluation, subscription) == [subscription] * matches


@pytest.mark.parametrize(
    ("clause", "matches"),
    [
        ({"match_all": {}}, True),
        ({"term": {"files.cell_json.name.keyword": "a"}}, True),
        ({"match": {"files.cell_json.name": "c"}}, False),
        ({"bool": {"must_not": [{"term": {"state": "new"}}]}}, False),
    ],
)
def test_an_elasticsearch_query_is_asked_of_the_indexed_document(
    evaluation: Evaluation, clause: dict[str, Any], matches: bool
) -> None:
    subscription = asking(es_query={"query": clause})
    assert matching(evaluation, subscription) == [subscription] * matches


def test_attachments_are_what_expressions_find(evaluation: Evaluation) -> None:
    wanted = {"names": "files.cell_json[].name", "none": "nothing", "wrong": "abs(files)", "odd": "f(@)"}
    # What JMESPath knows and JSON does not.
    wanted |= {"infinite": "to_number('inf')", "expression": "&files"}
    [match] = evaluation.matches(ENCODED, [asking(attachments=wanted)])
    found = match.found["attachments"]
    assert (found["names"], found["none"]) == (["a", "b"], None)
    assert found.keys() == {"names", "none", "_errors"}
    assert found["_errors"].keys() == {"wrong", "odd", "infinite", "expression"}
    assert "abs" in found["_errors"]["wrong"]
    assert "f()" in found["_errors"]["odd"]


@pytest.mark.parametrize(("size", "fits"), [(131_072, True), (131_073, False)])
def test_attachments_are_at_most_128_kib_as_json(evaluation: Evaluation, size: int, fits: bool) -> None:
    text = "x" * (size - len('{"a": ""}'))
    document = json.dumps({**DOCUMENT, "text": text}).encode()
    [match] = evaluation.matches(document, [asking(attachments={"a": "text"})])
    expected = {"a": text} if fits else {"_errors": f"Attachments too large ({size} > 131072)"}
    assert match.found["attachments"] == expected


def test_what_never_ends_harms_nobody(evaluation: Evaluation) -> None:
    good = [asking("event_type"), asking(es_query={"query": {"match_all": {}}})]
    bad = [asking(f"length({ENDLESS})"), asking(f"({HUGE}) == ({HUGE})")]
    attaching = asking(attachments={"a": LONG_TEXT})

    found = matching(evaluation, *bad, good[0], attaching, good[1])
    again = matching(evaluation, bad[0], *good)

    # An attachment that fails is an error, and no reason not to be notified.
    assert [one for one in found if one != attaching] == good
    # By now they are known, and come last.
    assert again == good


def test_an_attachment_that_never_ends_is_no_reason_not_to_be_notified(evaluation: Evaluation) -> None:
    attaching = asking("event_type", attachments={"a": f"length({ENDLESS})"})
    [match] = evaluation.matches(ENCODED, [attaching])
    assert match.subscription == attaching
    assert match.found["attachments"] == {"_errors": "Attachments: it did not come to an end"}


def test_a_process_that_is_lost_loses_one_subscription_only() -> None:
    class Mortal(Evaluator):
        """Is killed before its third answer."""

        answers = 0

        def answer(self) -> Any:
            Mortal.answers += 1
            if Mortal.answers == 3:
                self._process.kill()
                self._process.wait()
                self._buffer = b""
            return super().answer()

    evaluation = Evaluation(start=Mortal)
    subscriptions = [asking() for _ in range(6)]
    try:
        found = matching(evaluation, *subscriptions)
    finally:
        evaluation.close()
    # What was lost in its first try has a second one.
    assert sorted(one.uuid for one in found) == sorted(one.uuid for one in subscriptions)


def test_a_document_that_cannot_be_read_is_tried_again(evaluation: Evaluation) -> None:
    with pytest.raises(Unavailable, match="cannot be evaluated"):
        list(evaluation.matches(b"{no json", [asking()]))
    assert len(matching(evaluation, asking())) == 1


def test_who_is_asked_nothing_starts_nothing() -> None:
    def start() -> Evaluator:
        raise AssertionError("started")

    assert list(Evaluation(start=start).matches(ENCODED, [])) == []


def test_the_process_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "told to nobody")
    evaluator = Evaluator()
    try:
        environment = Path(f"/proc/{evaluator._process.pid}/environ").read_bytes()
        assert b"told to nobody" not in environment
    finally:
        evaluator.kill()
