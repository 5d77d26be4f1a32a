"""Bundles are on every replica as they were written, and buckets and catalog agree."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import requests

from shared.parallel import map_in_threads
from tests.chaos.clients.world import World, Written, read_version
from tests.chaos.history import ABSENT, OK, UNKNOWN
from tests.support.api import Api, Version
from tests.support.clouds import REPLICAS
from tests.support.command_line import dss

# Bundles that are looked at side by side.
AT_ONCE = 6


def bundles(world: World) -> list[str]:
    """Return the acknowledged bundles that a replica lacks or has otherwise, and deleted ones that it has."""
    pairs = [(each, replica) for each in list(world.written.values()) for replica in REPLICAS]

    def look(pair: tuple[Written, str]) -> list[str]:
        written, replica = pair
        return [*_bundle(world, world.api(), replica, written)]

    return [fault for faults in map_in_threads(look, pairs, threads=AT_ONCE) for fault in faults]


def _bundle(world: World, api: Api, replica: str, written: Written) -> Iterator[str]:
    bundle = written.bundle
    value = read_version(world, api, replica, bundle)
    if written.deletion:
        # What was not acknowledged may have happened, or not.
        if written.deletion == OK and value != ABSENT:
            yield f"{bundle} on {replica}: deleted, and still there"
        return
    query = {"replica": replica, "version": bundle.version, "presignedurls": True}
    answer = world.ask(partial(api.get, f"/v1/bundles/{bundle.uuid}", **query))
    if answer is None or answer.status_code != 200:
        yield f"{bundle} on {replica}: {answer.status_code if answer is not None else 'no answer'}"
        return
    for file in answer.json()["bundle"]["files"]:
        content = requests.get(file["url"], timeout=60).content
        if hashlib.sha256(content).hexdigest() != written.files.get(file["name"]):
            yield f"{bundle} on {replica}: {file['name']} has another content"


def contested(world: World) -> list[str]:
    """Return the versions that rivals wrote and that differ between replicas."""
    names = list(world.contested)
    found = _values(world, [Version(*name.split(".", 1)) for name in names])
    return [
        f"{name}: {values}"
        for name, values in zip(names, found, strict=True)
        if len(values) > 1 or None in values
    ]


def _values(world: World, versions: Sequence[Version]) -> Iterator[set[str | None]]:
    """Yield what replicas answer about versions, in their order: one value if they agree."""

    def look(version: Version) -> set[str | None]:
        api = world.api()
        return {read_version(world, api, replica, version) for replica in REPLICAS}

    return map_in_threads(look, versions, threads=AT_ONCE)


def abandoned(world: World) -> list[str]:
    """Return the versions that were not acknowledged, and are on some replicas only."""
    left = [bundle for name, bundle in list(world.abandoned.items()) if name not in world.written]
    found = _values(world, left)
    return [f"{bundle}: {values}" for bundle, values in zip(left, found, strict=True) if len(values) > 1]


def patches(world: World) -> list[str]:
    """Return the versions that two patches have replaced, each of which was to be the only one."""
    return [f"{base}: {found}" for base, found in world.successors.items() if len(found) > 1]


def audit(world: World) -> list[str]:
    """Return the findings of an audit, but for content that a call that failed has copied."""
    with tempfile.NamedTemporaryFile() as report:
        outcome = dss(world.direct, "admin", "audit", "--settled-after", 0, "--report", report.name)
        rows = [json.loads(line) for line in Path(report.name).read_text().splitlines()]
    if outcome.code not in (0, 1):
        return [f"audit: {outcome.err}"]
    # Such content is nobody's, and does no harm. The other lines of the report are its sums.
    findings = [row for row in rows if "kind" in row]
    return [str(row) for row in findings if (row["kind"], row["section"]) != ("dark", "blobs")]


def visible(world: World) -> set[str]:
    """Return the bundles that must be found; not those of which it is open whether they were deleted."""
    return {name for name, each in world.written.items() if not each.deletion}


def perhaps(world: World) -> set[str]:
    """Return the bundles of which it is open whether they were deleted."""
    return {name for name, each in world.written.items() if each.deletion == UNKNOWN}
