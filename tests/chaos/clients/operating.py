"""Operators at work: they change who may read, remove for good, and others import what is in buckets."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import requests

from shared.bindings import change_binding
from shared.catalog import Binding, Purge
from shared.errors import StoreError, TooManyUnderWay, Unavailable
from shared.groups import add_members, remove_members
from shared.purges.records import declare, new_purge
from shared.system import Dss
from tests.chaos.clients.world import MARK_FILE, RETRY, World, put_bundle, put_file, value_of
from tests.chaos.clocks import Apart
from tests.chaos.history import OK, clock
from tests.support.api import Api, Version, new_uuid, now
from tests.support.clouds import SCHEMES

# Seconds after which a change of access holds everywhere (docs/access.md).
HELD = 5.0
# Seconds for which it is then looked at, again and again.
_WATCHED = 2.0
_LAB = "chaos-lab"
# A reader in no group that may read what is managed, unless an operator adds them to one.
_READER = "reader@example.org"
_SECONDS_OF_AN_IMPORT = 240


def change_access(world: World, api: Api, chance: random.Random) -> None:
    """Add a reader to a group and remove them, bind a bundle and unbind it; see that each change holds."""
    bundle = _managed(world, api, chance)
    reader = world.api("DSS_TOKEN_OTHER_GROUP")
    # Two operators' machines, whose clocks are minutes apart.
    ahead, behind = (
        replace(world.operators, clock=Apart(by)) for by in (world.clocks_apart, -world.clocks_apart)
    )
    group = f"{_LAB}-{new_uuid()[:8]}"
    steps: list[tuple[str, Callable[[], object], int]] = [
        ("bind it to a group", lambda: _bind(ahead, bundle, frozenset((group,))), 403),
        ("add a member", lambda: add_members(ahead, group, [_READER], "chaos"), 200),
        ("remove a member", lambda: remove_members(behind, group, [_READER], "chaos"), 403),
        ("unbind it", lambda: _bind(behind, bundle, frozenset()), 200),
    ]
    for what, change, status in steps:
        if world.stop.is_set() or not _changed(world, change):
            return
        world.count("changes of access")
        _held(world, reader, bundle, what, status)


def _managed(world: World, api: Api, chance: random.Random) -> Version:
    bundle = Version(new_uuid(), now())
    item = put_file(world, api, "gcp", "managed.bin", chance.randbytes(10))
    if item:
        put_bundle(world, api, "gcp", bundle, [item], value_of({}))
    return bundle


def _bind(dss: Dss, bundle: Version, readers: frozenset[str]) -> Binding:
    return change_binding(dss, bundle.uuid, "chaos", lambda before: replace(before, readers=readers))


def _changed(world: World, change: Callable[[], object]) -> bool:
    """Repeat a change until it is done, and return True; False if the run ends before."""
    while True:
        try:
            change()
            return True
        except (Unavailable, StoreError, TooManyUnderWay):
            if world.stop.wait(RETRY):
                return False


def _held(world: World, reader: Api, bundle: Version, what: str, status: int) -> None:
    """Complain if a reader is answered otherwise than a change says, from HELD seconds after it on."""
    time.sleep(HELD)
    until = time.monotonic() + _WATCHED
    path = f"/v1/bundles/{bundle.uuid}"
    while time.monotonic() < until and not world.stop.wait(RETRY):
        answer = world.ask(partial(reader.get, path, replica="gcp", version=bundle.version))
        if answer is not None and answer.status_code < 500 and answer.status_code not in (status, 429):
            world.complain(
                "a change of access does not hold after 5 s",
                f"{what}: {bundle} is answered {answer.status_code}, not {status}: {answer.text[:200]}",
            )


def purge(world: World, api: Api, chance: random.Random) -> None:
    """Withhold a bundle for good, soon after it was written; from then on no read sees it."""
    bundle = Version(new_uuid(), now())
    mark = json.dumps({"run": world.run}).encode()
    item = put_file(world, api, "gcp", MARK_FILE, mark, indexed=True)
    if item is None or put_bundle(world, api, "gcp", bundle, [item], value_of({})) != OK:
        return
    world.stop.wait(chance.uniform(0, 6))
    records: list[Purge] = []

    def withhold() -> None:
        if not records:
            records.append(new_purge(world.operators, bundle.uuid, "", reason="chaos", by="chaos"))
        declare(world.operators, records[0])

    if not _changed(world, withhold):
        return
    with world.lock:
        world.purged[str(bundle)] = bundle
    world.stop.wait(chance.uniform(5, 15))


def import_folder(world: World, api: Api, chance: random.Random) -> None:
    """Import a folder of a bucket to its end, and note what has to be found of it."""
    replica = chance.choice([*SCHEMES])
    name, import_id = new_uuid(), new_uuid()
    objects = {
        f"{folder}/{file}": json.dumps({"import": import_id, "at": f"{folder}/{file}"}).encode()
        for folder in ("one", "two")
        for file in ("first.json", "second.json")
    }
    for key, data in objects.items():
        world.clouds.stage(replica, data, metadata={}, key=f"{name}/{key}", content_type="application/json")
    source = f"{SCHEMES[replica]}://{world.clouds.staging[replica]}/{name}/"
    path = f"/imports/{import_id}"
    body = {"source": source, "metadata": ["*.json"], "depth": 1, "creator_uid": 1}
    if (
        _asked(world, f"PUT {path}", lambda: api.put(path, json=body))
        and _ended(world, api, import_id)
        and _asked(world, f"start of {path}", lambda: api.post(f"{path}/start"))
        and _ended(world, api, import_id)
    ):
        with world.lock:
            world.imports[import_id] = frozenset(objects)


def _asked(world: World, what: str, call: Callable[[], requests.Response]) -> bool:
    def attempt() -> bool:
        answer = world.ask(call)
        return answer is not None and answer.status_code < 300

    return world.answered(what, attempt)


def _ended(world: World, api: Api, import_id: str) -> bool:
    """Wait for a stage to end, and return whether it has succeeded; one that fails is started again."""
    until = clock() + _SECONDS_OF_AN_IMPORT
    while clock() < until:
        answer = world.ask(partial(api.get, f"/imports/{import_id}"))
        status = answer.json()["status"] if answer is not None and answer.ok else "RUNNING"
        if status == "SUCCEEDED":
            return True
        if status == "FAILED":
            world.count("imports that failed and were begun again")
            world.ask(partial(api.post, f"/imports/{import_id}/start"))
        time.sleep(RETRY)
    world.complain("an import has not ended", f"{import_id}: {answer.text if answer is not None else ''}")
    return False
