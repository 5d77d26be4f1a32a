"""Clients that read: versions, search, lists, catalogue, the journal, checkouts."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import requests

from shared.identifiers import version_after
from tests.chaos.clients.world import MARK_PATH, World, read_version
from tests.support.api import Api, Version
from tests.support.clouds import REPLICAS

_ENTITIES = ("projects", "samples", "files", "bundles")


def read(world: World, api: Api, chance: random.Random) -> None:
    """Read an acknowledged or a contested version on any replica, and sometimes the newest one."""
    replica = chance.choice(REPLICAS)
    with world.lock:
        names = [*world.written, *world.contested]
    if names:
        # Mostly the last ones, of which something is under way.
        uuid, _, version = names[-1 - min(int(chance.expovariate(0.2)), len(names) - 1)].partition(".")
        read_version(world, api, replica, Version(uuid, version))


def check_out(world: World, api: Api, chance: random.Random) -> None:
    """Check a version out."""
    target = world.some(chance, deleted=False)
    if target is None or chance.random() > 0.3:
        return
    path = f"/v1/bundles/{target.bundle.uuid}/checkout"
    query = {"replica": target.replica, "version": target.bundle.version}
    answer = world.ask(partial(api.post, path, **query))
    if answer is not None and answer.status_code == 200:
        with world.lock:
            world.checkouts[answer.json()["checkout_job_id"]] = target


def look_up(world: World, api: Api, chance: random.Random) -> None:
    """Search, list, and page through the catalogue."""
    asked: list[Callable[[], requests.Response]] = [
        partial(api.post, "/v1/search", json=run_query(world.run), replica=chance.choice(REPLICAS)),
        partial(api.get, "/v1/bundles/all", replica=chance.choice(REPLICAS)),
        partial(api.get, f"/index/{chance.choice(_ENTITIES)}", size=chance.choice((1, 5, 50))),
        partial(api.get, "/index/summary"),
        partial(api.get, "/index/files", size=5, filters='{"biologicalSex": {"is": ["female"]}}'),
    ]
    world.ask(chance.choice(asked))


def follow(world: World, api: Api, chance: random.Random) -> None:
    """Read on in the journal of a replica."""
    follow_on(world, api, chance.choice(REPLICAS))


def follow_on(world: World, api: Api, replica: str) -> None:
    """Read a replica's journal on from the last event that was read, as those do who miss none."""
    seen = world.followed[replica]
    query = {"from_date": version_after(max(seen.values()))} if seen else {}
    answer = world.ask(partial(api.get, "/v1/events", replica=replica, per_page=10, **query))
    while answer is not None and answer.status_code in (200, 206):
        for stream in answer.json()["event_streams"]:
            seen.update({event["event_id"]: event["timestamp"] for event in stream["events"]})
        if answer.status_code == 200:
            return
        answer = world.ask(partial(api.get, answer.links["next"]["url"]))


def run_query(run: str) -> dict[str, Any]:
    """Return the query that finds the bundles of a run."""
    return {"es_query": {"query": {"term": {MARK_PATH: run}}}}
