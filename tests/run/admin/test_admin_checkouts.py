"""`dss admin checkout`: copies of named bundles and files are made, looked at, and removed."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.run.admin.test_admin_runs import api, clouds, env
from tests.support.api import Api, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import dss_here

__all__ = ["api", "clouds", "env"]


def test_copies_are_made_looked_at_mended_and_removed(
    env: Mapping[str, str], api: Api, clouds: Clouds, tmp_path: Path
) -> None:
    file = put_file(api, clouds.stage("gcp", os.urandom(100)))
    bundle = f"bundles/{put_bundle(api, 'gcp', [file.named('a.bin'), file.named('b.bin')])}"
    keys = tmp_path / "keys"
    keys.write_text(f"{bundle}\nfiles/{file}\n")
    here = ("--list", keys, "--replica", "gcp", "--json")
    bucket = env["DSS_GS_CHECKOUT_BUCKET"]

    dry = dss_here(env, "admin", "checkout", "add", *here, "--dry-run")
    missing = dss_here(env, "admin", "checkout", "verify", *here)
    added = dss_here(env, "admin", "checkout", "add", *here, "--wait", 120)
    right = dss_here(env, "admin", "checkout", "verify", *here)

    assert (dry.code, dry.json["would be checked out"]) == (0, 2)
    assert (missing.code, missing.json["missing"], missing.json["wrong"]) == (1, 3, 3)
    assert (added.code, added.json["checked out"]) == (0, 2), added.out
    assert added.json["first"][0]["why"] == f"gs://{bucket}/{bundle}"
    assert (right.code, right.json["right"]) == (0, 3)

    clouds.gcs.bucket(bucket).blob(f"{bundle}/b.bin").upload_from_string(b"?")
    damaged = dss_here(env, "admin", "checkout", "verify", *here)
    mended = dss_here(env, "admin", "checkout", "add", bundle, "--replica", "gcp", "--wait", 120)

    assert (damaged.code, damaged.json["damaged"], damaged.json["right"]) == (1, 1, 2)
    assert damaged.json["first"][0]["why"] == f"gs://{bucket}/{bundle}/b.bin"
    assert mended.code == 0
    assert dss_here(env, "admin", "checkout", "verify", *here).code == 0

    would = dss_here(env, "admin", "checkout", "remove", *here, "--dry-run")
    refused = dss_here(env, "admin", "checkout", "remove", *here)
    assert dss_here(env, "admin", "checkout", "verify", *here).code == 0
    removed = dss_here(env, "admin", "checkout", "remove", *here, "--yes")
    again = dss_here(env, "admin", "checkout", "remove", *here, "--yes")

    assert [row["why"] for row in would.json["first"]] == ["2 objects", "1 objects"]
    assert (refused.code, "give --yes" in refused.err) == (2, True)
    assert (removed.code, removed.json["removed"], again.json["absent"]) == (0, 2, 2)
    assert dss_here(env, "admin", "checkout", "verify", *here).json["missing"] == 3


def test_what_cannot_be_checked_out_is_said(env: Mapping[str, str]) -> None:
    unknown, absent = f"bundles/{new_uuid()}.{now()}", f"files/{new_uuid()}.{now()}"

    refused = dss_here(env, "admin", "checkout", "add", unknown, "--replica", "aws", "--json")
    seen = dss_here(env, "admin", "checkout", "verify", absent, "--replica", "aws")
    removed = dss_here(env, "admin", "checkout", "remove", absent, "--replica", "aws", "--yes")
    wrong = dss_here(env, "admin", "checkout", "verify", "blobs/1")

    assert (refused.code, refused.json["refused"]) == (1, 1)
    assert (seen.code, "refused on aws: " in seen.out) == (1, True)
    assert (removed.code, "the catalog does not know file" in removed.out) == (1, True)
    assert (wrong.code, "bundles/UUID.VERSION or files/UUID.VERSION" in wrong.err) == (1, True)
