"""What was begun has ended: checkouts, imports, copies; and what was written is in the audit log."""

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from shared.parallel import map_in_threads
from tests.chaos.checks.replicas import AT_ONCE
from tests.chaos.clients.world import World, Written
from tests.chaos.history import OK
from tests.support.api import Api
from tests.support.audit_lines import AuditLines
from tests.support.checkouts import read_objects
from tests.support.clouds import REPLICAS
from tests.support.command_line import dss


def checkouts(world: World) -> list[str]:
    """Return the checkouts that have not succeeded, or whose copies are not what the bundle has."""

    def look(row: tuple[str, Written]) -> list[str]:
        return [*_checkout(world, world.api(), *row)]

    faults = map_in_threads(look, list(world.checkouts.items()), threads=AT_ONCE)
    return [fault for found in faults for fault in found]


def _checkout(world: World, api: Api, job: str, written: Written) -> Iterator[str]:
    answer = world.ask(partial(api.get, f"/v1/bundles/checkout/{job}", replica=written.replica))
    status = answer.json() if answer is not None and answer.ok else {"status": "no answer"}
    name = f"checkout {job} of {written.bundle} on {written.replica}"
    # One whose bundle was deleted meanwhile may fail.
    if status["status"] not in ("SUCCEEDED", "FAILED" if written.deletion else ""):
        yield f"{name}: {status}"
    elif status["status"] == "SUCCEEDED" and not written.deletion:
        _, _, bucket, prefix = status["location"].split("/", 3)
        copies = read_objects(world.clouds, written.replica, bucket, prefix)
        for file, sha256 in written.files.items():
            content, _ = copies.get(f"{prefix}/{file}", (b"", ""))
            if hashlib.sha256(content).hexdigest() != sha256:
                yield f"{name}: {file} has {len(content)} bytes, which are not those of the bundle"


def imports(world: World) -> list[str]:
    """Return the objects of imports that search does not find on a replica."""
    api, found = world.api(), []
    for import_id, objects in list(world.imports.items()):
        for replica in REPLICAS:
            names = {
                each
                for name in ("first_json", "second_json")
                for each in _imported(api, replica, import_id, name)
            }
            missing = objects - names
            found += [f"import {import_id}: {key} is not found on {replica}" for key in sorted(missing)]
    return found


def _imported(api: Api, replica: str, import_id: str, name: str) -> Iterator[str]:
    query = {"es_query": {"query": {"term": {f"files.{name}.import": import_id}}}}
    answer = api.post("/v1/search", json=query, replica=replica, per_page=10, output_format="raw")
    if answer.status_code == 200:
        for hit in answer.json()["results"]:
            yield from (str(each["at"]) for each in hit["metadata"]["files"][name])


def under_way(world: World) -> list[str]:
    """Return how much of each kind of work is still running."""
    catalog = world.dss.catalog
    running: dict[str, Any] = {
        "copies": catalog.jobs.under_way(),
        "checkouts": catalog.checkouts.under_way(),
        "imports": catalog.imports.under_way(),
        "manifests": catalog.manifests.under_way(),
    }
    return [f"{count} {name} are running" for name, count in running.items() if count]


def dead_letters(world: World) -> list[str]:
    """Return the dead letters: within a day, for which messages are tried, nothing becomes one."""
    outcome = dss(world.direct, "admin", "dead-letters", "list", "--json")
    if outcome.code:
        return [f"dead letters: {outcome.err}"]
    return [
        f"{letter['subscription']}: {letter['reason']}: {letter['key']}" for letter in outcome.json["letters"]
    ]


def audit_log(world: World) -> list[str]:
    """Return the writes that were acknowledged, and are in no line of the audit log."""
    lines = {
        (entry.operation, uuid)
        for entry in AuditLines(world.direct).all()
        if entry.decision == "allowed"
        for uuid in (entry.uuid, *entry.uuids)
    }
    found = []
    for name, each in list(world.written.items()):
        done = ["bundles.put", *(["bundles.delete"] if each.deletion == OK else [])]
        found += [f"{what} of {name} is not there" for what in done if (what, each.bundle.uuid) not in lines]
    for uuid in list(world.collections):
        found += [] if ("collections.put", uuid) in lines else [f"collections.put of {uuid} is not there"]
    return found
