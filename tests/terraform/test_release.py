"""Requests go to a new revision when it works, and back to the old ones when it does not."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from terraform import release

# A `gcloud` that keeps services in a file, as far as release.py asks for them.
GCLOUD = """#!/usr/bin/env python3
import json, os, sys
place = os.environ["FAKE_RUN"]
services = json.load(open(place))
_, run, kind, verb, *rest = sys.argv
assert (run, kind) == ("run", "services") and "--region=us-east1" in rest
if verb == "list":
    [condition] = [row for row in rest if row.startswith("--filter=")]
    stage = condition.partition("labels.stage=")[2]
    ours = [row for row in services.values() if row["metadata"]["labels"].get("stage", "") == stage]
    print(json.dumps(ours))
elif verb == "describe":
    print(json.dumps(services[rest[0]]))
else:
    status = services[rest[0]]["status"]
    for option in rest:
        name, _, value = option.partition("=")
        if name == "--to-revisions":
            tags = [row for row in status["traffic"] if "tag" in row]
            status["traffic"] = [{"revisionName": value.partition("=")[0], "percent": 100}, *tags]
        elif name == "--update-tags":
            tag, _, revision = value.partition("=")
            url = f"https://{tag}---{rest[0]}.example"
            status["traffic"].append({"revisionName": revision, "tag": tag, "url": url})
    json.dump(services, open(place, "w"))
"""


class CloudRun:
    """The services behind that `gcloud`."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.write({})

    def write(self, services: dict[str, Any]) -> None:
        self._place.write_text(json.dumps(services))

    @property
    def services(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._place.read_text())
        return found

    def deploy(self, name: str, revision: str, *, moves: bool, ingress: str = "all") -> None:
        """Add a revision; `moves`: at a first apply, when nothing holds requests where they are."""
        services = self.services
        row = services.setdefault(
            name,
            {
                "metadata": {
                    "name": name,
                    "labels": {"system": "dss", **({"stage": "dev"} if "-dev-" in name else {})},
                    "annotations": {"run.googleapis.com/ingress": ingress},
                },
                "status": {"traffic": [{"latestRevision": True, "revisionName": revision, "percent": 100}]},
            },
        )
        row["status"]["latestReadyRevisionName"] = revision
        if moves:
            row["status"]["traffic"] = [{"latestRevision": True, "revisionName": revision, "percent": 100}]
        self.write(services)

    def traffic(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.services[name]["status"]["traffic"]
        return found

    def serving(self, name: str) -> str:
        [target] = [row for row in self.traffic(name) if row.get("percent")]
        return str(target["revisionName"])


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CloudRun:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(GCLOUD)
    gcloud.chmod(gcloud.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_RUN", str(tmp_path / "services.json"))
    return CloudRun(tmp_path / "services.json")


def run(step: str, record: Path | None = None, stage: str = "") -> None:
    more = [f"--record={record}"] if record else []
    release.main([step, f"--stage={stage}", "--region=us-east1", *more])


def test_new_revisions_serve_only_when_the_api_has_been_tried(
    cloud: CloudRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("dss-api", "dss-sync")
    for name in names:
        cloud.deploy(name, f"{name}-1", moves=True)
    run("hold", tmp_path / "record")
    assert not any("latestRevision" in row for name in names for row in cloud.traffic(name))
    for name in names:
        cloud.deploy(name, f"{name}-2", moves=False)
    run("offer")

    assert capsys.readouterr().out == "https://next---dss-api.example\n"
    assert [cloud.serving(name) for name in names] == ["dss-api-1", "dss-sync-1"]
    run("serve")
    assert [cloud.serving(name) for name in names] == ["dss-api-2", "dss-sync-2"]


def test_what_does_not_work_goes_back_functions_too(cloud: CloudRun, tmp_path: Path) -> None:
    for name in ("dss-api", "dss-sync", "dss-dev-sync"):
        cloud.deploy(name, f"{name}-1", moves=True)
    run("hold", tmp_path / "record")
    cloud.deploy("dss-api", "dss-api-2", moves=False)
    for name in ("dss-sync", "dss-dev-sync"):
        cloud.deploy(name, f"{name}-2", moves=True)

    run("back", tmp_path / "record")
    run("back", tmp_path / "record")

    assert (cloud.serving("dss-api"), cloud.serving("dss-sync")) == ("dss-api-1", "dss-sync-1")
    assert cloud.serving("dss-dev-sync") == "dss-dev-sync-2", "of another stage"


def test_the_first_deployment_has_nothing_to_go_back_to(cloud: CloudRun, tmp_path: Path) -> None:
    run("hold", tmp_path / "record", stage="dev")
    cloud.deploy("dss-dev-api", "api-1", moves=True)
    run("back", tmp_path / "record", stage="dev")

    assert cloud.serving("dss-dev-api") == "api-1"


def test_an_api_that_is_not_public_is_not_tried_from_outside(
    cloud: CloudRun, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.deploy("dss-api", "api-1", moves=True, ingress="internal")
    run("offer")

    assert capsys.readouterr().out == "unreachable\n"
