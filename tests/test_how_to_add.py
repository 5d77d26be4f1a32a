"""A route and a consumer of events are added as docs/how-to-add.md says, with the blocks of that page."""

import base64
import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import functions_framework
import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

import functions.runtime
from run.api import app, contract, limits
from shared.catalog import Switches
from shared.messages import DEAD_LETTERS, BundleEvent
from shared.tracing import Tracer
from tests.run.api.test_errors import Broken, broken_application
from tests.support.replication import RecordingPublisher

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how-to-add.md").read_text()
NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
EVENT = BundleEvent(id="1", replica="gcp", type="CREATE", uuid="u", version="v", timestamp="t")


def block(title: str, language: str) -> str:
    """Return the one block of a section in a language."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    [found] = re.findall(rf"^   ```{language}\n(.*?)^   ```$", section, re.MULTILINE | re.DOTALL)
    # It is part of a list.
    return re.sub(r"^   ", "", found, flags=re.MULTILINE)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """An API with the route of the page."""
    document = contract._DOCUMENT.read_text()
    added = document.replace("\npaths:\n", f"\npaths:\n{block('A route', 'yaml')}\n", 1)
    assert added != document
    (tmp_path / "dss-api.yml").write_text(added)
    module = ModuleType("run.api.clock")
    exec(block("A route", "python"), vars(module))
    monkeypatch.setattr(contract, "_DOCUMENT", tmp_path / "dss-api.yml")
    monkeypatch.setitem(app.AREAS, "clock", module)
    monkeypatch.setitem(limits.COSTS, "clock.get", 1)
    at_rest: Any = SimpleNamespace(now=lambda: NOW)
    original = app.create_app
    monkeypatch.setattr(
        "tests.run.api.test_errors.create_app",
        lambda dss: original(dataclasses.replace(dss, clock=at_rest)),
    )
    return broken_application(Broken(ZeroDivisionError())).test_client()


def test_a_route_is_an_operation_a_function_and_its_rows(client: FlaskClient) -> None:
    answer = client.get("/v1/clock?ahead=60")

    assert (answer.status_code, answer.get_json()) == (200, {"now": "2026-01-12T093100.000000Z"})
    assert client.get("/v1/clock").get_json() == {"now": "2026-01-12T093000.000000Z"}
    assert "/clock" in client.get("/v1/swagger.json").get_json()["paths"]


def test_the_contract_checks_what_a_new_route_is_given(client: FlaskClient) -> None:
    answer = client.get("/v1/clock?ahead=-1")

    assert (answer.status_code, answer.get_json()["code"]) == (400, "illegal_arguments")
    assert "ahead" in answer.get_json()["title"]


class Consumer:
    """The function of the page, under functions-framework, with a system of its own."""

    def __init__(self, directory: Path) -> None:
        self.publisher = RecordingPublisher()
        self.subscription = json.loads(block("A consumer of events", "json"))
        source = directory / f"{self.subscription['function']}.py"
        source.write_text(block("A consumer of events", "python"))
        self._client = functions_framework.create_app(
            self.subscription["function"], str(source), "http"
        ).test_client()

    @property
    def system(self) -> Any:
        """What the function is handed."""
        return SimpleNamespace(
            settings=SimpleNamespace(project="p", pubsub_prefix=""),
            catalog=SimpleNamespace(last_attempts=SimpleNamespace(begin=lambda *_: None)),
            publisher=self.publisher,
            clock=SimpleNamespace(now=lambda: NOW),
            switches=SimpleNamespace(check_running=lambda: None, current=Switches),
            tracer=Tracer(),
        )

    def push(self, attributes: dict[str, str], age: timedelta = timedelta(0)) -> int:
        """Return the status of the answer to a push of a message of that age."""
        body = {
            "message": {
                "attributes": attributes,
                "data": base64.b64encode(b"").decode(),
                "messageId": "7",
                "publishTime": (NOW - age).isoformat(),
            },
            "subscription": f"projects/p/subscriptions/{self.subscription['name']}",
        }
        status: int = self._client.post("/", json=body).status_code
        return status


@pytest.fixture
def consumer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Consumer]:
    made: list[Consumer] = []
    monkeypatch.setattr(functions.runtime, "system", lambda: made[0].system)
    made.append(Consumer(tmp_path))
    yield made[0]
    sys.modules.pop(made[0].subscription["function"], None)


def test_a_consumer_gets_each_event_and_acknowledges_it(consumer: Consumer) -> None:
    with capture_logs() as lines:
        assert consumer.push(EVENT.attributes) == 204

    assert [(line["event"], line["bundle"]) for line in lines] == [("received", "u.v")]


def test_what_a_consumer_cannot_do_comes_again_and_is_a_dead_letter_at_last(consumer: Consumer) -> None:
    assert consumer.push({"replica": "gcp"}) == 503
    assert consumer.publisher.messages == []

    tried_for = timedelta(seconds=consumer.subscription["give_up_after_seconds"])
    assert consumer.push({"replica": "gcp"}, age=tried_for) == 200
    [(topic, attributes)] = consumer.publisher.messages
    assert (topic, attributes["deadSubscription"]) == (DEAD_LETTERS, consumer.subscription["name"])


def test_the_subscription_of_the_page_is_like_the_others_and_its_topic_there() -> None:
    row = json.loads(block("A consumer of events", "json"))
    others = json.loads((ROOT / "functions" / "subscriptions.json").read_text())

    assert all(row.keys() <= other.keys() for other in others)
    assert row["topic"] in {other["topic"] for other in others}
    assert row["name"] not in {other["name"] for other in others}


def test_every_place_that_the_page_names_is_there() -> None:
    for path in set(re.findall(r"`((?:run|shared|functions|terraform|tests|local)/[\w/.-]+)`", PAGE)):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`([A-Z_]{4,})` in\s+`([\w/.]+)`", PAGE):
        assert re.search(rf"^{name[0]}\b", (ROOT / name[1]).read_text(), re.MULTILINE), name
