"""`dss admin audit` and `dss admin replication`, as operators run them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from local.source_tree import ROOT
from shared.clock import SystemClock
from shared.maintenance.rates import gained_per_minute
from tests.support.clouds import REPLICAS
from tests.support.command_line import dss_here, environment
from tests.support.manual_system import ManualSystem, World, manual_system


@pytest.fixture(scope="module")
def system() -> Iterator[ManualSystem]:
    with manual_system() as system:
        yield system


@pytest.fixture(scope="module")
def world(system: ManualSystem) -> World:
    return system.replicated_world("gcp", b"content")


def env(system: ManualSystem) -> Mapping[str, str]:
    """What the command reads; nothing of the API, which it does without."""
    return {name: value for name, value in system.env.items() if name not in ("DSS_URL", "DSS_TOKEN")}


def test_an_audit_that_finds_nothing_ends_with_0(system: ManualSystem, world: World, tmp_path: Path) -> None:
    report = tmp_path / "report"

    outcome = dss_here(env(system), "admin", "audit", "--settled-after", 0, "--report", report, "--json")

    assert (outcome.code, outcome.err) == (0, "")
    objects = len(world.keys)
    none = dict.fromkeys(("lost", "dark", "corrupt", "unproven", "broken", "abandoned", "unsettled"), 0)
    assert outcome.json["replicas"] == {name: {"objects": objects, **none} for name in REPLICAS}
    assert (outcome.json["findings"], outcome.json["repaired"], outcome.json["known"]) == (0, 0, objects)
    summary = {name: value for name, value in outcome.json.items() if name != "first"}
    assert [json.loads(line) for line in report.read_text().splitlines()] == [{"summary": summary}]


def test_findings_end_with_1_and_are_repaired_when_asked(
    system: ManualSystem, world: World, tmp_path: Path
) -> None:
    damaged, report = "aws", tmp_path / "report"
    system.remove(damaged, world.blob)
    system.overwrite(damaged, "stray", b"?")

    seen = dss_here(env(system), "admin", "audit", "--settled-after", 0, "--report", report)
    other = dss_here(env(system), "admin", "audit", "--settled-after", 0, "--replica", "gcp")
    repair = dss_here(env(system), "admin", "--json", "audit", "--settled-after", 0, "--repair")
    after = dss_here(env(system), "admin", "audit", "--settled-after", 0, "--repair", "--json")
    system.remove(damaged, "stray")
    clean = dss_here(env(system), "admin", "audit", "--settled-after", 0)

    assert [seen.code, other.code, repair.code, after.code, clean.code] == [1, 0, 1, 1, 0]
    assert f"lost on {damaged}: {world.blob}: the catalog says that it is here" in seen.out
    assert "2 findings, 0 of them repaired" in seen.out
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["kind"], line["replica"], line["key"]) for line in lines[:-1]] == [
        ("lost", damaged, world.blob),
        ("dark", damaged, "stray"),
    ]
    assert lines[-1]["summary"]["replicas"][damaged]["lost"] == 1
    assert (repair.json["findings"], repair.json["repaired"]) == (2, 1)
    assert repair.json["first"][0]["repaired"] == "copied from gcp, 7 bytes"
    assert [row["left"] for row in after.json["first"]] == ["nothing tells what it is for"]
    assert clean.out.splitlines()[0].split() == [
        *("replica", "objects", "lost", "dark", "corrupt", "unproven", "broken", "abandoned", "unsettled")
    ]
    assert clean.out.endswith("0 findings, 0 of them repaired\n")


def test_invalid_arguments_and_settings_are_rejected_first(system: ManualSystem) -> None:
    unknown = dss_here(env(system), "admin", "audit", "--replica", "moon")
    unset = dss_here({**env(system), "DSS_GS_BUCKET": ""}, "admin", "audit")
    down = dss_here(
        {**env(system), "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}, "admin", "audit"
    )

    assert [unknown.code, unset.code, down.code] == [1, 1, 1]
    assert "dss: replica: 'moon' is not one of gcp, aws" in unknown.err
    assert "DSS_GS_BUCKET is not set" in unset.err
    assert down.err.startswith("dss: s3://")
    assert "Traceback" not in unknown.err + unset.err + down.err


class BusyClock(SystemClock):
    """A clock on which things happen while somebody sleeps."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._now = super().now()

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._work()
        self._now += timedelta(seconds=seconds)


def test_replication_shows_the_backlog_and_the_rate(system: ManualSystem) -> None:
    world = system.world("aws", os.urandom(100))
    busy = BusyClock(lambda: system.replicate("aws", *world.documents))

    behind = dss_here(env(system), "admin", "replication", "--seconds", 0, "--json").json["replicas"]
    rates = gained_per_minute(replace(system.dss, clock=busy), seconds=6)
    after = dss_here(env(system), "admin", "replication", "--seconds", 0.1)

    assert (behind["gcp"]["missing"], behind["aws"]["missing"]) == (len(world.documents), 0)
    assert behind["gcp"]["oldest_seconds"] > 0 == behind["aws"]["oldest_seconds"]
    assert behind["gcp"]["gained_per_minute"] is None
    # A file, three bundles and two collections; tombstones are not counted.
    assert rates == {"gcp": 60.0, "aws": 0.0}
    rows = [line.split() for line in after.out.splitlines()]
    assert rows[0] == ["replica", "missing", "oldest", "gained/min", "unpublished", "oldest"]
    assert [row[:5] for row in rows[1:]] == [[name, "0", "0", "s", "0.0"] for name in ("gcp", "aws")]
    # Nothing publishes events here: bundles and their tombstones stay unpublished.
    unpublished_keys = [key for key in world.documents if key.startswith("bundles/")]
    assert behind["aws"]["unpublished"] - behind["gcp"]["unpublished"] == len(unpublished_keys)
    assert behind["aws"]["unpublished_oldest_seconds"] > 0
    assert [row[5] for row in rows[1:]] == [str(behind["aws"]["unpublished"])] * 2


def test_help_and_download_import_no_cloud_sdk() -> None:
    code = (
        "import sys; from dss.commands.main import cli;"
        "cli.main(['download', '--help'], standalone_mode=False);"
        "cli.main(['--help'], standalone_mode=False); cli.main(['admin', '--help'], standalone_mode=False);"
        "CLOUDS = ('google.cloud.', 'boto3', 'shared.catalog');"
        "print([name for name in sys.modules if name.startswith(CLOUDS)])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code],
        env=environment({}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert outcome.stdout.splitlines()[-1] == "[]"
    assert "admin" in outcome.stdout
