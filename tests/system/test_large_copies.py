"""What takes longer than a request is copied by the workflow: whole and proved in the end, or undone."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from boto3.s3.transfer import TransferConfig

from local.components import api as api_component
from local.components import firestore, gcs, pubsub, s3, token_issuer
from local.components import workflows as workflow_components
from local.components.base import Component, Exported
from local.config import StackConfig
from local.stack import Stack
from shared.catalog import CopyJob, JobState
from shared.checksums import MIB, ChecksumCalculator, Checksums
from shared.config import Settings
from shared.copying.large import copy_order, request_copy
from shared.faults import FAULT_POINTS
from shared.identifiers import Fqid
from shared.system import Dss
from shared.wiring import open_system
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_file
from tests.support.clouds import SCHEMES, Clouds
from tests.support.function_proxy import FunctionProxy, function_proxy, serve_proxy
from tests.support.waiting import wait_until

# Two parts; within GCS, three calls.
SIZE = 64 * MIB + 4321
OTHER = {"gcp": "aws", "aws": "gcp"}


def small_rewrites(config: StackConfig, exported: Exported) -> Component:
    """GCS, which moves little at a time between storage classes."""
    component = gcs(config, exported)
    return replace(component, command=(*component.command, "--rewrite-bytes-per-call", str(32 * MIB)))


@dataclass(frozen=True)
class Large:
    """A stack in which requests have no time to copy anything that comes in parts."""

    api: Api
    clouds: Clouds
    dss: Dss
    front: FunctionProxy

    def job(self, task_id: str) -> CopyJob:
        job = self.dss.catalog.jobs.get(task_id)
        assert job
        return job

    def uploads(self, replica: str) -> list[str]:
        """Return what there is of unfinished uploads on a replica."""
        if replica == "gcp":
            return self.clouds.keys("gcp", "uploads/")
        found = self.clouds.s3.list_multipart_uploads(Bucket=self.clouds.main["aws"])
        return [upload["UploadId"] for upload in found.get("Uploads", [])]

    def ended(self, task_id: str, seconds: float = 60.0) -> CopyJob:
        """Return a job when it has ended."""
        wait_until(lambda: self.job(task_id).state is not JobState.RUNNING, f"job {task_id} ends", seconds)
        return self.job(task_id)


@pytest.fixture(scope="module")
def large() -> Iterator[Large]:
    """The stack; the function `copy` behind a front."""
    front: list[FunctionProxy] = []
    caller = {
        **os.environ,
        "DSS_INLINE_COPY_BYTES": str(64 * MIB),
        "DSS_LOCAL_WORKFLOWS_PACE": "0.002",
        # There is no PostgreSQL in this table.
        "DSS_INDEX": "firestore",
    }
    with serve_proxy(front) as url:

        def workflows(config: StackConfig, exported: Exported) -> Component:
            component = workflow_components.workflows(config, exported)
            return replace(component, environment={**component.environment, "DSS_COPY_FUNCTION_URL": url})

        table = (firestore, pubsub, small_rewrites, s3, token_issuer, workflows, api_component)
        with Stack(port=0, caller=caller, table=table).running() as env, function_proxy(env, front) as copy:
            kept = dict(os.environ)
            os.environ.update(env)
            try:
                dss = open_system(Settings.from_environment(env))
                yield Large(Api(env["DSS_URL"], env["DSS_TOKEN"]), Clouds(env), dss, copy)
            finally:
                os.environ.clear()
                os.environ.update(kept)


def content(size: int = SIZE) -> bytes:
    block = os.urandom(MIB)
    return b"".join(index.to_bytes(8) + block[8:] for index in range(-(-size // MIB)))[:size]


def metadata(data: bytes) -> tuple[Checksums, dict[str, str]]:
    calculator = ChecksumCalculator(len(data))
    calculator.update(data)
    checksums = calculator.result()
    names = ("sha256", "sha1", "s3_etag", "crc32c")
    return checksums, {f"dss-{name}": getattr(checksums, name) for name in names}


def stage(large: Large, replica: str, data: bytes, claims: dict[str, str]) -> str:
    """Put a source where copying it within the cloud takes several calls."""
    if replica == "aws":
        return large.clouds.stage("aws", data, metadata=claims)
    blob = large.clouds.gcs.bucket(large.clouds.staging["gcp"]).blob(f"{new_uuid()}/content")
    blob.metadata = claims
    blob.storage_class = "NEARLINE"
    blob.upload_from_string(data)
    return f"gs://{blob.bucket.name}/{blob.name}"


def put(large: Large, file: Version, source: str) -> requests.Response:
    body = {"source_url": source, "creator_uid": 1}
    return large.api.put(f"/v1/files/{file.uuid}", version=file.version, json=body)


def head(large: Large, file: Version, replica: str) -> int:
    path = f"/v1/files/{file.uuid}"
    with_version = large.api.head(path, replica=replica, version=file.version).status_code
    assert large.api.head(path, replica=replica).status_code == with_version
    return with_version


def assert_readable(large: Large, file: Version, replica: str, data: bytes) -> None:
    answer = large.api.get(f"/v1/files/{file.uuid}", replica=replica, version=file.version)
    assert answer.status_code == 302, answer.text
    digest = hashlib.sha256()
    with requests.get(answer.headers["Location"], timeout=60, stream=True) as body:
        for chunk in body.iter_content(MIB):
            digest.update(chunk)
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()


def copy_across(large: Large, file: Version, seen: str) -> CopyJob:
    """Ask for a file's copy to the other replica."""
    record = large.dss.catalog.files.get(Fqid(file.uuid, file.version))
    assert record
    source, destination = large.dss.replicas.named(seen), large.dss.replicas.named(OTHER[seen])
    blob = source.store.stat(source.bucket, record.checksums.blob_key)
    return request_copy(large.dss, copy_order(blob, source, destination, record))


@pytest.mark.parametrize("replica", ["gcp", "aws"])
def test_a_large_file_is_copied_by_the_workflow_and_then_across(large: Large, replica: str) -> None:
    data = content()
    checksums, claims = metadata(data)
    source, file = stage(large, replica, data, claims), Version(new_uuid(), now())
    gate: list[str] = []
    large.front.rules.clear()
    order_started = put_behind_a_gate(large, file, source, gate)

    task_id = order_started["task_id"]
    assert head(large, file, replica) == 404
    again = put(large, file, source)
    assert (again.status_code, again.json()["task_id"]) == (202, task_id)
    gate.append("open")

    job = large.ended(task_id)
    assert (job.state, job.cause) == (JobState.SUCCEEDED, "")
    assert head(large, file, replica) == 200
    assert_readable(large, file, replica, data)
    assert put(large, file, source).status_code == 200
    assert large.uploads(replica) == []

    across = large.ended(copy_across(large, file, replica).id)
    assert (across.state, across.cause) == (JobState.SUCCEEDED, "")
    assert head(large, file, OTHER[replica]) == 200
    assert_readable(large, file, OTHER[replica], data)
    assert large.uploads(OTHER[replica]) == []
    found = large.dss.replicas.named("aws").store.stat(large.clouds.main["aws"], checksums.blob_key)
    assert found.revision == checksums.s3_etag


def put_behind_a_gate(large: Large, file: Version, source: str, gate: list[str]) -> dict[str, Any]:
    """PUT a file whose copy stands still until there is something in `gate`; return the answer's body."""

    def wait(_: dict[str, Any]) -> None:
        wait_until(lambda: gate, "the gate opens")

    large.front.rules = _Every(wait)  # type: ignore[assignment]
    answer = put(large, file, source)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


class _Every(dict[str, Any]):
    """One rule for all jobs."""

    def __init__(self, rule: Callable[[dict[str, Any]], int | None]) -> None:
        super().__init__()
        self._rule = rule

    def get(self, _: str, __: Any = None) -> Any:
        return self._rule


@pytest.fixture
def on_aws(large: Large) -> tuple[Version, bytes]:
    """A file of several parts that is on `aws` only, the blob too."""
    large.front.rules = {}
    data = content()
    checksums, claims = metadata(data)
    source, file = stage(large, "aws", data, claims), Version(new_uuid(), now())
    assert large.ended(put(large, file, source).json()["task_id"]).state is JobState.SUCCEEDED
    gcp = large.dss.replicas.named("gcp")
    gcp.store.delete(gcp.bucket, checksums.blob_key)
    return file, data


def test_a_function_that_is_killed_and_a_step_that_fails_five_times_cost_time_only(
    large: Large, on_aws: tuple[Version, bytes]
) -> None:
    """It is killed within a batch, where it goes on from the parts that are there, and in the last step."""
    file, data = on_aws
    failures = iter(range(5))
    killed: list[str] = []
    restarted = threading.Event()

    def fail_then_kill(body: dict[str, Any]) -> int | None:
        if body["step"] == "batch" and next(failures, None) is not None:
            return 500
        # What is tried again is for the process that lives.
        if large.front.broken:
            restarted.wait(200)
        if body["step"] == "finish" and not killed:
            restarted.wait(200)
            killed.append("now")
            large.front.kill()
            large.front.start()
            return 503
        return None

    large.front.broken.clear()
    large.front.rules = _Every(fail_then_kill)  # type: ignore[assignment]
    begun = copy_across(large, file, "aws")
    wait_until(lambda: large.uploads("gcp"), "a part is there", 30)
    large.front.kill()
    large.front.start()
    restarted.set()
    job = large.ended(begun.id)

    assert killed
    assert (job.state, job.cause) == (JobState.SUCCEEDED, "")
    assert large.front.steps(job.id).count("batch") == 6 + large.front.broken.count("batch")
    assert_readable(large, file, "gcp", data)
    assert large.uploads("gcp") == []


def points_and_replicas() -> list[Any]:
    """Return each fault point with one replica in turn; with the other one, too, for who has time."""
    points = [point for point in FAULT_POINTS if point.startswith("copy: ")]
    return [
        pytest.param(point, replica, marks=() if index == number % 2 else (pytest.mark.large,))
        for number, point in enumerate(points)
        for index, replica in enumerate(OTHER)
    ]


@pytest.mark.parametrize(("point", "replica"), points_and_replicas())
def test_a_function_that_dies_while_a_file_is_verified_shows_nothing_and_finishes_in_the_end(
    large: Large, replica: str, point: str
) -> None:
    data = content()
    checksums, claims = metadata(data)
    source, file = stage(large, replica, data, claims), Version(new_uuid(), now())
    restarted = threading.Event()

    def hold(_: dict[str, Any]) -> None:
        # What is tried again is for the process that lives.
        if large.front.broken:
            restarted.wait(200)

    large.front.rules = _Every(hold)  # type: ignore[assignment]
    large.front.kill()
    large.front.start(DSS_FAULT_POINT=point)
    large.front.broken.clear()

    task_id = put(large, file, source).json()["task_id"]
    wait_until(lambda: large.front.broken, f"{point!r} is reached")
    assert head(large, file, replica) == 404
    large.front.kill()
    large.front.start()
    restarted.set()

    assert large.ended(task_id).state is JobState.SUCCEEDED
    assert_readable(large, file, replica, data)
    for name in OTHER:
        assert large.clouds.read(name, checksums.blob_key) == data
        assert large.uploads(name) == []


def test_a_step_that_never_works_ends_the_job_with_its_cause_and_leaves_nothing(
    large: Large, on_aws: tuple[Version, bytes]
) -> None:
    file, _ = on_aws
    failed = [_assert_fails_at(large, file, step) for step in ("batch", "finish")]

    large.front.rules = {}
    anew = copy_across(large, file, "aws")
    assert [(one.id, one.attempt) for one in (*failed, anew)] == [(anew.id, number) for number in (1, 2, 3)]
    assert large.ended(anew.id).state is JobState.SUCCEEDED


def _assert_fails_at(large: Large, file: Version, step: str) -> CopyJob:
    large.front.rules = _Every(  # type: ignore[assignment]
        lambda body: 500 if body["step"] == step else None
    )
    job = large.ended(copy_across(large, file, "aws").id)

    assert (job.state, job.code) == (JobState.FAILED, "copy_failed")
    # It is the step's, and not that of the branches that it was in.
    assert job.cause == "HTTP server responded with error code 500"
    wait_until(lambda: large.uploads("gcp") == [], "no parts are left")
    assert large.clouds.keys("gcp", job.order.key) == []
    assert head(large, file, "gcp") == 404
    return job


@pytest.mark.parametrize("replica", ["gcp", "aws"])
def test_a_source_that_is_replaced_meanwhile_fails_the_copy_and_reads_say_so(
    large: Large, replica: str
) -> None:
    data = content()
    _, claims = metadata(data)
    source, file, gate = stage(large, replica, data, claims), Version(new_uuid(), now()), list[str]()
    job_id = put_behind_a_gate(large, file, source, gate)["task_id"]
    bucket, key = source.split("://")[1].split("/", 1)
    large.clouds.stage(replica, b"other content", bucket=bucket, key=key)
    gate.append("open")

    job = large.ended(job_id)

    assert (job.state, job.code) == (JobState.FAILED, "source_changed")
    assert head(large, file, replica) == 422
    answer = large.api.get(f"/v1/files/{file.uuid}", replica=replica, version=file.version)
    assert_problem(answer, 422, "source_changed", str(file), "replaced")
    wait_until(lambda: large.uploads(replica) == [], "no parts are left")
    assert large.clouds.keys(replica, job.order.key) == []


def test_parts_that_prove_wrong_are_undone(large: Large) -> None:
    data = content()
    _, claims = metadata(data)
    wrong = {**claims, "dss-s3_etag": f"{'0' * 32}-2"}
    source, file = stage(large, "aws", data, wrong), Version(new_uuid(), now())
    large.front.rules = {}

    job = large.ended(put(large, file, source).json()["task_id"])

    assert (job.state, job.code) == (JobState.FAILED, "invalid_checksum")
    answer = large.api.get(f"/v1/files/{file.uuid}", replica="aws", version=file.version)
    assert_problem(answer, 422, "invalid_checksum", "s3_etag")
    wait_until(lambda: large.uploads("aws") == [], "no parts are left")
    assert large.clouds.keys("aws", job.order.key) == []


def test_what_is_small_is_not_touched_by_any_of_this(large: Large) -> None:
    file = put_file(large.api, large.clouds.stage("gcp", b"small"))
    assert head(large, file, "gcp") == 200


GIGABYTES = 2 * 1024 * MIB
# What the function has in a deployment. Each of its processes has to do with less.
FUNCTION_BYTES = 512 * MIB


@pytest.mark.large
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seen", ["gcp", "aws"])
def test_two_gibibytes_go_each_way_through_little_memory(large: Large, seen: str, tmp_path: Path) -> None:
    large.front.rules = {}
    path = tmp_path / "content"
    calculator = ChecksumCalculator(GIGABYTES)
    with path.open("wb") as file:
        for index in range(GIGABYTES // MIB):
            block = index.to_bytes(8) * (MIB // 8)
            calculator.update(block)
            file.write(block)
    checksums = calculator.result()
    names = ("sha256", "sha1", "s3_etag", "crc32c")
    claims = {f"dss-{name}": getattr(checksums, name) for name in names}
    key, bucket = f"{new_uuid()}/content", large.clouds.staging[seen]
    if seen == "gcp":
        blob = large.clouds.gcs.bucket(bucket).blob(key)
        blob.metadata = claims
        blob.upload_from_filename(path)
    else:
        config = TransferConfig(multipart_chunksize=64 * MIB, max_concurrency=2)
        large.clouds.s3.upload_file(str(path), bucket, key, ExtraArgs={"Metadata": claims}, Config=config)
    path.unlink()
    version = Version(new_uuid(), now())
    answer = put(large, version, f"{SCHEMES[seen]}://{bucket}/{key}")
    if answer.status_code == 202:
        assert large.ended(answer.json()["task_id"], 900).state is JobState.SUCCEEDED
    large.dss.replicas.named(seen).store.delete(bucket, key)

    began = time.monotonic()
    job = large.ended(copy_across(large, version, seen).id, 900)
    print(f"{seen} to {OTHER[seen]}: {GIGABYTES / MIB / (time.monotonic() - began):.0f} MiB/s")

    assert (job.state, job.cause) == (JobState.SUCCEEDED, "")
    assert head(large, version, OTHER[seen]) == 200
    answer = large.api.get(f"/v1/files/{version.uuid}", replica=OTHER[seen])
    digest = hashlib.sha256()
    with requests.get(answer.headers["Location"], timeout=120, stream=True) as body:
        for chunk in body.iter_content(MIB):
            digest.update(chunk)
    assert digest.hexdigest() == checksums.sha256
    peak = large.front.peak_memory()
    print(f"the function took {peak / MIB:.0f} MiB at most")
    assert peak < FUNCTION_BYTES
    for replica in ("gcp", "aws"):
        place = large.dss.replicas.named(replica)
        place.store.delete(place.bucket, checksums.blob_key)
