"""The pictures of docs/pictures.md show what there is: functions, topics, subscriptions and workflows."""

import json
import re
from pathlib import Path

import functions.main
from shared import messages

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "pictures.md").read_text()
PARTS, EVENTS, WRITE = re.findall(r"^```mermaid\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TOPICS = {
    messages.OBJECT_EVENTS, messages.BUNDLE_EVENTS, messages.BUNDLE_CHANGES, messages.DELIVERIES,
    messages.DELIVERY_RETRIES, messages.REPLAYS, messages.DEAD_LETTERS,
}  # fmt: skip


def test_every_function_is_in_a_picture_and_no_other() -> None:
    drawn = set(re.findall(r"\b(\w+)\[\1\]", PARTS + EVENTS))

    assert drawn == set(functions.main.ENTRY_POINTS)


def test_every_topic_is_in_the_picture_of_events_and_no_other() -> None:
    assert set(re.findall(r"\b([\w-]+)\(\1\)", EVENTS)) == TOPICS


def test_every_subscription_is_an_arrow_from_its_topic_to_its_function() -> None:
    rows = json.loads((ROOT / "functions" / "subscriptions.json").read_text())
    arrows = re.findall(r"^  ([\w-]+)(?:\([\w-]+\))? -->\|([\w-]+)\| (\w+)", EVENTS, re.MULTILINE)
    drawn = {arrow for arrow in arrows if arrow[0] in TOPICS}

    assert drawn == {(row["topic"], row["name"], row["function"]) for row in rows}


def test_every_workflow_is_in_a_picture() -> None:
    drawn = set(re.findall(r"\{\{workflow (\w+)\}\}", PARTS))

    assert drawn == {path.stem for path in (ROOT / "workflows").glob("*.yaml")}
