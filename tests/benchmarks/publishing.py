"""CPU time of a bundle from PUT until it is published on both replicas, by process."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from local.stack import Stack
from tests.benchmarks.explore_live import put_files
from tests.benchmarks.processes import cpu_of, descendants
from tests.support.api import Api, Version, new_uuid, now, put_bundle
from tests.support.clouds import Clouds
from tests.support.waiting import wait_until

BUNDLES = 60
CLIENTS = 2
# Those that connections, imports and caches are ready after.
_FIRST = 5
_LONGEST_SECONDS = 600
# Texts in command lines, and the names of these processes in the report; then those that stand in for clouds.
_OURS = {
    "[api]": "API",
    "[s3_events]": "s3_events",
    "[sync]": "sync",
    "[index]": "index",
    "[explore]": "explore",
    "[notify]": "notify",
}
_STAND_INS = {
    "[push]": "push",
    "[gcs]": "GCS",
    "[s3]": "S3",
    "CloudFirestore": "Firestore",
    "cloud-pubsub-emulator": "Pub/Sub",
    "postgres": "PostgreSQL",
}


def publishing() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    with Stack(port=0).running() as env:
        api = Api(env["DSS_URL"], env["DSS_TOKEN"])
        items = put_files(api, Clouds(env))
        _publish(api, items, _FIRST)
        before, began = _cpu(), time.monotonic()
        _publish(api, items, BUNDLES)
        seconds = time.monotonic() - began
        used = {name: (after - before.get(name, 0.0)) / BUNDLES * 1000 for name, after in _cpu().items()}
    return _section(used, len(items), seconds)


def _publish(api: Api, items: list[dict[str, object]], count: int) -> None:
    """PUT bundles, and return when search finds them all on both replicas, and the catalogue has them."""
    expected = [number + count for number in _counted(api, items)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        for future in [threads.submit(_put, api, items) for _ in range(count)]:
            future.result()
    wait_until(lambda: _counted(api, items) == expected, "bundles on both replicas", _LONGEST_SECONDS)


def _put(api: Api, items: list[dict[str, object]]) -> None:
    put_bundle(api.signed_in(api.token), "gcp", items, bundle=Version(new_uuid(), now()))


def _counted(api: Api, items: list[dict[str, object]]) -> list[int]:
    """Return how many of the bundles search finds on each replica, and how many the catalogue has."""
    query = {"es_query": {"query": {"term": {"manifest.files.uuid": items[0]["uuid"]}}}}
    found = [
        int(api.post("/v1/search", replica=name, json=query).json()["total_hits"]) for name in ("gcp", "aws")
    ]
    answer = api.get("/index/bundles", size=1, facets="organ")
    answer.raise_for_status()
    return [*found, int(answer.json()["pagination"]["total"])]


def _cpu() -> dict[str, float]:
    return cpu_of(descendants({**_OURS, **_STAND_INS}))


def _section(used: Mapping[str, float], files: int, seconds: float) -> str:
    ours = sum(used.get(name, 0.0) for name in _OURS.values())
    rows = [
        f"| {name} | {cpu:,.1f} |"
        for name, cpu in sorted(used.items(), key=lambda item: -item[1])
        if cpu >= 0.05
    ]
    return "\n".join(
        [
            "## CPU time of a bundle",
            "",
            f"{BUNDLES} bundles of {files} files of a real one, put by {CLIENTS} clients, until search finds",
            f"them in both clouds and the catalogue has them: {seconds:.0f} s. The files are there before.",
            "",
            "| process | CPU ms a bundle |",
            "| --- | ---: |",
            *rows,
            f"| all that are ours: {', '.join(_OURS.values())} | {ours:,.1f} |",
            f"| all | {sum(used.values()):,.1f} |",
            "",
        ]
    )
