"""Runbooks are walked with faults of parts of the system, which disturb nobody else."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from local.api import api_process
from shared.messages import DEAD_LETTERS, OBJECT_EVENTS
from tests.support.api import Api, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.firestore_proxy import CallFault, FirestoreProxy
from tests.support.function_process import function_process
from tests.support.manual_system import ManualSystem, manual_system_on
from tests.support.runbooks import FOLDER, look, over, remedy, run, shell
from tests.support.tcp_relay import TcpRelay, tcp_relay
from tests.support.topic_listener import listen_to
from tests.support.topics import make_topics
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def manual(stack: dict[str, str]) -> Iterator[ManualSystem]:
    """A system in which nothing happens by itself."""
    with manual_system_on(stack) as system:
        yield system


class Relayed:
    """An API that reaches Firestore and S3 by relays, which tests hold."""

    def __init__(self, running: ExitStack, env: Mapping[str, str]) -> None:
        self.env = env
        self.firestore: TcpRelay = running.enter_context(tcp_relay(env["FIRESTORE_EMULATOR_HOST"]))
        self.s3: TcpRelay = running.enter_context(tcp_relay(urlsplit(env["AWS_ENDPOINT_URL"]).netloc))
        settings = {
            "FIRESTORE_EMULATOR_HOST": self.firestore.address,
            "AWS_ENDPOINT_URL": f"http://{self.s3.address}",
            "DSS_REQUEST_SECONDS": "5",
        }
        self.process = running.enter_context(api_process(env, settings))
        self.api = Api(self.process.url, env["DSS_TOKEN"])


@pytest.fixture(scope="module")
def relayed(stack: dict[str, str]) -> Iterator[Relayed]:
    """Such an API, with a catalog that others have too."""
    with ExitStack() as running:
        yield Relayed(running, stack)


def broken(health: str, url: str) -> dict[str, str]:
    """Return what is broken by `/internal/health`."""
    head, _, body = shell(health, url).stdout.partition("\n\n")
    said = json.loads(body)
    assert (" 200" in head.splitlines()[0]) is said["Healthy"]
    found: dict[str, str] = said.get("broken", {})
    return found


def test_walk_api_down(relayed: Relayed) -> None:
    health = look("api-down", "curl --silent --include $DSS_URL/internal/health")
    url = relayed.process.url
    assert broken(health, url) == {}
    file = put_file(relayed.api, Clouds(relayed.env).stage("gcp", b"content"))

    relayed.s3.hold()
    remedy("api-down", "`broken` names buckets of one cloud", "other replica")
    wait_until(lambda: broken(health, url), "S3 is missed")
    assert {name.split()[0] for name in broken(health, url)} == {"aws"}
    assert relayed.api.head(f"/v1/files/{file.uuid}", replica="gcp").status_code == 200
    relayed.s3.resume()
    wait_until(lambda: not broken(health, url), "S3 is back")

    relayed.firestore.hold()
    remedy("api-down", "`broken` names the catalog", "restore-a-backup", "rebuild-the-catalog")
    wait_until(lambda: "catalog" in broken(health, url), "the catalog is missed")
    assert relayed.api.get("/v1/bundles/all", replica="gcp").status_code == 503
    relayed.firestore.resume()
    wait_until(lambda: not broken(health, url), "the catalog is back")

    relayed.process.kill()
    # curl: it could not connect.
    assert shell(health, url).returncode == 7
    assert shell(look("api-down", "curl --silent $DSS_URL/version"), url).returncode == 7
    relayed.process.start()
    assert 'answers 200 with `"Healthy": true`' in over("api-down")
    assert broken(health, url) == {}
    assert json.loads(shell("curl --silent $DSS_URL/version", url).stdout)["version_info"]


def test_walk_api_errors(relayed: Relayed) -> None:
    show = look("api-errors", "dss admin read-only show")
    url, env = relayed.process.url, relayed.env
    write = {"callback_url": "https://example.org/"}
    run(env, "dss admin read-only on --reason a-mistake")
    try:
        refused = relayed.api.put("/v1/subscriptions", replica="gcp", json=write)
        assert (refused.status_code, refused.json()["code"]) == (503, "read_only")
        assert "read-only: since" in run(env, show).out
        remedy("api-errors", "503 of all writes", "dss admin read-only off")
    finally:
        run(env, "dss admin read-only off")
    wait_until(lambda: relayed.api.put("/v1/subscriptions", replica="gcp", json=write).ok, "writes are taken")

    relayed.firestore.hold()
    failed = relayed.api.get("/v1/bundles/all", replica="gcp")
    relayed.firestore.resume()
    assert failed.status_code in (503, 504)
    remedy("api-errors", "503 with a back end's name", "api-down.md")
    health = look("api-errors", "curl --silent --include $DSS_URL/internal/health")
    wait_until(lambda: not broken(health, url), "the catalog is back")


def test_walk_api_slow(stack: dict[str, str]) -> None:
    version = look(
        "api-slow", "curl --silent --output /dev/null --write-out '%{time_total}\\n' $DSS_URL/version"
    )
    with (
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy,
        api_process(stack, {"FIRESTORE_EMULATOR_HOST": proxy.address}) as process,
    ):
        api = Api(process.url, stack["DSS_TOKEN"])
        proxy.inflict(CallFault(method="RunQuery", times=1, delay=6))
        assert api.get("/v1/bundles/all", replica="gcp").status_code in (200, 206)

        assert float(shell(version, process.url).stdout) < 5

        def slow() -> set[str]:
            lines = [line for line in process.log.read_text().splitlines() if line.startswith("{")]
            return {row["path"] for row in map(json.loads, lines) if row.get("milliseconds", 0) > 5000}

        # The line comes after the answer.
        wait_until(lambda: "/v1/bundles/all" in slow(), "the slow request is logged")
        assert "/version" not in slow()
    assert "jsonPayload.milliseconds>5000" in (FOLDER / "api-slow.md").read_text()
    remedy("api-slow", "one route", "its trace")


def test_walk_dead_letters(manual: ManualSystem) -> None:
    env = manual.env
    make_topics(env, OBJECT_EVENTS, DEAD_LETTERS)
    pubsub = f"http://{env['PUBSUB_EMULATOR_HOST']}/v1/projects/{env['GOOGLE_CLOUD_PROJECT']}"
    for name, of in (("sync", OBJECT_EVENTS), (DEAD_LETTERS, DEAD_LETTERS)):
        topic = {"topic": f"projects/{env['GOOGLE_CLOUD_PROJECT']}/topics/{of}"}
        assert requests.put(f"{pubsub}/subscriptions/{name}", json=topic, timeout=60).ok
    listing = look("dead-letters", "dss admin dead-letters list --wait 2")
    key = f"files/{put_file(manual.api, manual.clouds.stage('gcp', os.urandom(100)))}"
    event = {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": manual.clouds.main["gcp"],
        "objectId": key,
        "replica": "gcp",
    }
    with tcp_relay(urlsplit(env["AWS_ENDPOINT_URL"]).netloc) as s3:
        settings = {"AWS_ENDPOINT_URL": f"http://{s3.address}", "DSS_REQUEST_SECONDS": "5"}
        with (
            function_process("sync", {**env, **settings}) as sync,
            listen_to(dict(env), OBJECT_EVENTS) as events,
        ):
            s3.close()
            # The last attempt, after a day.
            assert sync.push(event, last=True).status_code == 200
            [letter] = run(env, listing, "--json").json["letters"]
            assert (letter["subscription"], key in json.dumps(letter)) == ("sync", True)
            assert letter["reason"]
            remedy("dead-letters", "a back end did not answer", "then replay")

            sync.kill()
            sync.start(AWS_ENDPOINT_URL=env["AWS_ENDPOINT_URL"])
            assert "dss admin dead-letters replay --id ID" in (FOLDER / "dead-letters.md").read_text()
            run(env, "dss admin dead-letters replay --id", letter["id"], "--wait", 2)
            events.drain()
            [again] = [row for row in events.attributes if row["objectId"] == key]
            assert sync.push(again).status_code in (200, 204)

    assert run(env, "dss admin dead-letters list --wait 2 --json").json["letters"] == []
    assert "list` shows none" in over("dead-letters")
    assert manual.api.head(f"/v1/{key.partition('.')[0]}", replica="aws").status_code == 200


def test_walk_event_age(manual: ManualSystem) -> None:
    env = manual.env
    backlog = look("event-age", "dss admin replication --seconds 0")
    file = put_file(manual.api, manual.clouds.stage("gcp", os.urandom(9)))
    key = f"bundles/{put_bundle(manual.api, 'gcp', [file.named('a')])}"

    assert unpublished(env, backlog) >= 1
    remedy("event-age", "one bundle, again and again", "dss admin events record KEY")
    run(env, "dss admin events record", key, "--replica", "gcp")

    assert "shows nothing in `unpublished`" in over("event-age")
    assert unpublished(env, backlog) == 0


def unpublished(env: Mapping[str, str], backlog: str) -> int:
    """Return how many events gcp has not published."""
    return int(run(env, backlog, "--json").json["replicas"]["gcp"]["unpublished"])


def test_walk_journal_age(manual: ManualSystem) -> None:
    # All events are old enough.
    env = {**manual.env, "DSS_JOURNAL_SECONDS": "0"}
    due = look("journal-age", "dss admin events journal --dry-run")
    file = put_file(manual.api, manual.clouds.stage("gcp", os.urandom(9)))
    bundle = put_bundle(manual.api, "gcp", [file.named("a")])
    manual.replicate("gcp", f"files/{file}", f"bundles/{bundle}")
    for replica in ("gcp", "aws"):
        manual.publish_event(replica, f"bundles/{bundle}")
    manual.remove("gcp", f"documents/{bundle}")
    assert left(env, due) >= 1

    failed = run(env, "dss admin events journal", codes=(1,))
    assert f"documents/{bundle}: there is no such object" in failed.out
    remedy("journal-age", "a metadata document is lost", "dss admin audit --repair")
    run(env, "dss admin audit --repair --settled-after 0", codes=(0, 1))
    remedy("journal-age", "errors of a bucket", "dss admin events journal")
    run(env, "dss admin events journal")

    assert "nothing that is due" in over("journal-age")
    assert left(env, due) == 0


def left(env: Mapping[str, str], due: str) -> int:
    """Return how many events of gcp are in no journal."""
    rows = run(env, due, "--json").json["replicas"]
    return sum(int(row["left"]) for row in rows if row["replica"] == "gcp")
