"""Clients that write: bundles, versions that two write, patches, deletions, collections."""

import hashlib
import json
import random
from collections.abc import Mapping
from functools import partial

from tests.chaos.clients.world import MARK_FILE, World, Written, put_bundle, put_file, value_of
from tests.chaos.history import ABSENT, DELETE, OK, READ, UNKNOWN, WRITE, clock
from tests.support.api import Api, Version, new_uuid, now
from tests.support.clouds import REPLICAS
from tests.support.hca_sample import HcaBundle

# A share of bundles has metadata that the catalogue takes.
_DESCRIBED = 0.25


def write(replica: str, world: World, api: Api, chance: random.Random) -> None:
    """Write a bundle of a few files, some of them JSON, and repeat each request until it is answered."""
    files = {"data.bin": chance.randbytes(chance.randrange(1, 20_000)), **_metadata(world, chance)}
    bundle, hashes = Version(new_uuid(), now()), hashes_of(files)
    items = [
        put_file(world, api, replica, name, data, indexed=name.endswith(".json"))
        for name, data in files.items()
    ]
    known = [item for item in items if item]
    complete = len(known) == len(items)
    if complete and put_bundle(world, api, replica, bundle, known, value_of(hashes)) == OK:
        with world.lock:
            world.written[str(bundle)] = Written(bundle, replica, hashes)


def _metadata(world: World, chance: random.Random) -> dict[str, bytes]:
    documents: dict[str, object] = {MARK_FILE: {"run": world.run, "number": chance.random()}}
    if chance.random() < _DESCRIBED:
        # Few projects: many bundles contribute to each.
        described = HcaBundle(new_uuid(), project=f"project {chance.randrange(3)} of {world.run}")
        described.add("donor_organism", sex=chance.choice(("female", "male")))
        documents.update(described.documents)
    return {name: json.dumps(document).encode() for name, document in documents.items()}


def hashes_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of files."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def abandon(world: World, api: Api, chance: random.Random) -> None:
    """Write a bundle, and never ask again: if that is not answered, it may be there, or not."""
    replica = chance.choice(REPLICAS)
    mark = json.dumps({"run": world.run}).encode()
    bundle, hashes = Version(new_uuid(), now()), hashes_of({MARK_FILE: mark})
    item = put_file(world, api, replica, MARK_FILE, mark, indexed=True)
    if item is None:
        return
    with world.lock:
        world.abandoned[str(bundle)] = bundle
    path, body = f"/v1/bundles/{bundle.uuid}", {"files": [item], "creator_uid": 1}
    start = clock()
    answer = world.ask(partial(api.put, path, json=body, version=bundle.version, replica=replica))
    outcome = world.record(WRITE, f"{bundle}@{replica}", value_of(hashes), start, answer)
    if outcome == OK:
        with world.lock:
            world.written[str(bundle)] = Written(bundle, replica, hashes)
    for other in REPLICAS:
        if other != replica:
            world.record(WRITE, f"{bundle}@{other}", value_of(hashes), start, None)


def rival(side: int, world: World, api: Api, chance: random.Random) -> None:
    """Write a version that another client writes as well, with another content."""
    name = f"side-{side}.bin"
    item = put_file(world, api, "gcp", name, f"side {side} {chance.random()}".encode())
    with world.lock:
        open_ones = [fqid for fqid, sides in world.contested.items() if name not in sides]
        fqid = open_ones[0] if open_ones else f"{new_uuid()}.{now()}"
        world.contested.setdefault(fqid, set()).add(name)
    uuid, _, version = fqid.partition(".")
    if item:
        put_bundle(world, api, "gcp", Version(uuid, version), [item], name)


def patch(world: World, api: Api, chance: random.Random) -> None:
    """Have a bundle follow another one: of two patchers who replace the same version, one may succeed.

    Then read the newest version, which must never go back.
    """
    with world.lock:
        known = [name for name in world.successors if not world.successors[name]]
    if not known or chance.random() < 0.1:
        _begin_series(world, api, chance)
        return
    base = Version(*chance.choice(known[-3:]).split(".", 1))
    file = put_file(world, api, "gcp", f"added-{new_uuid()}.bin", chance.randbytes(10))
    if file is None:
        return
    start, body = clock(), {"add_files": [file]}
    headers = {"If-Match": base.version}
    path = f"/v1/bundles/{base.uuid}"
    query = {"replica": "gcp", "version": base.version}
    answer = world.ask(partial(api.patch, path, json=body, headers=headers, **query))
    if answer is not None and answer.status_code == 200:
        new = answer.json()["version"]
        world.record(WRITE, f"newest {base.uuid}", new, start, answer)
        with world.lock:
            world.successors[str(base)].append(new)
            world.successors.setdefault(f"{base.uuid}.{new}", [])
    _read_newest(world, api, base.uuid)


def _begin_series(world: World, api: Api, chance: random.Random) -> None:
    bundle = Version(new_uuid(), now())
    item = put_file(world, api, "gcp", "first.bin", chance.randbytes(10))
    start = clock()
    if item and put_bundle(world, api, "gcp", bundle, [item], value_of({})) == OK:
        with world.lock:
            world.successors[str(bundle)] = []
        world.note(WRITE, f"newest {bundle.uuid}", bundle.version, start)


def _read_newest(world: World, api: Api, uuid: str) -> None:
    start = clock()
    answer = world.ask(partial(api.get, f"/v1/bundles/{uuid}", replica="gcp"))
    value = answer.json()["bundle"]["version"] if answer is not None and answer.ok else ABSENT
    world.record(READ, f"newest {uuid}", value, start, answer)
    if value:
        with world.lock:
            # Its writer may not have heard of it.
            world.successors.setdefault(f"{uuid}.{value}", [])


def delete(world: World, api: Api, chance: random.Random) -> None:
    """Delete an acknowledged version now and then."""
    target = world.some(chance, deleted=False)
    if target is None or chance.random() > 0.1:
        return
    with world.lock:
        target.deletion = UNKNOWN
    path = f"/v1/bundles/{target.bundle.uuid}"
    query = {"replica": target.replica, "version": target.bundle.version}

    def attempt() -> bool:
        start = clock()
        answer = world.ask(partial(api.delete, path, json={"reason": "chaos"}, **query))
        outcomes = [
            world.record(DELETE, f"{target.bundle}@{replica}", ABSENT, start, answer) for replica in REPLICAS
        ]
        return outcomes[0] == OK

    if world.answered(f"DELETE of {target.bundle}", attempt):
        with world.lock:
            target.deletion = OK
    world.count("deletions")


def collect(world: World, api: Api, chance: random.Random) -> None:
    """Write a version of a collection, and read its newest one."""
    target = world.some(chance)
    if target is None:
        return
    with world.lock:
        known = [*world.collections]
    uuid = chance.choice(known[-5:]) if known and chance.random() < 0.7 else new_uuid()
    version, start = now(), clock()
    body = {
        "name": "n",
        "description": "d",
        "details": {"version": version},
        "contents": [target.bundle.linked("bundle")],
    }
    answer = world.ask(
        partial(api.put, "/v1/collections", json=body, replica="gcp", uuid=uuid, version=version)
    )
    if world.record(WRITE, f"collection {uuid}", version, start, answer) == OK:
        with world.lock:
            world.collections.setdefault(uuid, []).append(version)
    start = clock()
    answer = world.ask(partial(api.get, f"/v1/collections/{uuid}", replica="gcp"))
    read = answer.json()["details"]["version"] if answer is not None and answer.ok else ABSENT
    world.record(READ, f"collection {uuid}", read, start, answer)
