"""What is purged is seen nowhere from its confirmation on, and nothing is left of it in the end."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from shared.catalog import Purge
from shared.errors import Conflict
from shared.events.journal import compact
from shared.jobs.purge import start_due_removals
from shared.maintenance.audit import Finding, Tally, audit
from shared.purges.records import declare, new_purge, undo
from shared.purges.removal import remove
from shared.system import Dss
from tests.support.admin_system import AdminSystem
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
from tests.support.clouds import REPLICAS
from tests.support.journal_reader import read_events
from tests.support.waiting import wait_until

ADMIN = "admin@example.org"
WHY = "consent withdrawn"


class Signed(str):
    """A URL of which only what is signed counts: the signature changes with time."""

    def __eq__(self, other: object) -> bool:
        return str(other).partition("?")[0] == self.partition("?")[0]

    __hash__ = str.__hash__


def json_file(system: AdminSystem, content: dict[str, Any]) -> Version:
    data = json.dumps(content).encode()
    return put_file(system.api, system.clouds.stage("gcp", data, content_type="application/json"))


def data_file(system: AdminSystem, content: bytes = b"") -> Version:
    return put_file(system.api, system.clouds.stage("gcp", content or os.urandom(60)))


def everywhere(system: AdminSystem, *keys: str) -> None:
    """Replicate objects, and publish their events on both replicas."""
    system.replicate("gcp", *keys)
    for replica in REPLICAS:
        system.publish_event(replica, *keys)


def bundle_of(system: AdminSystem, *files: Version, uuid: str = "") -> Version:
    items = [file.named(f"{number}.json", indexed=True) for number, file in enumerate(files)]
    version = Version(uuid or new_uuid(), now())
    bundle = put_bundle(system.api, "gcp", items, bundle=version)
    everywhere(system, *(f"files/{file}" for file in files), f"bundles/{bundle}")
    return bundle


def compacted(system: AdminSystem) -> None:
    """Make journals of many events of all that there are."""
    dss = with_settings(system.dss, journal_seconds=0)
    for replica in dss.replicas:
        assert list(compact(dss, replica))


def with_settings(dss: Dss, **settings: Any) -> Dss:
    return replace(dss, settings=replace(dss.settings, **settings))


def purged(system: AdminSystem, name: str, *, hours: int = 72) -> Purge:
    """Purge something, to be removed after some hours; return the record."""
    dss = with_settings(system.dss, purge_grace_hours=hours)
    uuid, _, version = name.partition(".")
    purge = new_purge(dss, uuid, version, reason=WHY, by=ADMIN)
    declare(dss, purge)
    return purge


def statuses(api: Api, bundle: Version, file: Version) -> list[int]:
    """Return the statuses of all ways to read a bundle version and a file version."""
    one, other = {"replica": "gcp", "version": bundle.version}, {"replica": "gcp", "version": file.version}
    answers = [
        api.get(f"/v1/bundles/{bundle.uuid}", **one),
        api.get(f"/v1/bundles/{bundle.uuid}", replica="aws"),
        api.get(f"/v1/bundles/{bundle.uuid}", presignedurls="true", **one),
        api.post(f"/v1/bundles/{bundle.uuid}/checkout", json={}, **one),
        api.get(f"/v1/events/{bundle.uuid}", **one),
        api.get(f"/v1/files/{file.uuid}", **other),
        api.head(f"/v1/files/{file.uuid}", replica="aws"),
        api.get(f"/v1/files/{file.uuid}", directurl="true", **other),
    ]
    return [answer.status_code for answer in answers]


def found(system: AdminSystem, bundle: Version) -> list[str]:
    """Return in which lists, searches and journals a bundle version is."""
    places = []
    for replica in REPLICAS:
        pages = system.api.pages("/v1/bundles/all", replica=replica, prefix=bundle.uuid)
        places += [f"list {replica}" for page in pages for _ in page.json()["bundles"]]
        query = {"query": {"match": {"uuid": bundle.uuid}}}
        hits = system.api.post("/v1/search", json={"es_query": query}, replica=replica).json()["results"]
        places += [f"search {replica}" for _ in hits]
        events = read_events(system.api, replica, per_page=10)
        places += [
            f"journal {replica}"
            for event in events
            if json.loads(event.content)["bundle_info"]["uuid"] == bundle.uuid
        ]
    return sorted(places)


def objects_with(system: AdminSystem, text: bytes) -> list[str]:
    """Return the keys of all objects in the main and checkout buckets that hold a text."""
    held = []
    for replica in system.dss.replicas:
        for bucket in (replica.bucket, replica.checkout_bucket):
            for stored in replica.store.list(bucket, ""):
                reader = replica.store.read(stored, 0, stored.size)
                if text in b"".join(iter(lambda reader=reader: reader.read(1 << 20), b"")):
                    held.append(f"{replica.name} {stored.key}")
    return held


Findings = Callable[[], list[Finding]]


@pytest.fixture
def new_findings(system: AdminSystem) -> Findings:
    """Return what an audit finds now, without what it found before the test."""

    def findings() -> list[Finding]:
        replicas = list(system.dss.replicas)
        return list(audit(system.dss, replicas, settled_after=timedelta(0), tally=Tally()))

    before = findings()
    return lambda: [finding for finding in findings() if finding not in before]


EVERYWHERE = sorted(f"{place} {replica}" for place in ("list", "search", "journal") for replica in REPLICAS)


def test_a_purged_bundle_is_seen_nowhere_and_comes_back_when_that_is_undone(
    system: AdminSystem, new_findings: Findings
) -> None:
    secret = new_uuid()
    file = json_file(system, {"donor": secret})
    bundle = bundle_of(system, file)
    beside = bundle_of(system, data_file(system))
    before, places = statuses(system.api, bundle, file), found(system, bundle)
    compacted(system)
    later = bundle_of(system, data_file(system), uuid=bundle.uuid)
    assert (before[:3], places) == ([200, 200, 200], EVERYWHERE)

    one = purged(system, bundle.uuid)
    other = purged(system, str(file))

    assert statuses(system.api, bundle, file) == [410] * 8
    answer = system.api.get(f"/v1/bundles/{later.uuid}", replica="aws", version=later.version)
    assert_problem(answer, 410, "gone", WHY)
    assert found(system, bundle) == []
    assert found(system, beside) == EVERYWHERE
    # What an undo needs is there, and nothing that anybody can be shown.
    kept = {key.partition(" ")[2].partition("/")[0] for key in objects_with(system, secret.encode())}
    assert kept == {"blobs", "documents"}
    put_file(system.api, system.clouds.stage("gcp", b"again"), file=file, status=410)
    put_bundle(system.api, "gcp", [], bundle=Version(bundle.uuid, now()), status=410)
    put_file(system.api, system.clouds.stage("gcp", b"again"), file=Version(file.uuid, now()))
    assert new_findings() == []

    undo(system.dss, one, ADMIN)
    undo(system.dss, other, ADMIN)

    assert statuses(system.api, bundle, file)[:3] == before[:3]
    assert found(system, bundle) == sorted(2 * EVERYWHERE)
    documents = [
        json.loads(event.content)
        for event in read_events(system.api, "aws", per_page=10)
        if json.loads(event.content)["bundle_info"]["version"] == bundle.version
    ]
    assert [document["files"]["0_json"] for document in documents] == [[{"donor": secret}]]
    assert new_findings() == []


def test_nothing_is_left_after_the_grace_period(system: AdminSystem, new_findings: Findings) -> None:
    secret, shared = new_uuid(), new_uuid().encode()
    file, content = json_file(system, {"donor": secret}), data_file(system, shared)
    same = data_file(system, shared)
    bundle = bundle_of(system, file, content)
    everywhere(system, f"files/{same}")
    collection = put_collection(system.api, "gcp", [], description=secret)
    system.replicate("gcp", f"collections/{collection}")
    compacted(system)
    assert len(objects_with(system, secret.encode())) >= 8

    waiting = purged(system, collection.uuid)
    with pytest.raises(Conflict, match="grace period is not over"):
        remove(system.dss, waiting)
    purges = [
        purged(system, name, hours=0) for name in (bundle.uuid, file.uuid, str(content), collection.uuid)
    ]
    run = system.run(kind="purge-removal", page=1)

    removed = {line["removed"]: line for line in system.report_lines(run) if "removed" in line}
    assert set(removed) >= {purge.subject for purge in purges}
    assert (removed[file.uuid]["blobs"], removed[str(content)]["kept_blobs"]) == (2, 1)
    assert objects_with(system, secret.encode()) == []
    names = [bundle.uuid, file.uuid, collection.uuid, content.uuid]
    for replica in REPLICAS:
        left = [key for key in system.clouds.keys(replica, "") if any(name in key for name in names)]
        records = [waiting, *purges] if replica == "gcp" else purges
        assert sorted(left) == sorted(f"purges/{purge.fqid}" for purge in records)
    assert statuses(system.api, bundle, file) == [410] * 8
    answer = system.api.get(f"/v1/collections/{collection.uuid}", replica="aws")
    assert_problem(answer, 410, "gone", WHY)
    put_file(system.api, system.clouds.stage("gcp", b"again"), file=file, status=410)
    answer = system.api.get(f"/v1/files/{same.uuid}", replica="aws")
    assert requests.get(answer.headers["Location"], timeout=60).content == shared
    assert found(system, bundle) == [] and new_findings() == []
    with pytest.raises(Conflict, match="can't be undone"):
        undo(system.dss, purges[0], ADMIN)
    # The same content may come again under another name.
    again = json_file(system, {"donor": secret})
    assert system.api.head(f"/v1/files/{again.uuid}", replica="gcp").status_code == 200


def test_a_bundle_that_names_a_purged_file_is_there_without_it(
    system: AdminSystem, new_findings: Findings
) -> None:
    secret = new_uuid()
    donor, other = json_file(system, {"donor": secret}), json_file(system, {"other": "content"})
    bundle = bundle_of(system, donor, other)
    compacted(system)

    purge = purged(system, donor.uuid, hours=0)

    path, query = f"/v1/bundles/{bundle.uuid}", {"replica": "aws", "version": bundle.version}
    shown = system.api.get(path, **query, presignedurls="true").json()["bundle"]["files"]
    assert [("url" in file, file["uuid"]) for file in shown] == [(False, donor.uuid), (True, other.uuid)]
    assert_problem(system.api.get(path, **query, directurls="true"), 410, "gone", "presigned URLs")
    assert_problem(system.api.post(path + "/checkout", json={}, **query), 410, "gone")
    document = system.api.get(f"/v1/events/{bundle.uuid}", **query).json()
    assert document["files"] == {"1_json": [{"other": "content"}]}
    assert document["left_out"] == [{"name": "0.json", "reason": "removed for good"}]
    assert found(system, bundle) == EVERYWHERE
    search = {"es_query": {"query": {"match": {"files.0_json.donor": secret}}}}
    assert system.api.post("/v1/search", json=search, replica="gcp").json()["total_hits"] == 0
    assert new_findings() == []
    items = [donor.named("a"), other.named("b")]
    body = {"files": items, "creator_uid": 1}
    answer = system.api.put(f"/v1/bundles/{new_uuid()}", replica="gcp", version=now(), json=body)
    assert_problem(answer, 400, "file_missing", "removed for good", WHY)

    remove(system.dss, purge)

    assert objects_with(system, secret.encode()) == []
    assert system.api.get(path, **query, presignedurls="true").json()["bundle"]["files"] == [
        shown[0],
        {**shown[1], "url": Signed(shown[1]["url"])},
    ]
    assert new_findings() == []


def test_operators_purge_and_undo_by_the_workflow_and_the_sweep_has_it_removed(system: AdminSystem) -> None:
    # What other tests have left to do.
    system.run(kind="purge-removal")
    own, shared = json_file(system, {"own": new_uuid()}), json_file(system, {"shared": new_uuid()})
    bundle, other = bundle_of(system, own, shared), bundle_of(system, shared)
    collection = put_collection(system.api, "gcp", [bundle.linked("bundle")])
    what = {"kind": "purge", "name": bundle.uuid, "reason": WHY, "with_files": True}

    preview = system.run(**what)

    lines = system.report_lines(preview)
    assert {line["with_file"] for line in lines if "with_file" in line} == {str(own)}
    assert [line for line in lines if "keeps_file" in line] == [
        {"keeps_file": str(shared), "why": f"bundle {other} names it too"}
    ]
    assert {"links_to_it": f"collections/{collection}"} in lines
    assert statuses(system.api, bundle, own)[:2] == [200, 200]
    deed = system.run(**what, email=ADMIN, confirmation=preview.result["confirmation"])
    assert deed.counts["purged"] == 2
    assert statuses(system.api, bundle, own) == [410] * 8
    assert system.api.head(f"/v1/files/{shared.uuid}", replica="aws").status_code == 200
    assert start_due_removals(system.dss) is False
    undone = system.run(kind="purge-undo", name=bundle.uuid, email=ADMIN)
    assert undone.counts["undone"] == 2
    assert statuses(system.api, bundle, own)[:3] == [200, 200, 200]
    assert found(system, bundle) == EVERYWHERE

    purge = purged(system, bundle.uuid, hours=0)
    assert start_due_removals(system.dss) is True
    wait_until(lambda: purge not in list(system.dss.catalog.purges.unfinished()), "it is removed")
    assert system.clouds.keys("aws", f"bundles/{bundle.uuid}") == []
