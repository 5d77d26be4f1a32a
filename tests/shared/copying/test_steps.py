"""Steps of a large copy may run twice, or die half-way; those of an attempt that is over do nothing more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.catalog import JobState
from shared.checksums import checksums_of
from shared.clock import SystemClock
from shared.copying.large import copy_order, request_copy
from shared.copying.steps import CopyStep
from shared.errors import InvalidChecksum, NotFound, ObjectNotFound, StoreError, Unavailable
from shared.files import file_record
from shared.identifiers import Fqid
from shared.sources import Source
from tests.support.api import new_uuid, now
from tests.support.copies import (
    SMALL_PART,
    distinct_bytes,
    parts_of_small_size,
    stage_source,
    unfinished_uploads,
    watched,
)
from tests.support.dss import open_dss

DATA = distinct_bytes(SMALL_PART + 1)
with parts_of_small_size():
    CHECKSUMS = checksums_of(DATA)

pytestmark = pytest.mark.usefixtures("small_parts")


class Started:
    """Workflows that only remember what was started."""

    def __init__(self):
        self.arguments = []

    def start(self, workflow, argument):
        self.arguments.append((workflow, argument))
        return f"executions/{len(self.arguments)}"


@pytest.fixture(scope="module")
def opened(stack):
    with open_dss(stack) as system:
        yield system


@pytest.fixture
def dss(opened):
    return replace(opened, workflows=Started(), replicas=watched(opened.replicas))


def asked_for(dss, clouds, way, creator_uid=1, fqid=None, data=DATA, verify=False, claims=None):
    found, checksums, _ = stage_source(dss, clouds, way[0], data)
    seen, there = (dss.replicas.named(name) for name in way)
    source = Source(replica=seen, object=found, checksums=replace(checksums, **(claims or {})))
    record = file_record(fqid or Fqid(new_uuid(), now()), creator_uid, source)
    return request_copy(dss, copy_order(found, seen, there, record, verify=verify))


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
        assert CopyStep(dss, job.id, 1).plan() == {"over": False, "verify": False, "batches": 1}
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
    assert CopyStep(dss, job.id, 1).plan() == {"over": True, "verify": False, "batches": 0}


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
    assert CopyStep(dss, job.id, 1).plan() == {"over": True, "verify": False, "batches": 0}
    assert CopyStep(dss, job.id, 1).abort("late") == {"state": "RUNNING"}
    other = asked_for(dss, clouds, ("aws", "gcp"), fqid=fqid, creator_uid=2)
    assert other.id != job.id


def test_a_step_of_no_job_is_refused(dss):
    with pytest.raises(NotFound):
        CopyStep(dss, "no-such-job", 1)


OTHER = {"gcp": "aws", "aws": "gcp"}


def run(dss, job, attempt=1):
    """Do all steps of a job, as the workflow does."""
    plan = CopyStep(dss, job.id, attempt).plan()
    while plan["verify"] and not CopyStep(dss, job.id, attempt).verify()["done"]:
        pass
    for batch in range(plan["batches"]):
        while not CopyStep(dss, job.id, attempt).batch(batch)["done"]:
            pass
    return CopyStep(dss, job.id, attempt).finish()["state"]


def has(dss, name, key):
    replica = dss.replicas.named(name)
    try:
        return bool(replica.store.stat(replica.bucket, key))
    except ObjectNotFound:
        return False


@pytest.mark.parametrize("size", [1000, len(DATA)], ids=["one part", "two parts"])
@pytest.mark.parametrize("home", ["gcp", "aws"])
def test_what_is_hashed_goes_to_the_other_replica_and_is_read_once(dss, clouds, home, size):
    data = DATA if size == len(DATA) else distinct_bytes(size)
    job = asked_for(dss, clouds, (home, home), data=data, verify=True)

    assert run(dss, job) == "SUCCEEDED"

    key = checksums_of(data).blob_key
    assert clouds.read(home, key) == clouds.read(OTHER[home], key) == data
    assert dss.replicas.named(home).store.bytes_read == len(data)
    assert dss.replicas.named(OTHER[home]).store.bytes_read == 0
    for name in OTHER:
        assert unfinished_uploads(clouds, dss.replicas.named(name), key) == []
    assert dss.catalog.files.get(job.order.file).available == {home}


@pytest.mark.parametrize("name", ["sha256", "sha1", "s3_etag"])
@pytest.mark.parametrize("home", ["gcp", "aws"])
def test_a_false_claim_about_a_large_object_leaves_nothing(dss, clouds, home, name):
    false = "0" * 32 + "-2" if name == "s3_etag" else "0" * len(getattr(CHECKSUMS, name))
    job = asked_for(dss, clouds, (home, home), verify=True, claims={name: false})

    with pytest.raises(InvalidChecksum, match=f"{name}: '{false}' is claimed"):
        run(dss, job)
    assert CopyStep(dss, job.id, 1).abort("the workflow failed") == {"state": "FAILED"}

    ended = dss.catalog.jobs.get(job.id)
    assert (ended.code, false in ended.cause) == ("invalid_checksum", True)
    assert dss.catalog.files.get(job.order.file) is None
    for replica in dss.replicas:
        assert not has(dss, replica.name, job.order.key)
        assert unfinished_uploads(clouds, replica, job.order.key) == []
    right = asked_for(dss, clouds, (home, home), fqid=job.order.file, verify=True)
    assert run(dss, right) == "SUCCEEDED"


def test_nothing_is_finished_before_it_is_verified(dss, clouds):
    job = asked_for(dss, clouds, ("aws", "aws"), verify=True)
    CopyStep(dss, job.id, 1).plan()
    for step in (lambda: CopyStep(dss, job.id, 1).batch(0), lambda: CopyStep(dss, job.id, 1).finish()):
        with pytest.raises(StoreError, match="not verified"):
            step()
    assert not has(dss, "aws", CHECKSUMS.blob_key)
    CopyStep(dss, job.id, 1).abort("enough")


@pytest.mark.parametrize("home", ["gcp", "aws"])
def test_an_existing_blob_is_proved_only_if_the_store_says_that_the_source_is_the_same(dss, clouds, home):
    run(dss, asked_for(dss, clouds, (home, home), verify=True))
    store = dss.replicas.named(home).store
    store.bytes_read = 0

    assert run(dss, asked_for(dss, clouds, (home, home), verify=True)) == "SUCCEEDED"
    # GCS vouches for the CRC-32C. The staged object of S3 came in one piece: its ETag says nothing of parts.
    assert store.bytes_read == (0 if home == "gcp" else len(DATA))

    other = distinct_bytes(len(DATA))
    if home == "aws":
        with pytest.raises(InvalidChecksum):
            run(dss, asked_for(dss, clouds, (home, home), data=other, verify=True, claims=vars(CHECKSUMS)))


def test_a_part_that_was_not_relayed_is_copied_in_the_end(dss, clouds):
    job = asked_for(dss, clouds, ("gcp", "gcp"), verify=True)
    store = dss.replicas.named("aws").store
    store.fails_at = 1
    CopyStep(dss, job.id, 1).plan()
    assert CopyStep(dss, job.id, 1).verify() == {"done": True}
    store.fails_at = None
    assert run(dss, job) == "SUCCEEDED"
    assert sorted(store.parts_put) == [1, 1, 2]
    assert clouds.read("aws", CHECKSUMS.blob_key) == DATA


def test_a_replica_that_takes_nothing_keeps_no_file_from_being_verified(dss, clouds):
    job = asked_for(dss, clouds, ("gcp", "gcp"), verify=True)
    dss.replicas.named("aws").store.fails_at = 2
    assert run(dss, job) == "SUCCEEDED"
    assert not has(dss, "aws", CHECKSUMS.blob_key)
    assert unfinished_uploads(clouds, dss.replicas.named("aws"), CHECKSUMS.blob_key) == []


class SlowReads(SystemClock):
    """A clock on which each read of a store takes 1,000 seconds."""

    def __init__(self, store):
        self._reads = 0
        store.on_read = self.read

    def read(self):
        self._reads += 1

    def now(self):
        return super().now() + timedelta(seconds=1000 * self._reads)


def test_a_verification_that_takes_longer_than_a_step_continues_with_the_next_part(dss, clouds):
    job = asked_for(dss, clouds, ("gcp", "gcp"), verify=True)
    source, destination = (dss.replicas.named(name).store for name in ("gcp", "aws"))
    object.__setattr__(dss, "clock", SlowReads(source))
    CopyStep(dss, job.id, 1).plan()

    assert CopyStep(dss, job.id, 1).verify() == {"done": False}
    assert (source.bytes_read, destination.parts_put) == (SMALL_PART, [1])
    assert CopyStep(dss, job.id, 1).verify() == {"done": True}
    finish = CopyStep(dss, job.id, 1)
    assert run(dss, job) == "SUCCEEDED"
    # This one read the job before it ended, and finds all done.
    assert finish.finish() == {"state": "SUCCEEDED"}

    assert (source.bytes_read, destination.parts_put) == (len(DATA), [1, 2])
    assert clouds.read("aws", CHECKSUMS.blob_key) == DATA
