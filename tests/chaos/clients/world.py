"""What the clients of one run share: what was acknowledged, what was asked, and how it was answered."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import requests

from shared.messages import ObjectEvent
from shared.system import Dss
from tests.chaos.history import ABSENT, OK, READ, REFUSED, UNKNOWN, WRITE, History, Operation, clock
from tests.support.api import Api, Version, new_uuid, now
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import open_dss_for_threads
from tests.support.subscriber import Subscriber

# Seconds after which a client repeats what was not answered.
RETRY = 0.5
# Seconds after the last fault for which clients go on to repeat what was not answered.
LAST_ANSWER = 90.0
# The name of a JSON file, and its value, by which all bundles of a run are found.
MARK_FILE, MARK_PATH = "run.json", "files.run_json.run"
# An event that is nobody's, which opens the publisher.
_NOBODYS = ObjectEvent(replica="nobody", bucket="nobody", key="nobody")
# Examples of what is wrong that are kept of a kind.
_EXAMPLES = 20


@dataclass
class Written:
    """A bundle that was acknowledged: its files' names and SHA-256; deleted if its deletion was asked for."""

    bundle: Version
    replica: str
    files: Mapping[str, str]
    deletion: str = ""
    acknowledged: float = field(default_factory=clock)


@dataclass
class World:
    """What the clients of one run share. `env` is of the way that clients take, `direct` past all faults."""

    env: Mapping[str, str]
    direct: Mapping[str, str]
    clouds: Clouds
    history: History
    server: Subscriber
    # Seconds by which the clocks of operators are ahead and behind.
    clocks_apart: float = 0.0
    run: str = field(default_factory=new_uuid)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    written: dict[str, Written] = field(default_factory=dict)
    # Versions that two rivals write: the contents that they tried.
    contested: dict[str, set[str]] = field(default_factory=dict)
    # Versions that were asked for once only.
    abandoned: dict[str, Version] = field(default_factory=dict)
    collections: dict[str, list[str]] = field(default_factory=dict)
    # Checkouts by job; imports by id, with the names of their objects; purged bundles.
    checkouts: dict[str, Written] = field(default_factory=dict)
    imports: dict[str, frozenset[str]] = field(default_factory=dict)
    purged: dict[str, Version] = field(default_factory=dict)
    # By the version that was to be replaced: those that have replaced it.
    successors: dict[str, list[str]] = field(default_factory=dict)
    # Events of a replica's journal that somebody has read who went on from the last one each time.
    followed: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {} for name in REPLICAS})
    # How often each status came; by what is wrong, examples that clients have seen.
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    # What each client has done so far.
    done: dict[str, int] = field(default_factory=dict)

    def open(self) -> None:
        """Open both systems, before there are threads: that changes the environment for a moment."""
        for opened in (self.dss, self.operators):
            opened.catalog.switches.get()

    @cached_property
    def dss(self) -> Dss:
        """The system past all faults, to look at it."""
        return open_dss_for_threads(self.direct, first=_NOBODYS)

    @cached_property
    def operators(self) -> Dss:
        """The system as an operator's command opens it, which faults hit as well."""
        return open_dss_for_threads(self.env, first=_NOBODYS)

    def api(self, token: str = "DSS_TOKEN") -> Api:
        """Return a client of one thread."""
        return Api(self.env["DSS_URL"], self.env[token] if token else None)

    def complain(self, what: str, example: str) -> None:
        """Note that something is wrong."""
        with self.lock:
            found = self.wrong.setdefault(what, [])
            if len(found) < _EXAMPLES:
                found.append(example)

    def count(self, what: str) -> None:
        """Count something that a client has done."""
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1

    def some(self, chance: random.Random, *, deleted: bool = True) -> Written | None:
        """Return one of the acknowledged bundles; half of the time a recent one."""
        with self.lock:
            found = [each for each in self.written.values() if deleted or not each.deletion]
        if not found:
            return None
        return chance.choice(found[-5:] if chance.random() < 0.5 else found)

    def ask(self, call: Callable[[], requests.Response]) -> requests.Response | None:
        """Return the answer of a call; None if there was none."""
        try:
            answer = call()
        except requests.RequestException:
            return None
        with self.lock:
            self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if answer.status_code == 500:
            request = f"{answer.request.method} {answer.request.url}"
            self.complain("an answer has status 500", f"{request}: {answer.text[:300]}")
        return answer

    def answered(self, what: str, attempt: Callable[[], bool]) -> bool:
        """Repeat an attempt until it is answered, and return True; False if it never was.

        Clients go on for LAST_ANSWER seconds after the last fault: by then everything has to work.
        """
        until = float("inf")
        while not attempt():
            if self.stop.wait(RETRY):
                until = min(until, time.monotonic() + LAST_ANSWER)
                time.sleep(RETRY)
            if time.monotonic() > until:
                self.complain("a request that is repeated is never answered", what)
                return False
        return True

    def record(
        self, action: str, register: str, value: str, start: float, answer: requests.Response | None
    ) -> str:
        """Add an operation to the history; return its outcome."""
        status = answer.status_code if answer is not None else 0
        outcome = OK if status in (200, 201) else REFUSED if status in (409, 412, 422) else UNKNOWN
        if action == READ and status == 404:
            outcome = OK
        self._add(action, register, value, start, outcome, status)
        return outcome

    def note(self, action: str, register: str, value: str, start: float) -> None:
        """Add an operation to the history that was done."""
        self._add(action, register, value, start, OK, 200)

    def _add(self, action: str, register: str, value: str, start: float, outcome: str, status: int) -> None:
        operation = Operation(
            action=action,
            register=register,
            value=value,
            start=start,
            end=clock(),
            outcome=outcome,
            status=status,
        )
        self.history.add(operation)


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
    return first if first.startswith("side-") else value_of(files)


def value_of(hashes: Mapping[str, str]) -> str:
    """Return the name of a content that consists of these files."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:16]


def put_file(
    world: World, api: Api, replica: str, name: str, data: bytes, *, indexed: bool = False
) -> dict[str, Any] | None:
    """Put a file, and return it as an item of a bundle; None if that was never answered."""
    kind = "application/json" if indexed else "application/octet-stream"
    source = world.clouds.stage(replica, data, content_type=kind)
    file = Version(new_uuid(), now())
    body = {"source_url": source, "creator_uid": 1}

    def attempt() -> bool:
        answer = world.ask(partial(api.put, f"/v1/files/{file.uuid}", version=file.version, json=body))
        return answer is not None and answer.status_code in (200, 201)

    return file.named(name, indexed=indexed) if world.answered(f"PUT of file {file}", attempt) else None


def put_bundle(
    world: World, api: Api, replica: str, bundle: Version, items: list[dict[str, Any]], value: str
) -> str:
    """Put a bundle, again and again until it is answered; return the outcome."""
    path, body = f"/v1/bundles/{bundle.uuid}", {"files": items, "creator_uid": 1}
    outcome = UNKNOWN

    def attempt() -> bool:
        nonlocal outcome
        start = clock()
        answer = world.ask(partial(api.put, path, json=body, version=bundle.version, replica=replica))
        outcome = world.record(WRITE, f"{bundle}@{replica}", value, start, answer)
        for other in REPLICAS:
            if other != replica and outcome != REFUSED:
                # It arrives there some time.
                world.record(WRITE, f"{bundle}@{other}", value, start, None)
        return outcome != UNKNOWN

    world.answered(f"PUT of bundle {bundle}", attempt)
    return outcome
