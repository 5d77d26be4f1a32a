"""The step of the demo for manifests: real curl downloads the files that one lists."""

import json
import shutil
import subprocess
import time
from typing import Any

import requests

from local.demo.data import differences, fingerprints
from local.demo.steps import Scene, check, wait_until

_SECONDS = 60.0
# Bytes: larger files are read back by other steps.
_LARGEST = 1_000_000


def download_by_manifest(scene: Scene) -> str:
    """Make a `curl` manifest of the bundle's small data files, download these by it, and compare every byte.

    Of another directory than the sample the catalogue may know no files.
    """
    if "DSS_CATALOGUES" not in scene.env:
        return "there is no catalogue: that takes the index in PostgreSQL"
    if shutil.which("curl") is None:
        return "left out: there is no curl on this machine"
    began = time.monotonic()
    filters = {"bundleUuid": {"is": [scene.uuid]}, "fileSize": {"within": [[0, _LARGEST]]}}
    state = _ready(scene, json.dumps(filters))
    files = requests.get(state["Location"], timeout=_SECONDS).text.count("\nurl=")
    if scene.data and not files:
        return f"the catalogue knows no files of at most {_LARGEST:,} bytes of it"
    made = time.monotonic() - began
    folder = scene.scratch / "by-manifest"
    folder.mkdir()
    # Its second run finds all files complete.
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", state["CommandLine"]["bash"]],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        check(done.returncode == 0, f"curl: exit {done.returncode}: {done.stderr[-300:]}")
    got = fingerprints(folder / scene.uuid) if files else {}
    wanted = {name: each for name, each in scene.sent.items() if name in got}
    wrong = differences(wanted, got)
    check(len(got) == files and not wrong, "; ".join(wrong) or f"{len(got)} of {files} files are there")
    return f"{files} files in a manifest after {made:.1f} s, by curl and its resumption, sha256 right"


def _ready(scene: Scene, filters: str) -> dict[str, Any]:
    """Start the manifest, and return its state once it is made."""
    url = f"{scene.env['DSS_URL']}/fetch/manifest/files"
    state = requests.put(url, params={"filters": filters, "format": "curl"}, timeout=_SECONDS).json()

    def is_ready() -> bool:
        nonlocal state
        if state.get("Status") == 301:
            state = requests.get(state["Location"], timeout=_SECONDS).json()
        return bool(state.get("Status") != 301)

    wait_until(scene, is_ready, "the manifest is not made")
    check(state.get("Status") == 302, f"PUT /fetch/manifest/files: {json.dumps(state)[:300]}")
    found: dict[str, Any] = state
    return found
