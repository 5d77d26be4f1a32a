"""`dss admin verify`, `repair` and `sync`: what is wrong with one bundle is seen and mended."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.run.admin.test_admin_runs import api, clouds, env
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import dss_here

__all__ = ["api", "clouds", "env"]


@pytest.fixture
def file(api: Api, clouds: Clouds) -> Version:
    return put_file(api, clouds.stage("gcp", os.urandom(100)))


@pytest.fixture
def bundle(env: Mapping[str, str], api: Api, file: Version) -> str:
    """The key of a bundle that both replicas have."""
    key = f"bundles/{put_bundle(api, 'gcp', [file.named('a.bin')])}"
    synced = dss_here(env, "admin", "sync", key, "--with-files", "--wait", 120, "--json")
    assert (synced.code, synced.json["late"]) == (0, []), synced.err
    return key


def test_a_whole_bundle_is_right_in_both_clouds(env: Mapping[str, str], bundle: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"\n{bundle}\n")

    with_files = dss_here(env, "admin", "verify", bundle, "--with-files", "--json")
    listed = dss_here(env, "admin", "verify", "--list", keys, "--replica", "aws", "--json")

    # Blob, manifest of the file, manifest of the bundle; two replicas.
    assert (with_files.code, with_files.json["right"], with_files.json["wrong"]) == (0, 6, 0)
    assert (listed.code, listed.json["right"]) == (0, 1)


def test_what_is_lost_is_seen_and_repaired(
    env: Mapping[str, str], clouds: Clouds, file: Version, bundle: str
) -> None:
    clouds.s3.delete_object(Bucket=clouds.main["aws"], Key=f"files/{file}")
    clouds.s3.delete_object(Bucket=clouds.main["aws"], Key=bundle)

    seen = dss_here(env, "admin", "verify", bundle, "--with-files", "--json")
    dry = dss_here(env, "admin", "repair", bundle, "--with-files", "--dry-run", "--json")
    still = dss_here(env, "admin", "verify", bundle, "--with-files", "--json")
    repaired = dss_here(env, "admin", "repair", bundle, "--with-files", "--json")
    again = dss_here(env, "admin", "verify", bundle, "--with-files", "--json")

    lost = {(f"files/{file}", "aws", "lost"), (bundle, "aws", "lost")}
    assert {(row["key"], row["replica"], row["state"]) for row in seen.json["first"]} == lost
    assert (seen.code, dry.code, still.json["lost"]) == (1, 1, 2)
    assert (repaired.code, repaired.json["repaired"], repaired.json["wrong"]) == (0, 2, 0)
    assert (again.code, again.json["right"]) == (0, 6)


def test_what_nobody_has_and_what_is_no_key_is_said(env: Mapping[str, str]) -> None:
    key = f"files/{new_uuid()}.{now()}"

    unknown = dss_here(env, "admin", "verify", key, "--json")
    nowhere = dss_here(env, "admin", "sync", key, "--json")
    wrong = dss_here(env, "admin", "verify", "things/1")
    none = dss_here(env, "admin", "verify")

    assert (unknown.code, unknown.json["unknown"]) == (1, 2)
    assert (nowhere.code, nowhere.json["nowhere"]) == (1, 1)
    assert (
        "'things/1' is no key of an object: it must begin with one of access/, blobs/, bundles/" in wrong.err
    )
    assert "--list FILE" in none.err
