"""A dry run of an operator's command says what would be done, and leaves everything as it is."""

import json
import os
from collections.abc import Mapping

import pytest

from tests.run.admin.test_admin_runs import WHO, api, clouds, env, file, is_cached, put_list
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import Outcome, dss

__all__ = ["api", "clouds", "env", "file"]


@pytest.fixture
def bundle(api: Api, file: Version) -> Version:
    return put_bundle(api, "gcp", [file.named("a.bin")])


def dry(env: Mapping[str, str], *arguments: object) -> Outcome:
    """Run a command with --dry-run, and check that it made no run.

    The sweep of the system may start a removal of its own meanwhile.
    """
    known = {run["run"] for run in dss(env, "admin", "runs", "list", "--json").json["runs"]}
    outcome = dss(env, "admin", *arguments, "--dry-run", "--json")
    runs = dss(env, "admin", "runs", "list", "--json").json["runs"]
    assert outcome.code in (0, 1), outcome.err
    assert {run["kind"] for run in runs if run["run"] not in known} <= {"purge-removal"}
    return outcome


def test_tombstones_and_purges_are_looked_at(
    env: Mapping[str, str], clouds: Clouds, api: Api, bundle: Version
) -> None:
    url = put_list(env, clouds, bundle.uuid)

    hidden = dry(env, "tombstones", "--list", url, *WHO)
    unknown = dry(env, "tombstones", "--list", put_list(env, clouds, new_uuid()), *WHO)
    purged = dry(env, "purge", bundle.uuid, "--reason", "withdrawn", "--with-files")
    code = purged.json["result"]["confirmation"]
    confirmed = dry(env, "purge", bundle.uuid, *WHO, "--with-files", "--confirmation", code)
    wrong = dry(env, "purge", bundle.uuid, *WHO, "--confirmation", "wrong")

    assert (hidden.code, hidden.json["counts"]["versions"]) == (0, 1)
    assert (unknown.code, "name no bundle" in unknown.json["result"]["refused"]) == (1, True)
    assert (purged.code, purged.json["counts"]["with_file"]) == (0, 1)
    assert (confirmed.code, wrong.code) == (0, 1)
    assert "it does not match the present preview" in wrong.err
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code == 200


def test_an_undoing_and_a_removal_are_looked_at(env: Mapping[str, str], api: Api, bundle: Version) -> None:
    code = dry(env, "purge", bundle.uuid, "--reason", "withdrawn").json["result"]["confirmation"]
    done = dss(env, "admin", "purge", bundle.uuid, *WHO, "--confirmation", code)
    assert done.code == 0, done.err
    undo = ("purge", bundle.uuid, "--undo", "--email", "admin@example.org")

    looked = dry(env, *undo)
    removal = dry(env, "purge-removal")
    refused = dss(env, "admin", "purge-removal")

    assert looked.json["first"] == [{"undone": bundle.uuid}]
    assert bundle.uuid not in json.dumps(removal.json["first"])
    assert (refused.code, "give --yes" in refused.err) == (2, True)
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code == 410
    assert dss(env, "admin", *undo).code == 0
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code == 200


def test_a_resync_and_a_full_cache_are_looked_at(
    env: Mapping[str, str], clouds: Clouds, api: Api, file: Version
) -> None:
    kept = put_file(api, clouds.stage("gcp", os.urandom(9), content_type="application/x-dry"))
    criteria = {"CHECKOUT_CACHE_CRITERIA": json.dumps([{"type": "application/x-dry", "max_size": 100}])}

    synced = dry(env, "resync", "--list", put_list(env, clouds, f"files/{file}"))
    filled = dry({**env, **criteria}, "fill-cache", "--replica", "gcp")
    remote = dss(env, "admin", "resync", "--prefix", "files/", "--remote", "--dry-run")

    assert synced.json["counts"] == {"keys": 1, "published": 1}
    assert filled.json["first"] == [{"file": str(kept), "replica": "gcp", "bytes": 9}]
    assert not is_cached(clouds, api, kept)
    assert (remote.code, "--dry-run: not with --remote" in remote.err) == (1, True)


def test_repairs_rebuilds_and_resumptions_are_looked_at(env: Mapping[str, str]) -> None:
    repair = dss(env, "admin", "audit", "--repair", "--dry-run", "--replica", "gcp")
    index = dss(env, "admin", "index", "rebuild", "--dry-run", "--json")
    run = dss(env, "admin", "resync", "--prefix", "bundles/ffffffff-", "--json").json["run"]
    resumed = dss(env, "admin", "runs", "resume", run, "--dry-run")

    assert "0 of them repaired; a repair would try those that are not left" in repair.out
    assert index.json["documents"] is True
    assert (resumed.code, f"run {run} is SUCCEEDED: it cannot be resumed" in resumed.err) == (1, True)
