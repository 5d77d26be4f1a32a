"""What operators change by `dss admin access` and `dss admin group` counts in every process within 5 s."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.api import ApiProcess, api_process
from shared.groups import add_members, remove_members
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.command_line import dss as run
from tests.support.waiting import wait_until

READER = "reader@example.org"
SECONDS = 5.0


class Workers:
    """An API of two processes, each of which can be asked alone."""

    def __init__(self, process: ApiProcess, token: str | None) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        self._pids = [int(pid) for pid in children]
        assert len(self._pids) == 2
        self._api = Api(process.url, token)

    def statuses(self, path: str) -> list[int]:
        """Return the status that each process answers a GET with."""
        found = []
        for pid in self._pids:
            with self._stopped(set(self._pids) - {pid}):
                # A connection of its own, which the process that runs accepts.
                client = self._api.signed_in(self._api.token)
                answer = client.get(path, replica="gcp", headers={"Connection": "close"})
                found.append(answer.status_code)
        return found

    def seconds_until(self, path: str, status: int) -> float:
        """Return how long after now the last answer with another status came."""
        began = last = time.monotonic()

        def changed() -> bool:
            nonlocal last
            asked = time.monotonic()
            if self.statuses(path) == [status, status]:
                return True
            last = asked
            return False

        wait_until(changed, f"both processes answer {status}", SECONDS)
        return last - began

    @contextmanager
    def _stopped(self, pids: set[int]) -> Iterator[None]:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def default_group() -> str:
    return f"default-{new_uuid()[:8]}"


@pytest.fixture(scope="module")
def process(stack, default_group) -> Iterator[ApiProcess]:
    """An API of two processes, in which a group owns new bundles by default."""
    with api_process(stack, {"DSS_OWNER_GROUP": default_group}, workers=2) as process:
        yield process


@pytest.fixture
def path(api, clouds) -> str:
    file = put_file(api, clouds.stage("gcp", new_uuid().encode()))
    return f"/v1/files/{file.uuid}"


def test_a_binding_counts_in_every_process_within_five_seconds(process, stack, path):
    workers, uuid = Workers(process, None), path.rpartition("/")[2]
    assert workers.statuses(path) == [302, 302]

    assert run(stack, "admin", "access", "add", uuid, "consortium").code == 0
    bound = workers.seconds_until(path, 401)
    assert run(stack, "admin", "access", "remove", uuid, "consortium", "--unbind").code == 0
    unbound = workers.seconds_until(path, 302)

    print(f"bound after {bound:.2f} s, unbound after {unbound:.2f} s")
    assert max(bound, unbound) < SECONDS


def test_a_membership_counts_in_every_process_within_five_seconds(process, stack, dss, path):
    workers, uuid = Workers(process, stack["DSS_TOKEN_OTHER_GROUP"]), path.rpartition("/")[2]
    group = f"lab-{new_uuid()[:8]}"
    assert run(stack, "admin", "access", "add", uuid, group).code == 0
    # Both processes have just read that the caller is a member of nothing.
    assert workers.statuses(path) == [403, 403]

    add_members(dss, group, [READER], "operator")
    joined = workers.seconds_until(path, 302)
    remove_members(dss, group, [READER], "operator")
    left = workers.seconds_until(path, 403)
    add_members(dss, group, ["@Example.org"], "operator")
    as_domain = workers.seconds_until(path, 302)

    print(f"joined after {joined:.2f} s, left after {left:.2f} s, by domain after {as_domain:.2f} s")
    assert max(joined, left, as_domain) < SECONDS


def test_who_is_a_member_of_a_group_that_writes_writes(process, stack, dss, clouds):
    reader = Api(process.url, stack["DSS_TOKEN_OTHER_GROUP"])
    source = clouds.stage("gcp", b"content that a member puts")
    put_file(reader, source, status=403)
    add_members(dss, "dss", [READER], "operator")

    def put() -> int:
        body = {"source_url": source, "creator_uid": 1}
        return reader.put(f"/v1/files/{new_uuid()}", version=now(), json=body).status_code

    try:
        wait_until(lambda: put() == 201, "the member may write", SECONDS)
    finally:
        assert run(stack, "admin", "group", "remove", "dss", READER).code == 0


def test_a_group_owns_new_bundles_by_default(process, stack, api, dss, default_group):
    first, second = (Api(process.url, stack[name]) for name in ("DSS_TOKEN", "DSS_TOKEN2"))
    unowned = put_bundle(api, "gcp", [])
    put_bundle(second, "gcp", [], bundle=Version(unowned.uuid, now()))
    bundle = Version(new_uuid(), now())
    put_bundle(second, "gcp", [], bundle=bundle, status=403)

    add_members(dss, default_group, ["writer@example.org"], "operator")

    def put() -> int:
        path, body = f"/v1/bundles/{bundle.uuid}", {"files": [], "creator_uid": 1}
        return first.put(path, replica="gcp", version=bundle.version, json=body).status_code

    wait_until(lambda: put() in (200, 201), "the member may write", SECONDS)
    put_bundle(second, "gcp", [], bundle=Version(bundle.uuid, now()), status=403)
    assert dss.catalog.bindings.current(bundle.uuid).record.owner_group == default_group
