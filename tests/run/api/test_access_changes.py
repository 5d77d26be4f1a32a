"""What operators change by `dss admin access` and `dss admin group` counts in every process within 5 s."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.api import ApiProcess, api_process
from shared.groups import add_members, remove_members
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.command_line import dss_here as run
from tests.support.waiting import wait_until

READER = "reader@example.org"
SECONDS = 5.0


class Workers:
    """An API of two processes, each of which can be asked alone."""

    def __init__(self, process: ApiProcess) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        self._pids = [int(pid) for pid in children]
        assert len(self._pids) == 2
        self._api = Api(process.url)

    def statuses(self, path: str, token: str | None) -> list[int]:
        """Return the status that each process answers a GET with."""
        found = []
        for pid in self._pids:
            with self._stopped(set(self._pids) - {pid}):
                # A connection of its own, which the process that runs accepts.
                client = self._api.signed_in(token)
                answer = client.get(path, replica="gcp", headers={"Connection": "close"})
                found.append(answer.status_code)
        return found

    @contextmanager
    def _stopped(self, pids: set[int]) -> Iterator[None]:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@dataclass(kw_only=True)
class Change:
    """A file, who asks for it, what is changed, and the statuses before and after that."""

    path: str
    token: str | None
    make: Callable[[], object]
    before: int
    after: int
    # By the monotonic clock: when it was made, and when the last question with another answer was asked.
    made: float = 0.0
    last: float = 0.0

    @property
    def seconds(self) -> float:
        """How long after the change the last answer with another status was asked for."""
        return self.last - self.made

    def is_seen(self, workers: Workers) -> bool:
        """Return whether both processes answer as they should after the change."""
        asked = time.monotonic()
        if workers.statuses(self.path, self.token) == [self.after] * 2:
            return True
        self.last = asked
        return False


@pytest.fixture(scope="module")
def default_group() -> str:
    return f"default-{new_uuid()[:8]}"


@pytest.fixture(scope="module")
def process(stack, default_group) -> Iterator[ApiProcess]:
    """An API of two processes, in which a group owns new bundles by default."""
    with api_process(stack, {"DSS_OWNER_GROUP": default_group}, workers=2) as process:
        yield process


def test_bindings_and_memberships_count_in_every_process_within_five_seconds(
    process, stack, dss, api, clouds
):
    """All of them at once: each may take its five seconds."""
    workers, reader = Workers(process), stack["DSS_TOKEN_OTHER_GROUP"]
    joined, left, domain = (f"lab-{new_uuid()[:8]}" for _ in range(3))

    def new_path() -> str:
        return f"/v1/files/{put_file(api, clouds.stage('gcp', new_uuid().encode())).uuid}"

    def access(*arguments: object) -> None:
        outcome = run(stack, "admin", "access", *arguments)
        assert outcome.code == 0, outcome.err

    def change(
        token: str | None, before: int, after: int, make: Callable[[str], object], *groups: str
    ) -> Change:
        path = new_path()
        uuid = path.rpartition("/")[2]
        for group in groups:
            access("add", uuid, group)
        return Change(path=path, token=token, make=lambda: make(uuid), before=before, after=after)

    add_members(dss, left, [READER], "operator")
    changes = {
        "bound": change(None, 302, 401, lambda uuid: access("add", uuid, "consortium")),
        "unbound": change(
            None, 401, 302, lambda uuid: access("remove", uuid, "consortium", "--unbind"), "consortium"
        ),
        "joined": change(reader, 403, 302, lambda _: add_members(dss, joined, [READER], "operator"), joined),
        "left": change(reader, 302, 403, lambda _: remove_members(dss, left, [READER], "operator"), left),
        "joined by domain": change(
            reader, 403, 302, lambda _: add_members(dss, domain, ["@Example.org"], "operator"), domain
        ),
    }
    # Both processes have just read what is bound to whom, and what the caller is a member of.
    wait_until(
        lambda: all(workers.statuses(one.path, one.token) == [one.before] * 2 for one in changes.values()),
        "both processes know everything as it is before",
        SECONDS,
    )

    waiting = list(changes.values())
    for one in waiting:
        one.make()
        one.made = one.last = time.monotonic()

    def all_seen() -> bool:
        waiting[:] = [one for one in waiting if not one.is_seen(workers)]
        return not waiting

    wait_until(all_seen, lambda: f"both processes know what has changed: {waiting}", SECONDS)

    seconds = {name: one.seconds for name, one in changes.items()}
    print({name: round(one, 2) for name, one in seconds.items()})
    assert max(seconds.values()) < SECONDS


def test_members_of_a_group_write_and_own_new_bundles_by_default(
    process, stack, api, dss, clouds, default_group
):
    reader = Api(process.url, stack["DSS_TOKEN_OTHER_GROUP"])
    source = clouds.stage("gcp", b"content that a member puts")
    put_file(reader, source, status=403)
    first, second = (Api(process.url, stack[name]) for name in ("DSS_TOKEN", "DSS_TOKEN2"))
    unowned = put_bundle(api, "gcp", [])
    put_bundle(second, "gcp", [], bundle=Version(unowned.uuid, now()))
    bundle = Version(new_uuid(), now())
    put_bundle(second, "gcp", [], bundle=bundle, status=403)

    add_members(dss, "dss", [READER], "operator")
    add_members(dss, default_group, ["writer@example.org"], "operator")

    def put_by_member() -> int:
        body = {"source_url": source, "creator_uid": 1}
        return reader.put(f"/v1/files/{new_uuid()}", version=now(), json=body).status_code

    def put_by_owner() -> int:
        path, body = f"/v1/bundles/{bundle.uuid}", {"files": [], "creator_uid": 1}
        return first.put(path, replica="gcp", version=bundle.version, json=body).status_code

    try:
        wait_until(lambda: put_by_member() == 201, "the member of a group that writes may write", SECONDS)
        wait_until(lambda: put_by_owner() in (200, 201), "the member of the owner may write", SECONDS)
    finally:
        assert run(stack, "admin", "group", "remove", "dss", READER).code == 0
    put_bundle(second, "gcp", [], bundle=Version(bundle.uuid, now()), status=403)
    assert dss.catalog.bindings.current(bundle.uuid).record.owner_group == default_group
