"""Steps of a large copy may run twice, or die half-way; those of an attempt that is over do nothing more."""

import pytest

from shared.catalog import JobState
from shared.checksums import MIB, checksums_of
from shared.copying.large import copy_order, request_copy
from shared.copying.steps import CopyStep
from shared.errors import NotFound, Unavailable
from shared.files import file_record
from shared.identifiers import Fqid
from shared.sources import Source
from tests.support.api import new_uuid, now
from tests.support.copies import distinct_bytes, stage_source, unfinished_uploads
from tests.support.dss import open_dss

DATA = distinct_bytes(64 * MIB + 1)
CHECKSUMS = checksums_of(DATA)


class Started:
    """Workflows that only remember what was started."""

    def __init__(self):
        self.arguments = []

    def start(self, workflow, argument):
        self.arguments.append((workflow, argument))
        return f"executions/{len(self.arguments)}"


class Watched:
    """A store that counts the parts it is given, and fails at some."""

    def __init__(self, store):
        self._store = store
        self.parts_put = []
        self.fails_at = None

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put_part(self, upload, number, data, size):
        self.parts_put.append(number)
        if number == self.fails_at:
            raise Unavailable("made to fail")
        self._store.put_part(upload, number, data, size)


@pytest.fixture
def dss(stack):
    with open_dss(stack) as system:
        object.__setattr__(system, "workflows", Started())
        for replica in system.replicas:
            object.__setattr__(replica, "store", Watched(replica.store))
        yield system


def asked_for(dss, clouds, way, creator_uid=1, fqid=None, data=DATA):
    found, checksums, _ = stage_source(dss, clouds, way[0], data)
    seen, there = (dss.replicas.named(name) for name in way)
    source = Source(replica=seen, object=found, checksums=checksums)
    record = file_record(fqid or Fqid(new_uuid(), now()), creator_uid, source)
    return request_copy(dss, copy_order(found, seen, there, record))


WAYS = [("gcp", "aws"), ("aws", "gcp"), ("aws", "aws")]


@pytest.fixture(autouse=True)
def no_blob(dss):
    """All tests copy the same content: each starts without it."""
    yield
    for replica in dss.replicas:
        replica.store.delete(replica.bucket, CHECKSUMS.blob_key)


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_every_step_may_be_done_twice(dss, clouds, way):
    job = asked_for(dss, clouds, way)
    for _ in range(2):
        assert CopyStep(dss, job.id, 1).plan() == {"over": False, "batches": 1}
    assert len(unfinished_uploads(clouds, dss.replicas.named(way[1]), job.order.key)) == (
        1 if way[1] == "aws" else 0
    )
    for _ in range(2):
        assert CopyStep(dss, job.id, 1).batch(0) == {"done": True}
    for _ in range(2):
        assert CopyStep(dss, job.id, 1).finish() == {"state": "SUCCEEDED"}
    put = dss.replicas.named(way[1]).store.parts_put
    assert sorted(put) == ([] if way[0] == way[1] else [1, 2])
    assert clouds.read(way[1], CHECKSUMS.blob_key) == DATA
    assert unfinished_uploads(clouds, dss.replicas.named(way[1]), job.order.key) == []
    assert dss.catalog.files.get(job.order.file).available == {way[1]}
    assert CopyStep(dss, job.id, 1).plan() == {"over": True, "batches": 0}


@pytest.mark.parametrize("size", [0, 1000])
@pytest.mark.parametrize("way", [*WAYS, ("gcp", "gcp")], ids="-".join)
def test_what_is_one_part_is_copied_whole(dss, clouds, way, size):
    data = distinct_bytes(size)
    job = asked_for(dss, clouds, way, data=data)
    for batch in range(CopyStep(dss, job.id, 1).plan()["batches"]):
        assert CopyStep(dss, job.id, 1).batch(batch) == {"done": True}
    for _ in range(2):
        assert CopyStep(dss, job.id, 1).finish() == {"state": "SUCCEEDED"}
    assert clouds.read(way[1], checksums_of(data).blob_key) == data
    assert unfinished_uploads(clouds, dss.replicas.named(way[1]), job.order.key) == []


def test_a_batch_that_failed_does_no_part_twice(dss, clouds):
    job = asked_for(dss, clouds, ("aws", "gcp"))
    store = dss.replicas.named("gcp").store
    CopyStep(dss, job.id, 1).plan()
    store.fails_at = 2
    with pytest.raises(Unavailable):
        CopyStep(dss, job.id, 1).batch(0)
    assert dss.catalog.jobs.get(job.id).cause == "made to fail"
    store.fails_at = None
    store.parts_put.clear()
    assert CopyStep(dss, job.id, 1).batch(0) == {"done": True}
    assert store.parts_put == [2]
    assert CopyStep(dss, job.id, 1).finish() == {"state": "SUCCEEDED"}
    assert dss.catalog.jobs.get(job.id).cause == ""


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_what_is_copied_after_an_abort_is_removed_too(dss, clouds, way):
    job = asked_for(dss, clouds, way)
    CopyStep(dss, job.id, 1).plan()
    late = CopyStep(dss, job.id, 1)
    for _ in range(2):
        assert CopyStep(dss, job.id, 1).abort("nobody wants it") == {"state": "FAILED"}
    assert CopyStep(dss, job.id, 1).finish() == {"state": "FAILED"}
    assert CopyStep(dss, job.id, 1).batch(0) == {"done": True}
    # This one read the job before it was aborted.
    if way[1] == "gcp":
        assert late.batch(0) == {"done": True}
    assert unfinished_uploads(clouds, dss.replicas.named(way[1]), job.order.key) == []
    ended = dss.catalog.jobs.get(job.id)
    assert (ended.state, ended.code, ended.cause) == (JobState.FAILED, "copy_failed", "nobody wants it")


def test_who_asks_again_joins_and_who_asks_after_a_failure_begins_anew(dss, clouds):
    fqid = Fqid(new_uuid(), now())
    job = asked_for(dss, clouds, ("aws", "gcp"), fqid=fqid)
    again = asked_for(dss, clouds, ("aws", "gcp"), fqid=fqid)
    assert (again.id, again.attempt) == (job.id, 1)
    assert dss.workflows.arguments == [("copy", {"job": job.id, "attempt": 1})]
    CopyStep(dss, job.id, 1).abort("enough")
    anew = asked_for(dss, clouds, ("aws", "gcp"), fqid=fqid)
    assert (anew.id, anew.attempt, anew.state) == (job.id, 2, JobState.RUNNING)
    assert CopyStep(dss, job.id, 1).plan() == {"over": True, "batches": 0}
    assert CopyStep(dss, job.id, 1).abort("late") == {"state": "RUNNING"}
    other = asked_for(dss, clouds, ("aws", "gcp"), fqid=fqid, creator_uid=2)
    assert other.id != job.id


def test_a_step_of_no_job_is_refused(dss):
    with pytest.raises(NotFound):
        CopyStep(dss, "no-such-job", 1)
