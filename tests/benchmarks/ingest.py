"""Ingest: how many bundles a second become searchable and are notified of after their PUT."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.stack import Stack
from tests.benchmarks.lag import percentile
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.subscriber import Subscriber, subscriber

BUNDLES = 300
CLIENTS = 8
_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Stage:
    """When all bundles had reached a stage, in seconds from the first PUT."""

    name: str
    seconds: float

    @property
    def per_second(self) -> float:
        """Bundles a second."""
        return BUNDLES / self.seconds


def ingest() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    with Stack(port=0).running() as env, subscriber() as server:
        api, clouds = Api(env["DSS_URL"], env["DSS_TOKEN"]), Clouds(env)
        _measure(api, clouds, server, CLIENTS)
        stages, waits = _measure(api, clouds, server, BUNDLES)
    rows = [f"| {stage.name} | {stage.seconds:.1f} | {stage.per_second:.1f} |" for stage in stages]
    return "\n".join(
        [
            "## From PUT to searchable and notified",
            "",
            f"{BUNDLES} bundles of one JSON file, put by {CLIENTS} clients as fast as they are answered; one",
            "subscription that matches all. The bundles replicate to the other cloud, where their events are",
            "published, at the same time and on the same cores.",
            "",
            "| all bundles are | s | bundles/s |",
            "| --- | ---: | ---: |",
            *rows,
            "",
            f"From PUT's answer to the notification: p50 {percentile(waits, 50):.2f} s, p95 "
            f"{percentile(waits, 95):.2f} s.",
            "",
        ]
    )


def _measure(api: Api, clouds: Clouds, server: Subscriber, count: int) -> tuple[list[Stage], list[float]]:
    marker = new_uuid()
    content = json.dumps({"marker": marker}).encode()
    source = clouds.stage("gcp", content, content_type="application/json")
    item = put_file(api, source).named("marker.json", indexed=True)
    path = f"/ok/{marker}"
    query = f"files.marker_json[0].marker == '{marker}'"
    body = {"callback_url": server.url(path), "jmespath_query": query}
    api.put("/v1/subscriptions", replica="gcp", json=body).raise_for_status()
    answered: dict[str, float] = {}

    def put(_: int) -> None:
        bundle = put_bundle(api, "gcp", [item], bundle=Version(new_uuid(), now()))
        answered[bundle.uuid] = time.monotonic()

    def are_searchable() -> bool:
        clause = {"query": {"term": {"files.marker_json.marker": marker}}}
        answer = api.post("/v1/search", replica="gcp", json={"es_query": clause})
        return bool(answer.json().get("total_hits") == count)

    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS + 2) as threads:
        searchable = threads.submit(_when, are_searchable)
        notified = threads.submit(_when, lambda: len(server.calls_of(path)) >= count)
        for _ in threads.map(put, range(count)):
            pass
    came = {call.json["match"]["bundle_uuid"]: call.came for call in server.calls_of(path)}
    waits = sorted(max(0.0, at - answered[uuid]) for uuid, at in came.items())
    stages = [
        Stage(name="put", seconds=max(answered.values()) - began),
        Stage(name="searchable", seconds=searchable.result() - began),
        Stage(name="notified", seconds=notified.result() - began),
    ]
    return stages, waits


def _when(holds: Callable[[], bool]) -> float:
    """Return when a condition became true, by the monotonic clock."""
    deadline, pause = time.monotonic() + _LONGEST_SECONDS, threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {_LONGEST_SECONDS} s")
        pause.wait(_LOOK_SECONDS)
    return time.monotonic()
