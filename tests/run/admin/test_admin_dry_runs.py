"""A dry run of an operator's command says what would be done, and leaves everything as it is."""

import json
import os
from collections.abc import Callable, Mapping

import pytest

from shared.catalog.runs import RunCatalog
from tests.run.admin.test_admin_runs import WHO, api, clouds, env, file, is_cached, put_list
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import Outcome, dss_here
from tests.support.dss import open_dss_for_threads

__all__ = ["api", "clouds", "env", "file"]


@pytest.fixture
def bundle(api: Api, file: Version) -> Version:
    return put_bundle(api, "gcp", [file.named("a.bin")])


@pytest.fixture(scope="module")
def runs(whole_system: dict[str, str]) -> RunCatalog:
    return open_dss_for_threads(whole_system, publishes=False).catalog.runs


@pytest.fixture
def dry(env: Mapping[str, str], runs: RunCatalog) -> Callable[..., Outcome]:
    """Return what runs a command with --dry-run, and checks that it made no run.

    The sweep of the system may start a removal of its own meanwhile.
    """

    def run(*arguments: object, **settings: str) -> Outcome:
        known = {run.id for run in runs.newest(20)}
        outcome = dss_here({**env, **settings}, "admin", *arguments, "--dry-run", "--json")
        assert outcome.code in (0, 1), outcome.err
        assert {run.kind for run in runs.newest(20) if run.id not in known} <= {"purge-removal"}
        return outcome

    return run


def test_tombstones_and_purges_are_looked_at(
    dry: Callable[..., Outcome], env: Mapping[str, str], clouds: Clouds, api: Api, bundle: Version
) -> None:
    url = put_list(env, clouds, bundle.uuid)

    hidden = dry("tombstones", "--list", url, *WHO)
    unknown = dry("tombstones", "--list", put_list(env, clouds, new_uuid()), *WHO)
    purged = dry("purge", bundle.uuid, "--reason", "withdrawn", "--with-files")
    code = purged.json["result"]["confirmation"]
    confirmed = dry("purge", bundle.uuid, *WHO, "--with-files", "--confirmation", code)
    wrong = dry("purge", bundle.uuid, *WHO, "--confirmation", "wrong")

    assert (hidden.code, hidden.json["counts"]["versions"]) == (0, 1)
    assert (unknown.code, "name no bundle" in unknown.json["result"]["refused"]) == (1, True)
    assert (purged.code, purged.json["counts"]["with_file"]) == (0, 1)
    assert (confirmed.code, wrong.code) == (0, 1)
    assert "it does not match the present preview" in wrong.err
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code == 200


def test_an_undoing_and_a_removal_are_looked_at(
    dry: Callable[..., Outcome], env: Mapping[str, str], api: Api, bundle: Version
) -> None:
    code = dry("purge", bundle.uuid, "--reason", "withdrawn").json["result"]["confirmation"]
    done = dss_here(env, "admin", "purge", bundle.uuid, *WHO, "--confirmation", code)
    assert done.code == 0, done.err
    undo = ("purge", bundle.uuid, "--undo", "--email", "admin@example.org")

    looked = dry(*undo)
    removal = dry("purge-removal")
    refused = dss_here(env, "admin", "purge-removal")

    assert looked.json["first"] == [{"undone": bundle.uuid}]
    assert bundle.uuid not in json.dumps(removal.json["first"])
    assert (refused.code, "give --yes" in refused.err) == (2, True)
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code == 410
    assert dss_here(env, "admin", *undo).code == 0
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code == 200


def test_a_resync_and_a_full_cache_are_looked_at(
    dry: Callable[..., Outcome], env: Mapping[str, str], clouds: Clouds, api: Api, file: Version
) -> None:
    kept = put_file(api, clouds.stage("gcp", os.urandom(9), content_type="application/x-dry"))
    criteria = {"CHECKOUT_CACHE_CRITERIA": json.dumps([{"type": "application/x-dry", "max_size": 100}])}

    synced = dry("resync", "--list", put_list(env, clouds, f"files/{file}"))
    filled = dry("fill-cache", "--replica", "gcp", **criteria)
    remote = dss_here(env, "admin", "resync", "--prefix", "files/", "--remote", "--dry-run")

    assert synced.json["counts"] == {"keys": 1, "published": 1}
    assert filled.json["first"] == [{"file": str(kept), "replica": "gcp", "bytes": 9}]
    assert not is_cached(clouds, api, kept)
    assert (remote.code, "--dry-run: not with --remote" in remote.err) == (1, True)


def test_repairs_rebuilds_and_resumptions_are_looked_at(env: Mapping[str, str]) -> None:
    repair = dss_here(env, "admin", "audit", "--repair", "--dry-run", "--replica", "gcp")
    index = dss_here(env, "admin", "index", "rebuild", "--dry-run", "--json")
    run = dss_here(env, "admin", "resync", "--prefix", "bundles/ffffffff-", "--json").json["run"]
    resumed = dss_here(env, "admin", "runs", "resume", run, "--dry-run")

    assert "0 of them repaired; a repair would try those that are not left" in repair.out
    assert index.json["documents"] is True
    assert (resumed.code, f"run {run} is SUCCEEDED: it cannot be resumed" in resumed.err) == (1, True)
