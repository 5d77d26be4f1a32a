"""A database that was restored from a backup is taken over, with the indexes that the backup had."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from shared.catalog.indexes import COMPOSITE_INDEXES
from tests.support.terraform_cli import ROOT, Deployment, Workspace

DATABASE = "projects/a-project/databases/restored"
FAKE_GCLOUD = """#!/bin/sh
[ "$*" = "firestore indexes composite list --format=json --project=a-project --database=restored" ] || exit 1
cat "${0%/*}/indexes.json"
"""


def listed() -> list[Any]:
    """Return the indexes of the code as `gcloud firestore indexes composite list --format=json` does."""
    return [
        {
            "fields": [
                *(
                    {"fieldPath": path, **({"arrayConfig": mode} if mode == "CONTAINS" else {"order": mode})}
                    for path, mode in index.fields
                ),
                {"fieldPath": "__name__", "order": "ASCENDING"},
            ],
            "name": f"{DATABASE}/collectionGroups/{index.collection}/indexes/CICAg{number}",
            "queryScope": "COLLECTION",
            "state": "READY",
        }
        for number, index in enumerate(COMPOSITE_INDEXES)
    ]


def printed(directory: Path) -> str:
    """Return what the program prints for these indexes."""
    (directory / "indexes.json").write_text(json.dumps(listed()))
    (directory / "gcloud").write_text(FAKE_GCLOUD)
    (directory / "gcloud").chmod(0o755)
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "terraform" / "restored_database.py",
            "--project=a-project",
            "--database=restored",
        ],
        env={"PATH": f"{directory}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_the_database_and_each_index_is_imported(
    another_workspace: Workspace, deployment: Deployment, tmp_path: Path
) -> None:
    text = printed(tmp_path)

    blocks = dict(re.findall(r'^import \{\n  to = (.*)\n  id = "(.*)"\n\}$', text, re.MULTILINE))
    kept = {
        address
        for kind in ("google_firestore_database", "google_firestore_index")
        for address in deployment.of_type(kind)
    }
    assert set(blocks) == kept
    assert blocks["google_firestore_database.catalog"] == DATABASE
    assert len(set(blocks.values())) == 1 + len(COMPOSITE_INDEXES)
    (another_workspace.directory / "restored.tf").write_text(text)
    assert another_workspace.validate() == []


def test_the_guide_has_terraform_forget_all_that_is_in_the_old_database(deployment: Deployment) -> None:
    guide = (ROOT / "docs" / "disaster.md").read_text()
    [command] = re.findall(r"^terraform -chdir=terraform state rm((?:[^\n\\]|\\\n)*)$", guide, re.MULTILINE)

    forgotten = set(command.replace("\\", " ").split())

    assert forgotten == {
        address.split("[")[0]
        for address, row in deployment.resources.items()
        if row["type"].startswith("google_firestore_")
    }
