"""The step of the demo for catalogues: the bundle is found by facets."""

import json
import time
from typing import Any

import requests

from local.demo.steps import Scene, check, wait_until

_SECONDS = 30.0
# Matches the sample.
_FACETS = {"genusSpecies": "Homo sapiens", "organ": "brain", "fileFormat": "fastq.gz"}


def find_by_facets(scene: Scene) -> str:
    """Find the sample's project and files by three facets, and compare their counts with what was sent.

    Of another directory than the sample only the state in the catalogue is asked.
    """
    if "DSS_CATALOGUES" not in scene.env:
        return "there is no catalogue: that takes the index in PostgreSQL"
    if scene.data:
        return _state(scene)
    facets = json.dumps({name: {"is": [value]} for name, value in _FACETS.items()})
    wait_until(
        scene,
        lambda: bool(_get(scene, "projects", facets)["pagination"]["total"]),
        f"no project is found by {facets}",
    )
    seconds = time.monotonic() - scene.uploaded
    projects, files = (_get(scene, kind, facets) for kind in ("projects", "files"))
    reads = {name for name in scene.sent if name.endswith(".fastq.gz")}
    found = {hit["files"][0]["name"] for hit in files["hits"]}
    check(found == reads, f"the catalogue finds the files {sorted(found)}")
    counted = {row["term"]: row["count"] for row in files["termFacets"]["fileFormat"]["terms"]}
    check(counted.get("fastq.gz") == len(reads), f"the facet fileFormat counts {counted}")
    return (
        f"by {', '.join(_FACETS.values())}: {projects['pagination']['total']} project, "
        f"{len(found)} files, {seconds:.1f} s after the upload"
    )


def _state(scene: Scene) -> str:
    """Wait until the catalogue knows the bundle, and return what it says of it."""

    def state() -> str:
        answer = _get(scene, f"bundles/{scene.uuid}", "{}")
        return str(answer.get("status", "indexed"))

    wait_until(scene, lambda: state() != "on its way", f"no catalogue knows {scene.uuid}")
    return f"the catalogue knows it: {state()}"


def _get(scene: Scene, path: str, filters: str) -> dict[str, Any]:
    url = f"{scene.env['DSS_URL']}/index/{path}"
    answer = requests.get(url, params={"filters": filters}, timeout=_SECONDS)
    check(answer.status_code == 200, f"GET /index/{path}: {answer.status_code} {answer.text[:200]}")
    found: dict[str, Any] = answer.json()
    return found
