"""`If-Match` of PATCH: a change of the newest version, or none."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from local.api import api_process
from shared import changes
from shared.changes import claim_change
from shared.clock import SystemClock
from shared.errors import PreconditionFailed
from shared.identifiers import Fqid, Kind, version_of
from tests.support.api import (
    Api,
    Version,
    assert_problem,
    new_uuid,
    now,
    put_bundle,
    put_collection,
    put_file,
)
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client, open_dss_for_threads

KINDS = ("bundles", "collections")


@dataclass(frozen=True)
class Changed:
    """A bundle or collection that is changed on a replica, and a file to add to it."""

    kind: str
    base: Version
    replica: str
    file: Version

    def patch(self, api: Api, match: str | None, name: str = "", base: str = "") -> requests.Response:
        """Return the answer to a change of a version, the first one unless another is named."""
        if self.kind == "bundles":
            body: dict[str, Any] = {"add_files": [self.file.named(name)] if name else []}
        else:
            body = {"description": name}
        headers = {} if match is None else {"If-Match": match}
        query = {"replica": self.replica, "version": base or self.base.version}
        return api.patch(f"/v1/{self.kind}/{self.base.uuid}", json=body, headers=headers, **query)

    def newest(self, api: Api, replica: str = "") -> str:
        answer = api.get(f"/v1/{self.kind}/{self.base.uuid}", replica=replica or self.replica).json()
        return str(answer.get("bundle", answer)["version"])


def put(api: Api, clouds: Clouds, replica: str, kind: str, version: str = "") -> Changed:
    file = put_file(api, clouds.stage(replica, b"content"))
    base = Version(new_uuid(), version or now())
    if kind == "bundles":
        put_bundle(api, replica, [], bundle=base)
    else:
        put_collection(api, replica, [], collection=base)
    return Changed(kind, base, replica, file)


@pytest.fixture(params=KINDS)
def changed(request: pytest.FixtureRequest, api: Api, clouds: Clouds, replica: str) -> Changed:
    return put(api, clouds, replica, request.param)


@pytest.mark.parametrize("form", ["{}", '"{}"', "*"])
def test_the_newest_version_is_replaced(api: Api, changed: Changed, form: str) -> None:
    answer = changed.patch(api, form.format(changed.base.version), "a")
    assert answer.status_code == 200, answer.text
    assert changed.newest(api) == answer.json()["version"] > changed.base.version


@pytest.mark.parametrize("other", ["older", "unknown"])
def test_another_version_than_the_newest_is_412(api: Api, changed: Changed, other: str) -> None:
    newer = changed.patch(api, None, "a").json()["version"]
    match = changed.base.version if other == "older" else now()

    answer = changed.patch(api, match, "b", base=newer)

    assert_problem(answer, 412, "precondition_failed", match, newer)
    assert changed.newest(api) == newer
    assert changed.patch(api, newer, "b").status_code == 200


def test_a_newer_version_on_another_replica_counts(api: Api, changed: Changed) -> None:
    there = next(name for name in REPLICAS if name != changed.replica)
    newer = Version(changed.base.uuid, now())
    if changed.kind == "bundles":
        put_bundle(api, there, [], bundle=newer)
    else:
        put_collection(api, there, [], collection=newer)
    answer = changed.patch(api, changed.base.version, "a")
    assert_problem(answer, 412, "precondition_failed", newer.version)


@pytest.mark.parametrize("match", ["x", '""', 'W/"2026-01-01T000000.000000Z"', "2026-13-01T000000.000000Z"])
def test_what_is_no_version_is_400(api: Api, changed: Changed, match: str) -> None:
    assert_problem(changed.patch(api, match), 400, "illegal_version", "If-Match")


def test_what_is_unknown_is_404_before_anything_else(api: Api, replica: str) -> None:
    for kind in KINDS:
        unknown = Changed(kind, Version(new_uuid(), now()), replica, Version(new_uuid(), now()))
        assert_problem(unknown.patch(api, unknown.base.version), 404, "not_found")


@pytest.mark.parametrize("ahead", [0, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_of_several_at_once_one_succeeds(
    stack: dict[str, str], api: Api, clouds: Clouds, replica: str, kind: str, ahead: int
) -> None:
    base = version_of(SystemClock().now() + timedelta(seconds=ahead))
    changed = put(api, clouds, replica, kind, base)
    clients = [Api(api.url, stack["DSS_TOKEN"]) for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as threads:
        answers = list(
            threads.map(lambda n: changed.patch(clients[n], base, f"name {n}"), range(len(clients)))
        )
    done = [answer for answer in answers if answer.status_code == 200]
    assert len(done) == 1, [answer.text for answer in answers]
    for answer in answers:
        if answer is not done[0]:
            assert_problem(answer, 412, "precondition_failed")
    assert changed.newest(api) == done[0].json()["version"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_it_changes_of_a_version_that_is_ahead_do_not_collide(
    stack: dict[str, str], api: Api, clouds: Clouds, replica: str, kind: str
) -> None:
    base = version_of(SystemClock().now() + timedelta(seconds=300))
    changed = put(api, clouds, replica, kind, base)
    clients = [Api(api.url, stack["DSS_TOKEN"]) for _ in range(4)]
    with ThreadPoolExecutor(len(clients)) as threads:
        answers = list(
            threads.map(lambda n: changed.patch(clients[n], None, f"name {n}"), range(len(clients)))
        )
    assert {answer.status_code for answer in answers} == {200}
    versions = {answer.json()["version"] for answer in answers}
    assert len(versions) == len(clients)
    assert changed.newest(api) == max(versions)


def test_a_version_can_be_replaced_again_once_its_successor_is_deleted(
    api: Api, admin: Api, clouds: Clouds, replica: str
) -> None:
    changed = put(api, clouds, replica, "bundles")
    successor = changed.patch(api, changed.base.version, "a").json()["version"]
    path = f"/v1/bundles/{changed.base.uuid}"
    answer = admin.delete(path, replica=replica, version=successor, json={"reason": "wrong"})
    assert answer.status_code == 200

    again = changed.patch(api, changed.base.version, "b")

    assert again.status_code == 200, again.text
    assert changed.newest(api) == again.json()["version"]


class _Ahead(SystemClock):
    """A clock that is ahead by all that clients may be ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=10)


def test_a_killed_change_keeps_others_out_for_a_minute_of_firestores_clock(
    stack: dict[str, str], api: Api, changed: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = f"{changed.kind.removesuffix('s')}: head created"
    with api_process(stack, {"DSS_FAULT_POINT": point}) as process, pytest.raises(requests.ConnectionError):
        changed.patch(Api(process.url, stack["DSS_TOKEN"]), changed.base.version, "a")
    assert changed.newest(api) == changed.base.version

    answer = changed.patch(api, changed.base.version, "a")
    assert_problem(answer, 412, "precondition_failed", "is being replaced by")

    dss = replace(open_dss_for_threads(stack, publishes=False), clock=_Ahead())
    kind, base = Kind(changed.kind), Fqid(changed.base.uuid, changed.base.version)
    successor = Fqid(base.uuid, now())
    with pytest.raises(PreconditionFailed):
        claim_change(dss, kind, base, successor)
    # As if a minute had passed.
    monkeypatch.setattr(changes, "_CHANGE_TAKES", timedelta(0))
    claim = claim_change(dss, kind, base, successor)
    batch = firestore_client(stack).batch()
    claim(batch)
    batch.commit()
    found = dss.catalog.changes.get(kind, base)
    assert found and found.successor == successor
