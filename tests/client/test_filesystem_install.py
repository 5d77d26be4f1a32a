"""The client and its extra `pandas` can share an environment with the file systems of the clouds."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from local.source_tree import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]


def test_fsspec_finds_the_file_system_by_its_entry_point() -> None:
    assert PROJECT["entry-points"]["fsspec.specs"] == {"dss": "dss.filesystem:DssFileSystem"}
    assert {"fsspec", "pandas", "pyarrow"} <= set(PROJECT["optional-dependencies"]["pandas"])


def test_no_requirement_of_the_client_excludes_a_version_that_others_pin() -> None:
    """s3fs and gcsfs need one version of fsspec, and s3fs a narrow range of botocore's."""
    extras = PROJECT["optional-dependencies"].values()
    rows = [*PROJECT["dependencies"], *(row for extra in extras for row in extra)]

    assert [row for row in rows if Requirement(row).specifier] == []


@pytest.mark.clients
def test_pip_finds_versions_for_all_of_them_at_once(tmp_path: Path) -> None:
    report, client = tmp_path / "report.json", tmp_path / "client"
    # setuptools builds within the source tree.
    shutil.copytree(ROOT / "client", client, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    wanted = [f"{client}[pandas,gcs,s3]", "s3fs", "gcsfs"]

    subprocess.run([*command, "--report", str(report), *wanted], cwd=tmp_path, check=True, timeout=600)

    found = {row["metadata"]["name"] for row in json.loads(report.read_text())["install"]}
    assert {"dss-client", "fsspec", "s3fs", "gcsfs", "boto3", "google-cloud-storage"} <= found
