"""`dss admin explore`: catalogues are watched, filled beside each other, switched and removed."""

from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest

from shared.explore.settings import CatalogueSetting
from shared.jobs import steps
from tests.run.admin.test_admin_runs import api, clouds, env
from tests.support.api import Api, Version
from tests.support.catalogues import BAD, GOOD, OTHER, new_setting, put_files, setting_value
from tests.support.clouds import Clouds
from tests.support.command_line import Outcome, dss, dss_here
from tests.support.waiting import wait_until

__all__ = ["api", "clouds", "env"]

HCA = CatalogueSetting(name="hca", plugin="hca")


@pytest.fixture(scope="module")
def setting() -> CatalogueSetting:
    """A catalogue that is not there yet."""
    return new_setting()


@pytest.fixture(scope="module")
def bundles(api: Api, clouds: Clouds, env: Mapping[str, str], setting: CatalogueSetting) -> list[Version]:
    """A bundle of each kind that the catalogue `hca` has seen; their UUIDs begin as those of `setting`."""
    made = [put_files(api, clouds, setting, files) for files in (GOOD, BAD, OTHER)]

    def followed() -> bool:
        reindexed = admin(env, "reindex", "--prefix", setting.prefix, "--dry-run")
        return bool(reindexed["counts"]["hca held"] == len(made))

    wait_until(followed, "the catalogue follows")
    return made


@pytest.fixture
def both(env: Mapping[str, str], setting: CatalogueSetting) -> Mapping[str, str]:
    """The settings of an operator who has added a catalogue."""
    return {**env, "DSS_CATALOGUES": setting_value(HCA, setting), "DSS_SWEEP_SECONDS": "0"}


def run(env: Mapping[str, str], *arguments: object) -> Outcome:
    return dss_here(env, "admin", "explore", *arguments, "--json")


def admin(env: Mapping[str, str], *arguments: object, code: int = 0) -> Any:
    """Return what a command says as JSON."""
    outcome = run(env, *arguments)
    assert outcome.code == code, (outcome.out, outcome.err)
    return outcome.json


def test_a_catalogue_is_filled_beside_another_and_becomes_the_default(
    env: Mapping[str, str],
    both: Mapping[str, str],
    setting: CatalogueSetting,
    bundles: list[Version],
    api: Api,
) -> None:
    good, bad, _ = bundles
    only = ("--catalog", setting.name)
    empty = admin(both, "status", *only)["catalogs"][setting.name]
    lost = admin(both, "check", *only, code=1)
    dry = admin(both, "reindex", *only, "--dry-run", code=1)
    assert (empty["default"], sum(empty["bundles"].values()), empty["waiting"] >= 3) == (False, 0, True)
    assert lost["counts"][f"{setting.name} lost"] == dry["counts"][f"{setting.name} lost"] == 3

    first = admin(both, "reindex", *only, "--page", 2, code=1)
    again = admin(both, "reindex", *only, "--only-missing")
    full = admin(both, "status", *only)["catalogs"][setting.name]
    failures = admin(both, "failures", *only, code=1)
    failed = admin(both, "reindex", *only, "--failed", "--from", "bucket", code=1)

    assert first["counts"][f"{setting.name} indexed"] == 1 and first["parts"] >= 2
    assert again["counts"][f"{setting.name} right"] == 3
    assert full["bundles"] | {"indexed": 1, "failed": 1, "left out": 1} == full["bundles"]
    assert full["waiting"] == 0
    [failure] = failures["failures"]
    assert (failure["fqid"], failure["release"]) == (str(bad), "1")
    assert "links.json" in failure["reason"]
    assert failed["counts"]["failed"] == 1
    assert admin(both, "check", *only)["counts"]["findings"] == 0

    would = admin(both, "default", setting.name, "--dry-run")
    made = admin(both, "default", setting.name)
    listed = admin(both, "status")

    assert would["before"] == made["before"] == "hca"
    assert [name for name, row in listed["catalogs"].items() if row["default"]] == [setting.name]
    # Services that do not list it go on as before.
    assert api.get("/index/catalogs").json()["default_catalog"] == "hca"
    refused = [
        run(env, "remove", setting.name, "--yes"),
        run(both, "remove", setting.name, "--yes"),
        run(env, "remove", "nothing", "--yes"),
        run(both, "default", "nothing"),
    ]
    words = ("it is the default one", "take it out of DSS_CATALOGUES", "no such catalogue", "does not exist")
    assert [one.err for one, said in zip(refused, words, strict=True) if said not in one.err] == []
    admin(both, "default", "hca")
    assert admin(env, "status")["not_listed"] == [setting.name]
    assert admin(env, "remove", setting.name, "--dry-run")["rows"] == 0
    assert admin(env, "remove", setting.name, "--yes")["rows"] > 3
    assert admin(env, "status")["not_listed"] == []
    assert str(good) not in run(env, "status").out


def test_bundles_are_deindexed_and_indexed_again_by_the_workflow(
    env: Mapping[str, str], setting: CatalogueSetting, bundles: list[Version]
) -> None:
    these = ("--catalog", "hca", "--prefix", setting.prefix)
    refused = run(env, "deindex", "--prefix", setting.prefix, "--yes")
    unasked = run(env, "deindex", *these)
    dry = admin(env, "deindex", *these, "--dry-run")

    removed = admin(env, "deindex", *these, "--yes", "--remote", "--wait")
    settled = {**env, "DSS_SWEEP_SECONDS": "0"}
    lost = admin(settled, "check", *these, "--names-only", code=1)
    indexed = admin(env, "reindex", *these, "--remote", "--wait", code=1)

    assert (refused.code, "name the catalogues" in refused.err) == (1, True)
    assert (unasked.code, "give --yes" in unasked.err) == (2, True)
    assert dry["counts"]["versions"] == removed["counts"]["hca forgotten"] == len(bundles)
    assert lost["counts"]["hca lost"] == len(bundles)
    assert indexed["counts"] == {"hca indexed": 1, "hca failed": 1, "hca left out": 1, "failed": 1}
    assert admin(settled, "check", *these)["counts"]["findings"] == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["check", "--catalog", "x"], "catalogue 'x' does not exist; there are hca"),
        (["check", "--replica", "aws"], "there is no such catalogue"),
        (["reindex", "--prefix", "XY"], "is no beginning of a UUID"),
        (["reindex", "--failed", "--only-missing"], "give one of them"),
        (["reindex", "--dry-run", "--remote"], "not with --remote"),
    ],
)
def test_what_makes_no_sense_is_refused(env: Mapping[str, str], arguments: list[str], named: str) -> None:
    refused = run(env, *arguments)

    assert (refused.code, named in refused.err) == (1, True), refused.err


def test_without_catalogues_the_operator_is_told(env: Mapping[str, str]) -> None:
    refused = run({**env, "DSS_CATALOGUES": ""}, "status")

    assert (refused.code, "DSS_CATALOGUES" in refused.err) == (1, True), refused.err


def test_a_reindexing_that_was_killed_or_stopped_goes_on(
    both: Mapping[str, str], setting: CatalogueSetting, bundles: list[Version]
) -> None:
    command = ("admin", "explore", "reindex", "--catalog", setting.name, "--page", 1)
    killed = dss({**both, "DSS_FAULT_POINT": "administration: slice done"}, *command)
    after_kill = admin(both, "status", "--catalog", setting.name)["catalogs"][setting.name]

    with mock.patch.object(steps, "finish", side_effect=KeyboardInterrupt):
        interruption = run(both, *command[2:], "--only-missing")
    stopped = dss(both, "admin", "runs", "list", "--json").json["runs"]
    [interrupted] = [one for one in stopped if one.get("cause") == "it was interrupted"]
    resumed = dss(both, "admin", "runs", "resume", interrupted["run"], "--json")
    full = admin(both, "status", "--catalog", setting.name)["catalogs"][setting.name]

    assert (killed.code, sum(after_kill["bundles"].values())) == (-9, 1), killed.err
    assert interruption.code == 130
    assert (resumed.json["state"], resumed.json["attempt"]) == ("SUCCEEDED", 2)
    assert resumed.json["counts"][f"{setting.name} right"] >= 1
    assert sum(full["bundles"].values()) == len(bundles)
    admin({**both, "DSS_CATALOGUES": setting_value(HCA)}, "remove", setting.name, "--yes")
