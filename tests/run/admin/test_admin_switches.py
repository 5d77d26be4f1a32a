"""`dss admin read-only`, `stop` and `start`: what is switched off waits, and nothing of it is lost."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from dss.commands.context import Context
from local.components.events import subscriptions
from run.admin.deliveries import SCHEDULED, Deliveries
from run.admin.switches import start, stop
from shared.catalog import SCHEMA, Switch, Switches
from shared.config import Settings
from tests.run.admin.test_admin_runs import api, clouds, env
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.checkouts import await_checkout, check_out, checkout_status
from tests.support.clouds import Clouds
from tests.support.command_line import dss_here
from tests.support.dss import firestore_client, open_dss_for_threads
from tests.support.subscriber import Subscriber, subscriber
from tests.support.terraform_cli import ROOT
from tests.support.waiting import wait_until

__all__ = ["api", "clouds", "env"]
WHY = ("--reason", "a bad release")
QUEUES = sorted(row["name"] for row in subscriptions())
PUSHED = {"message": {"messageId": "1"}, "subscription": "projects/p/subscriptions/sync"}
SCHEDULES = sorted(f"dss-{name}" for name in SCHEDULED)


@pytest.fixture
def on_again(env: Mapping[str, str]) -> Iterator[None]:
    """Switch everything on at the end, as if it had never been off."""
    yield
    assert dss_here(env, "admin", "start").code == 0
    firestore_client(env).collection("operation").document("switches").delete()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets commands wait no longer until all processes obey, where a test does not rely on it."""

    def do() -> None:
        monkeypatch.setattr("run.admin.switches._OBEYED_SECONDS", 0)
        monkeypatch.setattr("shared.maintenance.migrations._KNOWN_SECONDS", 0)

    return do


@pytest.fixture
def deliveries(env: Mapping[str, str]) -> Deliveries:
    return Deliveries(Settings.from_environment(env))


@pytest.fixture(scope="module")
def people() -> Iterator[Subscriber]:
    with subscriber() as running:
        yield running


def health(env: Mapping[str, str]) -> dict[str, Any]:
    answer = requests.get(f"{env['DSS_URL']}/internal/health", timeout=60)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.usefixtures("on_again")
def test_writes_are_refused_with_the_reason_and_reads_go_on(
    env: Mapping[str, str], whole_system: dict[str, str], api: Api, clouds: Clouds
) -> None:
    file = put_file(api, clouds.stage("gcp", b"before"))
    subscription = {"callback_url": "https://example.org/"}

    dry = dss_here(env, "admin", "read-only", "on", *WHY, "--dry-run")
    allowed = dss_here(env, "admin", "read-only", "show", "--json").json
    turned = dss_here(env, "admin", "read-only", "on", *WHY, "--json")
    refused = api.put("/v1/subscriptions", replica="gcp", json=subscription)

    assert "nothing was changed" in dry.out
    assert allowed == {"read_only": None, "stopped": None}
    assert (turned.code, turned.json["read_only"]["reason"]) == (0, "a bad release")
    assert (refused.status_code, refused.json()["code"]) == (503, "read_only")
    assert "a bad release" in refused.json()["title"]
    assert api.head(f"/v1/files/{file.uuid}", replica="gcp").status_code == 200
    shown = health(whole_system)
    assert (shown["Healthy"], set(shown)) == (True, {"Healthy", "read_only"})
    assert dss_here(env, "admin", "read-only", "on", "--reason", " ").code != 0

    assert dss_here(env, "admin", "read-only", "off").code == 0

    put_file(api, clouds.stage("gcp", b"after"))
    wait_until(lambda: set(health(whole_system)) == {"Healthy"}, "health is as ever")


@pytest.mark.usefixtures("on_again")
def test_a_queue_of_a_stopped_system_is_dumped_purged_and_fed_back(
    env: Mapping[str, str], api: Api, clouds: Clouds, tmp_path: Path, hurry: Callable[[], None]
) -> None:
    hurry()
    file = tmp_path / "sync"
    pushed = dss_here(env, "admin", "queues", "dump", "sync", file)
    unknown = dss_here(env, "admin", "queues", "purge", "nothing", "--yes")
    assert dss_here(env, "admin", "stop", *WHY).code == 0
    key = f"files/{put_file(api, clouds.stage('gcp', os.urandom(100)))}"

    listed = dss_here(env, "admin", "queues", "list", "--json").json["queues"]
    moving = ("admin", "queues", "dump", "sync", file, "--wait", 2, "--remove", "--json")
    would = dss_here(env, *moving, "--dry-run").json
    assert would["count"] >= 1 and not file.exists()
    kept = dss_here(env, "admin", "queues", "dump", "sync", tmp_path / "kept", "--wait", 2, "--json").json
    moved = dss_here(env, *moving).json
    empty = dss_here(env, "admin", "queues", "purge", "sync", "--wait", 1, "--yes", "--json").json
    dry = dss_here(env, "admin", "queues", "feed", file, "--dry-run", "--json").json
    lost = dss_here(env, "admin", "queues", "purge", "index", "--wait", 1, "--yes", "--json").json

    assert (pushed.code, "dss admin stop first" in pushed.err) == (1, True)
    assert (unknown.code, "'nothing' is none of" in unknown.err) == (1, True)
    assert [row["queue"] for row in listed] == QUEUES and not any(row["pushed"] for row in listed)
    assert 1 <= would["count"] <= kept["count"] <= moved["count"]
    # Events of what other tests have written may come meanwhile.
    assert empty["count"] <= moved["count"] and lost["count"] >= 1
    assert key in {row["attributes"]["objectId"] for row in dry["letters"]}

    assert dss_here(env, "admin", "start").code == 0
    assert dss_here(env, "admin", "queues", "feed", file).code == 0
    path = f"/v1/files/{key.removeprefix('files/').partition('.')[0]}"
    wait_until(lambda: api.head(path, replica="aws").status_code == 200, "what was fed replicates")


@pytest.mark.usefixtures("on_again")
def test_all_stops_and_goes_on_where_it_was(
    env: Mapping[str, str],
    whole_system: dict[str, str],
    api: Api,
    clouds: Clouds,
    deliveries: Deliveries,
    people: Subscriber,
    tmp_path: Path,
    hurry: Callable[[], None],
) -> None:
    path, uuid = f"/ok/{new_uuid()}", new_uuid()
    wanted = {"callback_url": people.url(path), "jmespath_query": f"bundle_info.uuid == '{uuid}'"}
    assert api.put("/v1/subscriptions", replica="aws", json=wanted).status_code == 201

    endpoint = deliveries.pushes()["sync"]["pushEndpoint"]
    dry = dss_here(env, "admin", "stop", *WHY, "--dry-run", "--json").json
    stopped = dss_here(env, "admin", "stop", *WHY, "--json")
    hurry()
    again = dss_here(env, "admin", "stop", *WHY, "--json")
    # The API goes on.
    file = put_file(api, clouds.stage("gcp", os.urandom(100)))
    bundle = put_bundle(api, "gcp", [file.named("a.bin")], bundle=Version(uuid, now()))
    checkout = check_out(api, "gcp", bundle)
    run = dss_here(env, "admin", "resync", "--prefix", "files/ffffffff", "--remote", "--json").json["run"]
    # It looks until nothing has come for two seconds.
    copied = dss_here(env, "admin", "queues", "dump", "sync", tmp_path / "sync", "--wait", 2, "--json").json
    called = requests.post(endpoint, json=PUSHED, timeout=60)

    assert (dry["subscriptions"], dry["schedules"]) == (QUEUES, SCHEDULES)
    assert (stopped.code, stopped.json["subscriptions"], stopped.json["schedules"]) == (0, QUEUES, SCHEDULES)
    assert (again.code, again.json["subscriptions"]) == (0, [])
    assert stopped.json["seconds"] < 10
    assert not any(deliveries.pushes().values()) and not any(deliveries.schedules().values())
    assert health(whole_system)["stopped"]["reason"] == "a bad release"
    # All is where it was: in its queue, or at the step that is next.
    assert copied["count"] >= 2
    assert (called.status_code, called.text) == (503, "stopped by an operator: a bad release")
    assert api.get(f"/v1/bundles/{uuid}", replica="aws").status_code == 404
    assert checkout_status(api, "gcp", checkout)["status"] == "RUNNING"
    assert run not in {row["run"] for row in dss_here(env, "admin", "runs", "list", "--json").json["runs"]}
    assert people.calls_of(path) == []

    started = dss_here(env, "admin", "start", "--json")

    assert (started.code, started.json["subscriptions"], started.json["schedules"]) == (0, QUEUES, SCHEDULES)
    assert started.json["seconds"] < 10
    assert all(deliveries.pushes().values()) and all(deliveries.schedules().values())
    assert len(people.wait_for(path)) == 1
    assert await_checkout(api, "gcp", checkout)["status"] == "SUCCEEDED"
    wait_until(lambda: dss_here(env, "admin", "runs", "show", run).code == 0, "the workflow has gone on")
    assert dss_here(env, "admin", "verify", f"bundles/{bundle}", "--with-files").code == 0


@pytest.mark.usefixtures("on_again")
def test_who_starts_forgets_nothing_that_a_stop_meanwhile_needs(env: Mapping[str, str]) -> None:
    switches = open_dss_for_threads(env, publishes=False).catalog.switches
    now = datetime.now(UTC)
    switch = Switch(reason="a bad release", by="ada@example.org", since=now)

    for kept in ("one", "another"):
        switches.stop(switch, {kept: "{}"})
    switches.forget_pushes()
    stopped = switches.get()
    switches.start(now)
    started = switches.get()
    switches.forget_pushes()

    assert (stopped.stopped, set(stopped.pushes)) == (switch, {"one", "another"})
    assert (started.stopped, started.started, set(started.pushes)) == (None, now, {"one", "another"})
    assert not switches.get().pushes


class World:
    """The subscriptions and schedules of a project and what is kept of them; a call may be the last one."""

    def __init__(self) -> None:
        self.known = Switches()
        self.pushing: dict[str, dict[str, str]] = {name: {"pushEndpoint": name} for name in ("sync", "index")}
        self.on = {"dss-sweep": True}
        self.calls_left = 99
        self._lock = threading.Lock()

    def step(self) -> None:
        with self._lock:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise KeyboardInterrupt

    # Deliveries
    def pushes(self) -> dict[str, dict[str, str]]:
        return dict(self.pushing)

    def set_push(self, name: str, push: dict[str, str]) -> None:
        self.step()
        self.pushing[name] = push

    def schedules(self) -> dict[str, bool]:
        return dict(self.on)

    def set_schedule(self, name: str, *, on: bool) -> None:
        self.step()
        self.on[name] = on

    # The catalog
    def get(self) -> Switches:
        return self.known

    def stop(self, switch: Switch, pushes: dict[str, str]) -> None:
        self.step()
        self.known = replace(self.known, stopped=switch, pushes={**self.known.pushes, **pushes})

    def start(self, at: datetime) -> None:
        self.step()
        self.known = replace(self.known, stopped=None, started=at)

    def forget_pushes(self) -> None:
        self.step()
        self.known = replace(self.known, pushes={} if not self.known.stopped else self.known.pushes)

    def check(self) -> None:
        """Nothing is lost, and nothing is taken away while the system is not stopped, or about to start."""
        for name, push in self.pushing.items():
            assert push or json.loads(self.known.pushes[name]) == {"pushEndpoint": name}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    clock = SimpleNamespace(now=lambda: datetime.now(UTC), sleep=lambda _: None)
    parts = SimpleNamespace(catalog=SimpleNamespace(switches=world), clock=clock)
    for name, value in (
        ("operator_settings", lambda: nullcontext(None)),
        ("open_system", lambda _: parts),
        ("Deliveries", lambda _: world),
        ("operator_of", lambda _: SimpleNamespace(name="ada@example.org")),
    ):
        monkeypatch.setattr(f"run.admin.switches.{name}", value)
    return world


@pytest.mark.parametrize("last", range(5))
def test_a_stop_or_start_that_is_killed_loses_nothing(world: World, last: int) -> None:
    context = Context(json=True)
    for command in (
        partial(stop, context, "a bad release", dry_run=False),
        partial(start, context, dry_run=False),
    ):
        world.calls_left = last
        # The last of them may be enough.
        with suppress(KeyboardInterrupt):
            command()
        world.check()
        world.calls_left = 99
        assert command() == 0
        world.check()
        is_stopped = command.func is stop
        assert bool(world.known.stopped) is is_stopped
        assert not is_stopped or (not any(world.pushing.values()) and not any(world.on.values()))

    assert world.pushing == World().pushing and world.on == World().on
    assert not world.known.pushes and world.known.started


def test_what_is_gone_when_the_system_starts_is_named_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    context = Context(json=True)
    stop(context, "a bad release", dry_run=False)
    del world.pushing["sync"]
    # Terraform was applied meanwhile.
    world.pushing["index"] = {"pushEndpoint": "newer"}

    codes = [start(context, dry_run=False) for _ in range(2)]

    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (codes, [row["gone"] for row in results[1:]]) == ([1, 0], [["sync"], []])
    assert world.pushing == {"index": {"pushEndpoint": "newer"}}


def test_the_catalog_is_migrated_once(env: Mapping[str, str], hurry: Callable[[], None]) -> None:
    hurry()
    dry = dss_here(env, "admin", "migrate", "--dry-run", "--json").json
    done = dss_here(env, "admin", "migrate", "--json").json
    again = dss_here(env, "admin", "migrate", "--json").json

    assert [step["done"] for step in dry["steps"]] == [False] * (SCHEMA - dry["before"])
    assert (len(done["steps"]), done["before"]) == (len(dry["steps"]), dry["before"])
    assert (again["before"], again["steps"]) == (SCHEMA, [])


@pytest.mark.usefixtures("on_again")
def test_processes_of_an_older_release_refuse_to_write(
    env: Mapping[str, str], whole_system: dict[str, str], api: Api, deliveries: Deliveries
) -> None:
    nothing = f"bundle_info.uuid == '{new_uuid()}'"
    wanted = {"callback_url": "https://example.org/", "jmespath_query": nothing}
    endpoint = deliveries.pushes()["sync"]["pushEndpoint"]
    switches = open_dss_for_threads(env, publishes=False).catalog.switches
    switches.set_schema(SCHEMA + 1)

    def refused() -> dict[str, Any] | None:
        answer = api.put("/v1/subscriptions", replica="gcp", json=wanted)
        return answer.json() if answer.status_code == 503 else None

    answer = wait_until(refused, "the API hears of the schema")
    wait_until(lambda: requests.post(endpoint, json=PUSHED, timeout=60).status_code == 503, "a function does")
    migrated = dss_here(env, "admin", "migrate")

    assert answer["code"] == "outdated"
    assert f"has schema {SCHEMA + 1}" in answer["title"]
    assert set(health(whole_system)) == {"Healthy", "outdated"}
    assert api.get("/v1/subscriptions", replica="gcp").status_code == 200
    assert (migrated.code, f"has schema {SCHEMA + 1}" in migrated.err) == (1, True)

    # The command returns when all processes know what there is.
    switches.set_schema(SCHEMA)
    assert dss_here(env, "admin", "read-only", "off").code == 0
    assert api.put("/v1/subscriptions", replica="gcp", json=wanted).status_code == 201


def test_the_schedules_are_those_of_terraform() -> None:
    text = (ROOT / "terraform" / "schedules.tf").read_text()
    [body] = re.findall(r"schedules = \{(.*?)\}", text, re.DOTALL)
    assert sorted(re.findall(r"(\w+) +=", body)) == sorted(SCHEDULED)
