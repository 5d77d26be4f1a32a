"""Clients at work: writers, rivals, readers, deleters, collectors, and those who check out and search."""

import hashlib
import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests

from tests.chaos.history import ABSENT, DELETE, OK, READ, REFUSED, UNKNOWN, WRITE, History, Operation, clock
from tests.support.api import Api, Version, new_uuid, now
from tests.support.clouds import REPLICAS, Clouds

# Seconds that a client pauses between two requests: the machine also runs the system.
_PAUSE = 0.15
# Seconds after which a writer repeats what was not answered.
_RETRY = 0.5
# The name of a JSON file, and its value, by which all bundles of a run are found.
MARK_FILE, MARK_PATH = "run_0.json", "files.run_json.run"


@dataclass
class Written:
    """A bundle that was acknowledged: its files' names and SHA-256; deleted if its deletion was asked for."""

    bundle: Version
    replica: str
    files: Mapping[str, str]
    deletion: str = ""


@dataclass
class World:
    """What the clients of one run share."""

    env: Mapping[str, str]
    clouds: Clouds
    history: History
    run: str = field(default_factory=new_uuid)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    written: dict[str, Written] = field(default_factory=dict)
    # Versions that two rivals write: the contents that they tried.
    contested: dict[str, set[str]] = field(default_factory=dict)
    collections: dict[str, list[str]] = field(default_factory=dict)
    # By job.
    checkouts: dict[str, Written] = field(default_factory=dict)
    # How often each status came, and examples of the ones that should never come.
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def api(self, token: str = "DSS_TOKEN") -> Api:
        """Return a client of one thread."""
        return Api(self.env["DSS_URL"], self.env[token] if token else None)

    def some(self, chance: random.Random, *, deleted: bool = True) -> Written | None:
        """Return one of the acknowledged bundles."""
        with self.lock:
            found = [each for each in self.written.values() if deleted or not each.deletion]
        return chance.choice(found) if found else None

    def ask(self, call: Callable[[], requests.Response]) -> requests.Response | None:
        """Return the answer of a call; None if there was none."""
        try:
            answer = call()
        except requests.RequestException:
            return None
        with self.lock:
            self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
            if answer.status_code == 500 and len(self.wrong) < 20:
                self.wrong.append(f"{answer.request.method} {answer.request.url}: {answer.text[:300]}")
        return answer

    def record(
        self, action: str, register: str, value: str, start: float, answer: requests.Response | None
    ) -> str:
        """Add an operation to the history; return its outcome."""
        status = answer.status_code if answer is not None else 0
        outcome = OK if status in (200, 201) else REFUSED if status in (409, 422) else UNKNOWN
        if action == READ and status == 404:
            outcome = OK
        self.history.add(
            Operation(
                action=action,
                register=register,
                value=value,
                start=start,
                end=clock(),
                outcome=outcome,
                status=status,
            )
        )
        return outcome


def clients(seed: int, world: World) -> list[threading.Thread]:
    """Return the threads of all clients, not started yet."""
    work: list[Callable[[World, Api, random.Random], None]] = [
        *(partial(write, replica) for replica in REPLICAS * 2),
        *(partial(rival, side) for side in range(2)),
        *(read, read, delete, collect, check_out, look_up),
    ]
    return [
        threading.Thread(
            target=_repeat, args=(world, random.Random(seed * 1000 + number), each), name=f"client {number}"
        )
        for number, each in enumerate(work)
    ]


def _repeat(world: World, chance: random.Random, work: Callable[[World, Api, random.Random], None]) -> None:
    api = world.api("DSS_ADMIN_TOKEN" if work is delete else "DSS_TOKEN")
    while not world.stop.wait(chance.uniform(0, 2 * _PAUSE)):
        work(world, api, chance)


def write(replica: str, world: World, api: Api, chance: random.Random) -> None:
    """Write a bundle of two files, one of them JSON, and repeat each request until it is answered."""
    content = chance.randbytes(chance.randrange(1, 20_000))
    mark = json.dumps({"run": world.run, "number": chance.random()}).encode()
    files = {"data.bin": content, MARK_FILE: mark}
    items = [
        _put_file(world, api, replica, name, data, indexed=name == MARK_FILE) for name, data in files.items()
    ]
    bundle = Version(new_uuid(), now())
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    if all(items) and _put_bundle(world, api, replica, bundle, items, _value(hashes)) == OK:
        with world.lock:
            world.written[str(bundle)] = Written(bundle, replica, hashes)


def rival(side: int, world: World, api: Api, chance: random.Random) -> None:
    """Write a version that another client writes as well, with another content."""
    name = f"side-{side}.bin"
    item = _put_file(world, api, "gcp", name, f"side {side} {chance.random()}".encode(), indexed=False)
    with world.lock:
        open_ones = [fqid for fqid, sides in world.contested.items() if name not in sides]
        fqid = open_ones[0] if open_ones else f"{new_uuid()}.{now()}"
        world.contested.setdefault(fqid, set()).add(name)
    uuid, _, version = fqid.partition(".")
    if item:
        _put_bundle(world, api, "gcp", Version(uuid, version), [item], name)


def read(world: World, api: Api, chance: random.Random) -> None:
    """Read an acknowledged or a contested version on any replica, and sometimes the newest one."""
    replica = chance.choice(REPLICAS)
    with world.lock:
        names = [*world.written, *world.contested]
    if names:
        # Mostly the last ones, of which something is under way.
        uuid, _, version = names[-1 - min(int(chance.expovariate(0.2)), len(names) - 1)].partition(".")
        read_version(world, api, replica, Version(uuid, version))


def read_version(world: World, api: Api, replica: str, bundle: Version) -> str | None:
    """Read a version on a replica, and return its content, ABSENT, or None if it is not known."""
    start = clock()
    path = f"/v1/bundles/{bundle.uuid}"
    answer = world.ask(partial(api.get, path, replica=replica, version=bundle.version))
    value = content_of(answer) if answer is not None and answer.status_code == 200 else ABSENT
    outcome = world.record(READ, f"{bundle}@{replica}", value, start, answer)
    return value if outcome == OK else None


def content_of(answer: requests.Response) -> str:
    """Return the content of a bundle as its writer named it."""
    files = {file["name"]: file["sha256"] for file in answer.json()["bundle"]["files"]}
    [first, *_] = sorted(files)
    return first if first.startswith("side-") else _value(files)


def _value(hashes: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:16]


def delete(world: World, api: Api, chance: random.Random) -> None:
    """Delete an acknowledged version now and then."""
    target = world.some(chance, deleted=False)
    if target is None or chance.random() > 0.05:
        return
    with world.lock:
        target.deletion = UNKNOWN
    path = f"/v1/bundles/{target.bundle.uuid}"
    query = {"replica": target.replica, "version": target.bundle.version}
    while True:
        start = clock()
        answer = world.ask(partial(api.delete, path, json={"reason": "chaos"}, **query))
        outcomes = [
            world.record(DELETE, f"{target.bundle}@{replica}", ABSENT, start, answer) for replica in REPLICAS
        ]
        if outcomes[0] == OK:
            with world.lock:
                target.deletion = OK
            return
        if world.stop.wait(_RETRY):
            return


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
        partial(api.get, "/v1/events", replica=chance.choice(REPLICAS)),
        partial(api.get, "/index/files", size=5),
    ]
    world.ask(chance.choice(asked))


def run_query(run: str) -> dict[str, Any]:
    """Return the query that finds the bundles of a run."""
    return {"es_query": {"query": {"term": {MARK_PATH: run}}}}


def _put_file(
    world: World, api: Api, replica: str, name: str, data: bytes, *, indexed: bool
) -> dict[str, Any] | None:
    kind = "application/json" if indexed else "application/octet-stream"
    source = world.clouds.stage(replica, data, content_type=kind)
    file = Version(new_uuid(), now())
    body = {"source_url": source, "creator_uid": 1}
    while True:
        answer = world.ask(partial(api.put, f"/v1/files/{file.uuid}", version=file.version, json=body))
        if answer is not None and answer.status_code in (200, 201):
            return file.named(name, indexed=indexed)
        if world.stop.wait(_RETRY):
            return None


def _put_bundle(world: World, api: Api, replica: str, bundle: Version, items: list[Any], value: str) -> str:
    path, body = f"/v1/bundles/{bundle.uuid}", {"files": items, "creator_uid": 1}
    while True:
        start = clock()
        answer = world.ask(partial(api.put, path, json=body, version=bundle.version, replica=replica))
        outcome = world.record(WRITE, f"{bundle}@{replica}", value, start, answer)
        for other in REPLICAS:
            if other != replica and outcome != REFUSED:
                # It arrives there some time.
                world.record(WRITE, f"{bundle}@{other}", value, start, None)
        if outcome != UNKNOWN or world.stop.wait(_RETRY):
            return outcome
