"""Users of the catalogue at once, by Locust (`tests/load/explore_locust.py`), on a local system's API."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from local.components import API_TABLE, events, workflows
from local.stack import Stack
from shared.explore.bundle_metadata import BundleMetadata
from tests.benchmarks.explore_bundles import NoBundles, real_bundles, variants
from tests.benchmarks.explore_charts import draw
from tests.benchmarks.explore_filled import Filling, fill
from tests.benchmarks.explore_indexing import state_of
from tests.benchmarks.locust_runs import run_locust
from tests.benchmarks.sizes import sized
from tests.support.api import Api, put_file
from tests.support.clouds import Clouds
from tests.support.dss import open_dss

FILES, FILES_PER_VARIANT = 20_000, 40
USERS, SECONDS = 20, sized(60, 20)
# Of a bundle that no filled catalogue has.
_SEED, _FIRST = 1, 1_000_000
# The API, and what makes the manifests that don't fit a request.
_TABLE = (
    *API_TABLE[:-1],
    workflows.workflows,
    API_TABLE[-1],
    events.functions_of("manifest", processes={}),
)
_CHART = Path(__file__).parents[2] / "docs" / "benchmarks" / "explore-load.svg"
# Columns of Locust's statistics.
_COLUMNS = ("Name", "Request Count", "Failure Count", "50%", "95%", "99%")


def explore_load() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    try:
        real_bundles()
    except NoBundles as error:
        return f"## Users of the catalogue\n\n{error}\n"
    if importlib.util.find_spec("locust") is None:
        return "## Users of the catalogue\n\nLocust is not installed: skipped\n"
    with Stack(port=0, table=_TABLE).running() as env:
        with open_dss(env) as dss:
            catalogue = next(iter(dss.catalogues.catalogues().values()))
            filled = fill(
                env["DSS_POSTGRESQL_DSN"], catalogue, files=FILES, docs_per_variant=FILES_PER_VARIANT
            )
            bundle = _real_files(env)
            dss.catalogues.put(catalogue, state_of(catalogue, bundle))
        rows, history = run_locust(
            "explore_locust.py",
            env["DSS_URL"],
            users=USERS,
            seconds=SECONDS,
            environment={"DSS_LOAD_BUNDLE": bundle.fqid.uuid},
        )
    _CHART.write_bytes(draw(rows, history))
    return _section(filled, rows)


def _real_files(env: Mapping[str, str]) -> BundleMetadata:
    """Return a bundle whose data files are in the DSS, so that they can be downloaded."""
    api, clouds = Api(env["DSS_URL"], env["DSS_TOKEN"]), Clouds(env)
    variants_of_one = variants(files=100, docs_per_variant=0, seed=_SEED, first=_FIRST)
    bundle = next(each.metadata for each in variants_of_one if len(each.metadata.files) == 2)

    def stored(entry: Mapping[str, Any]) -> dict[str, Any]:
        file = put_file(api, clouds.stage("gcp", str(entry["name"]).encode()))
        return {**entry, "uuid": file.uuid, "version": file.version}

    return replace(bundle, files=[stored(entry) for entry in bundle.files])


def _section(filled: Filling, rows: Sequence[Mapping[str, str]]) -> str:
    lines = [
        "## Users of the catalogue",
        "",
        f"{USERS} users for {SECONDS} s, who wait 1 to 5 s before each step: of eleven, five page through",
        "samples, three have a manifest made for Terra, one looks at projects, one downloads a file, and one",
        "resolves it by DRS and DOS. With each page they ask for the summary. The catalogue has",
        f"{filled.files:,} files in {filled.bundles:,} bundles. The API, its back ends, the function that",
        "makes manifests and the users share the cores. `manifest: made` is the time from the first request",
        "to the last, with what the service says to wait between them.",
        "",
        "![Requests and their times](explore-load.svg)",
        "",
        "| request | requests | failed | p50 ms | p95 ms | p99 ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *("| " + " | ".join(row[name] for name in _COLUMNS) + " |" for row in rows),
        "",
    ]
    return "\n".join(lines)
