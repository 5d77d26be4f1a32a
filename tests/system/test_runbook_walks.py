"""Each runbook is walked: a fault is made, seen as it says, mended as it says, and over as it says.

These faults are of the whole system; tests/system/test_runbook_walks_apart.py has those of parts of it.
"""

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from run.admin.deliveries import Deliveries
from shared.config import Settings
from tests.run.admin.test_admin_runs import api, clouds, env, put_list
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.catalogues import BAD, GOOD, new_setting, put_files
from tests.support.clouds import Clouds
from tests.support.command_line import start
from tests.support.runbooks import FOLDER, look, over, remedy, run
from tests.support.subscriber import Subscriber, subscriber
from tests.support.waiting import wait_until

__all__ = ["api", "clouds", "env"]
# A service at its largest number of instances, and a quota: one machine has neither.
NOT_WALKED = {"instances", "quota"}
# test_runbooks.py
ELSEWHERE = {"replication-age"}


def test_all_runbooks_but_those_of_clouds_are_walked() -> None:
    files = [path.read_text() for path in Path(__file__).parent.glob("test_runbook_walks*.py")]
    found = [name for text in files for name in re.findall(r"^def test_walk_(\w+)", text, re.MULTILINE)]
    walks = {name.replace("_", "-") for name in found}

    assert walks | NOT_WALKED | ELSEWHERE == {path.stem for path in FOLDER.glob("*.md")}
    assert not walks & (NOT_WALKED | ELSEWHERE)


@pytest.fixture
def running_again(env: Mapping[str, str]) -> Iterator[None]:
    """Start what a test has stopped."""
    yield
    run(env, "dss admin start")


@pytest.fixture(scope="module")
def people() -> Iterator[Subscriber]:
    """Subscribers."""
    with subscriber() as running:
        yield running


@pytest.mark.usefixtures("running_again")
def test_walk_deliveries_stay(
    env: Mapping[str, str], api: Api, clouds: Clouds, people: Subscriber, tmp_path: Path
) -> None:
    path, uuid = f"/ok/{new_uuid()}", new_uuid()
    people.answers[path] = 500
    wanted = {"callback_url": people.url(path), "jmespath_query": f"bundle_info.uuid == '{uuid}'"}
    assert api.put("/v1/subscriptions", replica="gcp", json=wanted).status_code == 201
    file = put_file(api, clouds.stage("gcp", os.urandom(9)))
    put_bundle(api, "gcp", [file.named("a")], bundle=Version(uuid, now()))
    people.wait_for(path, 2)
    text = (FOLDER / "deliveries-stay.md").read_text()
    for line in (
        "dss admin stop --reason 'deliveries are saved'",
        "dss admin queues dump delivery-retries deliveries.jsonl --remove",
        "dss admin start",
        "dss admin queues feed deliveries.jsonl",
    ):
        assert f"\n{line}\n" in text
    saved = tmp_path / "deliveries.jsonl"

    run(env, "dss admin stop --reason saved")
    assert "stopped: since" in run(env, look("deliveries-stay", "dss admin read-only show")).out
    [row] = [
        row
        for row in run(env, look("deliveries-stay", "dss admin queues list"), "--json").json["queues"]
        if row["queue"] == "delivery-retries"
    ]
    assert not row["pushed"]

    def dumped() -> bool:
        # A message that was at work comes back after its deadline.
        run(env, "dss admin queues dump delivery-retries", saved, "--remove", "--wait", 2)
        if uuid in saved.read_text():
            return True
        saved.unlink()
        return False

    wait_until(dumped, "the notification is in the file")
    del people.answers[path]
    remedy("deliveries-stay", "`stopped: since …`", "dss admin start")
    run(env, "dss admin start")
    before = len(people.calls_of(path))
    run(env, "dss admin queues feed", saved)
    people.wait_for(path, before + 1)


def test_walk_catalogue_age(env: Mapping[str, str], api: Api, clouds: Clouds) -> None:
    bundle = put_files(api, clouds, new_setting(), BAD)
    failures = look("catalogue-age", "dss admin explore failures")

    def reasons() -> list[str]:
        rows = run(env, failures, "--prefix", bundle.uuid, "--json", codes=(0, 1)).json["failures"]
        return [row["reason"] for row in rows if row["fqid"] == str(bundle)]

    wait_until(reasons, "the failure is listed")
    remedy("catalogue-age", "failures with a reason", "the reason names file and field")
    assert "links.json" in reasons()[0]
    status = look("catalogue-age", "dss admin explore status")
    assert "`dss admin explore status` shows nothing that waits" in over("catalogue-age")

    def waiting() -> int:
        return int(run(env, status, "--json").json["catalogs"]["hca"]["waiting"])

    # It has failed, and so it is no lag.
    wait_until(lambda: waiting() == 0, "nothing waits")


@pytest.mark.usefixtures("running_again")
def test_walk_changes_stay(env: Mapping[str, str], api: Api, clouds: Clouds) -> None:
    setting = new_setting()
    bundle = put_files(api, clouds, setting, GOOD)

    def differences() -> int:
        # What is under way counts.
        at_once = {**env, "DSS_SWEEP_SECONDS": "0"}
        line = ("dss admin explore check --prefix", setting.prefix, "--json")
        return int(run(at_once, *line, codes=(0, 1)).json["counts"]["findings"])

    wait_until(lambda: not differences(), "the catalogue has it")
    run(env, "dss admin stop --reason changes")
    run(env, "dss admin access add", bundle.uuid, "dss")

    queues = run(env, look("changes-stay", "dss admin queues list"), "--json").json["queues"]
    assert not any(row["pushed"] for row in queues)
    assert "stopped: since" in run(env, look("changes-stay", "dss admin read-only show")).out
    assert differences() == 1
    remedy("changes-stay", "`stopped: since …`", "dss admin start")
    run(env, "dss admin start")

    assert "`dss admin explore check` finds no difference" in over("changes-stay")
    wait_until(lambda: not differences(), "no difference is left")


@pytest.mark.usefixtures("running_again")
def test_walk_pushes_fail(env: Mapping[str, str], api: Api, clouds: Clouds) -> None:
    queues = look("pushes-fail", "dss admin queues list")
    deliveries = Deliveries(Settings.from_environment(env))
    push = deliveries.pushes()["sync"]
    run(env, "dss admin stop --reason pushes")

    # As `terraform apply` would.
    control = f"http://{env['DSS_PUSH_EMULATOR_HOST']}/v1/projects/{env['GOOGLE_CLOUD_PROJECT']}"
    given = {"pushConfig": push}
    requests.post(f"{control}/subscriptions/sync:modifyPushConfig", json=given, timeout=60).raise_for_status()
    assert pushed(env, queues) == {"sync"}
    file = put_file(api, clouds.stage("gcp", os.urandom(9)))
    called = requests.post(push["pushEndpoint"], json={"message": {"messageId": "1"}}, timeout=60)
    assert (called.status_code, "stopped by an operator" in called.text) == (503, True)
    remedy("pushes-fail", "`stopped by an operator`", "dss admin stop", "dss admin start")
    run(env, "dss admin stop --reason pushes")
    assert pushed(env, queues) == set()
    run(env, "dss admin start")

    assert "what waited comes by itself" in over("pushes-fail")
    path = f"/v1/files/{file.uuid}"
    wait_until(lambda: api.head(path, replica="aws").status_code == 200, "the file is in aws", seconds=240)


def pushed(env: Mapping[str, str], queues: str) -> set[str]:
    """Return the queues that are pushed."""
    return {row["queue"] for row in run(env, queues, "--json").json["queues"] if row["pushed"]}


def test_walk_run_problems(env: Mapping[str, str], api: Api, clouds: Clouds) -> None:
    key = f"files/{put_file(api, clouds.stage('gcp', os.urandom(9)))}"
    path = f"/v1/{key.partition('.')[0]}"
    wait_until(lambda: api.head(path, replica="aws").status_code == 200, "the file is in aws")
    clouds.s3.delete_object(Bucket=clouds.main["aws"], Key=key)

    found = run(env, "dss admin audit --remote --wait", "--json", codes=(1,)).json["run"]
    assert found in run(env, look("run-problems", "dss admin runs list")).out
    assert [row["replica"] for row in findings(env, clouds, found, key)] == ["aws"]
    remedy("run-problems", "lost, or wrong content, on one replica", "dss admin repair KEY")
    run(env, "dss admin repair", key)

    assert "`dss admin audit --remote --wait`" in over("run-problems")
    again = run(env, "dss admin audit --remote --wait", "--json", codes=(0, 1)).json["run"]
    assert findings(env, clouds, again, key) == []


def findings(env: Mapping[str, str], clouds: Clouds, name: str, key: str) -> list[dict[str, Any]]:
    """Return the lines of a run's report about a key."""
    shown = run(env, look("run-problems", "dss admin runs show RUN").replace("RUN", name), codes=(0, 1)).out
    [url] = re.findall(r"report: gs://(\S+)", shown)
    bucket, _, folder = url.partition("/")
    blobs = [blob for blob in clouds.gcs.list_blobs(bucket, prefix=folder) if blob.name.endswith(".jsonl")]
    rows = [json.loads(line) for blob in blobs for line in blob.download_as_bytes().splitlines()]
    return [row for row in rows if row.get("key") == key]


@pytest.mark.usefixtures("running_again")
def test_walk_schedules_fail(env: Mapping[str, str], whole_system: dict[str, str]) -> None:
    deliveries = Deliveries(Settings.from_environment(env))
    log = Path(whole_system["DSS_LOCAL_DATA"]) / "logs" / "sweep.log"
    run(env, "dss admin stop --reason schedules")
    assert not any(deliveries.schedules().values())
    assert "stopped: since" in run(env, look("schedules-fail", "dss admin read-only show")).out
    remedy("schedules-fail", "jobs are paused", "dss admin start")
    size = log.stat().st_size
    run(env, "dss admin start")
    assert all(deliveries.schedules().values())

    assert "have a line of backlogs" in over("schedules-fail")
    wait_until(lambda: b"replication backlog" in log.read_bytes()[size:], "a sweep", seconds=240)


def test_walk_workflows_fail(env: Mapping[str, str], api: Api, clouds: Clouds) -> None:
    file = put_file(api, clouds.stage("gcp", os.urandom(9)))
    url = put_list(env, clouds, *[f"files/{file}"] * 300)
    refused = run(env, "dss admin resync --list", f"{url}-not", "--remote", "--wait", codes=(1,))
    assert f"{url}-not: there is no such object" in refused.err

    # It ends in the middle of its slices.
    runs = look("workflows-fail", "dss admin runs list")
    before = {row["run"] for row in run(env, runs, "--json").json["runs"]}
    process = start(env, "admin", "resync", "--list", url, "--page", 1)

    def begun() -> list[str]:
        rows = run(env, runs, "--json").json["runs"]
        new = [row for row in rows if row["run"] not in before and row["kind"] == "resync"]
        return [row["run"] for row in new if any(row["counts"].values())]

    [name] = wait_until(begun, "the run has done a slice")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)

    shown = run(env, f"dss admin runs show {name}", codes=(1,)).out
    assert "it was interrupted" in shown
    remedy("workflows-fail", "`dss-administer`", "dss admin runs show RUN", "dss admin runs resume RUN")
    run(env, f"dss admin runs resume {name} --remote --wait")

    assert "no run that failed and was not resumed" in over("workflows-fail")
    assert run(env, f"dss admin runs show {name} --json").json["state"] == "SUCCEEDED"
