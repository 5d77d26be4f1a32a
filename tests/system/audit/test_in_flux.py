"""What is being written while an audit looks is no finding; what was begun long ago is."""

import io
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.clock import SystemClock
from shared.copying.uploads import abort_abandoned
from shared.maintenance.audit import Finding, Problem, Tally, audit
from shared.replicas import Replica, Replicas
from shared.stores.base import StoredObject
from tests.support.api import new_uuid, now, put_bundle, put_file
from tests.support.audits import AT_ONCE, audit_and_repair, audit_problems
from tests.support.clouds import REPLICAS
from tests.support.manual_system import ManualSystem, World


class ShiftedClock(SystemClock):
    """A clock that is ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


def test_an_upload_is_abandoned_after_a_day_unless_a_job_is_at_it(system: ManualSystem, replica: str) -> None:
    place = system.dss.replicas.named(replica)
    buckets = (place.bucket, place.checkout_bucket, place.bucket)
    uploads = [
        place.store.begin_upload(bucket, f"blobs/{new_uuid()}", size=4, content_type="text/plain")
        for bucket in buckets
    ]
    for upload in uploads:
        place.store.put_part(upload, 1, io.BytesIO(b"part"), 4)
    jobs = system.dss.catalog.database.client.collection("copy_jobs")
    job = jobs.document(new_uuid())
    job.set({"state": "RUNNING", "upload_id": uploads[2].id})
    assert audit_problems(system.dss) == []
    tomorrow = replace(system.dss, clock=ShiftedClock(timedelta(hours=26)))

    outcomes = audit_and_repair(tomorrow)

    assert [(one.finding.kind, one.finding.replica, one.done) for one in outcomes] == [
        (Problem.ABANDONED, replica, "aborted")
    ] * 2
    assert all(any(upload.id in one.finding.key for one in outcomes) for upload in uploads[:2])
    assert audit_problems(tomorrow) == []
    assert place.store.parts(uploads[2]) == {1: 4}
    job.update({"state": "FAILED"})
    [name] = abort_abandoned(tomorrow)
    assert uploads[2].id in name
    assert abort_abandoned(tomorrow) == []
    job.delete()


def test_what_was_written_a_moment_ago_is_not_judged(
    system: ManualSystem, world: World, replica: str
) -> None:
    before = system.clouds.read(replica, world.blob)
    system.overwrite(replica, world.blob, b"corrupt")
    system.overwrite(replica, "elsewhere", b"?")
    system.overwrite(replica, "blobs/unknown", b"?")
    tally = Tally()

    assert audit_problems(system.dss, settled_after=timedelta(minutes=15), tally=tally) == []

    assert tally.unsettled == {replica: 3}
    system.overwrite(replica, world.blob, before)
    for key in ("elsewhere", "blobs/unknown"):
        system.remove(replica, key)


class StaleStore:
    """A store whose listings are of another moment: they lack some objects, and have one that is gone."""

    def __init__(self, store: Any, *, lacks: Sequence[str], has: StoredObject) -> None:
        self._store = store
        self._lacks = lacks
        self._has = has

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        rows = [row for row in self._store.list(bucket, prefix, after=after) if row.key not in self._lacks]
        more = [self._has] if self._has.key.startswith(prefix) and self._has.key > after else []
        yield from sorted([*rows, *more], key=lambda row: row.key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_what_changes_between_two_looks_is_unsettled(
    system: ManualSystem, world: World, replica: str
) -> None:
    real = system.dss.replicas.named(replica)
    gone = StoredObject(
        bucket=real.bucket, key=f"files/{new_uuid()}.{now()}", size=1, content_type="", revision="1"
    )
    stale: Any = StaleStore(real.store, lacks=world.keys, has=gone)
    replicas = Replicas(replace(real, open_store=lambda: stale))
    tally = Tally()

    assert audit_problems(replace(system.dss, replicas=replicas), tally=tally) == []

    assert tally.unsettled == {replica: len(world.keys) + 1}


def test_writers_at_work_are_never_a_finding(system: ManualSystem) -> None:
    stop = threading.Event()
    written = []

    def write(replica: str) -> None:
        api, admin = system.api.signed_in(system.api.token), system.admin.signed_in(system.admin.token)
        while not stop.is_set():
            file = put_file(api, system.clouds.stage(replica, os.urandom(100)))
            bundle = put_bundle(api, replica, [file.named("name")])
            keys = [f"files/{file}", f"bundles/{bundle}"]
            if len(written) % 2:
                path = f"/v1/bundles/{bundle.uuid}"
                assert admin.delete(path, replica=replica, json={"reason": "x"}).status_code == 200
                keys.append(f"bundles/{bundle.uuid}.dead")
            system.replicate(replica, *keys)
            written.append(bundle)

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, name) for name in (*REPLICAS, *REPLICAS)]
        try:
            audits = 0
            while audits < 3 or (len(written) <= 10 and not any(writer.done() for writer in writers)):
                assert audit_problems(system.dss, settled_after=timedelta(minutes=15)) == []
                audits += 1
        finally:
            stop.set()
        for writer in writers:
            writer.result()

    assert len(written) > 10
    assert audit_problems(system.dss) == []


def test_every_one_of_many_is_found_once(system: ManualSystem, worlds: dict[str, World]) -> None:
    """There are more than one page of the catalog has."""
    world = worlds["gcp"]
    heads = system.dss.catalog.database.client.collection("files")
    document = heads.document(str(world.file)).get().to_dict()
    uuids = sorted(new_uuid() for _ in range(1050))
    for start in range(0, len(uuids), 400):
        batch = system.dss.catalog.database.client.batch()
        for uuid in uuids[start : start + 400]:
            batch.set(heads.document(f"{uuid}.{world.file.version}"), {**document, "uuid": uuid})
        batch.commit()

    findings: list[Finding] = []
    replicas: list[Replica] = [system.dss.replicas.named("gcp")]
    tally = Tally()
    findings = list(audit(system.dss, replicas, settled_after=AT_ONCE, tally=tally))

    assert [one.key for one in findings] == [f"files/{uuid}.{world.file.version}" for uuid in uuids]
    assert {one.kind for one in findings} == {Problem.LOST}
    assert tally.findings == {("gcp", Problem.LOST): 1050}
    for start in range(0, len(uuids), 400):
        batch = system.dss.catalog.database.client.batch()
        for uuid in uuids[start : start + 400]:
            batch.delete(heads.document(f"{uuid}.{world.file.version}"))
        batch.commit()
