"""If anything goes wrong in the middle of a checkout, the job ends as it should, and says so in words."""

import dataclasses
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.config import WRITER_EMAIL
from shared.access.buckets import PROOF_KEY
from shared.catalog import CheckoutOrder, JobState
from shared.catalog.bundles import PAGE_FILES
from shared.checkouts.jobs import request_checkout, resume_abandoned_checkouts
from shared.checkouts.mails import send_due_mails
from shared.checksums import MIB, checksums_of
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.identifiers import Fqid, Kind
from shared.messages import ObjectEvent
from shared.replication import replicate
from tests.support.api import Version, assert_problem, new_uuid, put_bundle, put_file, put_large_file
from tests.support.checkout_harness import (
    INLINE_BYTES,
    ClockAhead,
    Harness,
    LostWorkflows,
    before,
    checkout_harness,
    two_page_bundle,
)
from tests.support.checkouts import await_checkout, checkout_status, read_objects, remove_object, user_bucket
from tests.support.copies import distinct_bytes
from tests.support.directory_replica import CHECKOUT, NAME, directory_replica
from tests.support.function_proxy import Rule
from tests.support.waiting import wait_until
from tests.system.conftest import ManyFiles


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the third replica is."""
    return tmp_path_factory.mktemp("third")


@pytest.fixture(scope="module")
def rig(
    stack: dict[str, str], directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harness]:
    third = directory_replica(directory, "http://dss.example.org")
    env = {**stack, "DSS_EXTRA_REPLICAS": json.dumps([third])}
    with checkout_harness(env, tmp_path_factory.mktemp("checkouts")) as found:
        yield found


def new_bundle(rig: Harness, replica: str, *contents: bytes) -> Version:
    files = [new_file(rig, replica, data) for data in contents]
    return put_bundle(rig.api, replica, [file.named(f"{n}.bin") for n, file in enumerate(files)])


def new_file(rig: Harness, replica: str, data: bytes) -> Version:
    source = rig.clouds.stage(replica, data)
    if len(data) > rig.dss.settings.inline_verify_bytes:
        return put_large_file(rig.api, source, replica)
    return put_file(rig.api, source)


@pytest.fixture
def bundle(rig: Harness, replica: str) -> Version:
    """A bundle of two files that no other has."""
    return new_bundle(rig, replica, new_uuid().encode(), new_uuid().encode())


@pytest.fixture
def two_pages(rig: Harness, replica: str) -> Version:
    """A bundle of so many files, of two that no other has, that each page of them is a step."""
    return two_page_bundle(rig, replica, [new_uuid().encode(), new_uuid().encode()])


def fails(step: str, times: int) -> Rule:
    left = iter(range(times))
    return lambda body: 500 if body["step"] == step and next(left, None) is not None else None


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_bundle_of_few_files_is_checked_out_in_one_step(
    rig: Harness, replica: str, bundle: Version
) -> None:
    job = rig.check_out(replica, bundle)
    ended = await_checkout(rig.api, replica, job)
    again = rig.check_out(replica, bundle, fails("plan", 5))
    repeated = await_checkout(rig.api, replica, again)

    for found in (ended, repeated):
        assert (found["status"], found["files"], found["files_done"]) == ("SUCCEEDED", 2, 2)
        assert (found["bytes"], found["bytes_done"]) == (72, 72)
    assert again == job
    # All steps of both attempts have come when the last one is that of mails.
    wait_until(lambda: rig.front.steps(job)[-1] == "mail", "the mails are looked after")
    assert set(rig.front.steps(job)) == {"plan", "mail"}


@pytest.mark.parametrize("step", ["plan", "page", "finish"])
@pytest.mark.parametrize("replica", ["gcp"])
def test_a_step_that_fails_five_times_costs_time_only(
    rig: Harness, replica: str, two_pages: Version, step: str
) -> None:
    job = rig.check_out(replica, two_pages, fails(step, 5))
    ended = await_checkout(rig.api, replica, job)

    assert (ended["status"], ended["files_done"]) == ("SUCCEEDED", PAGE_FILES + 1)
    assert rig.front.steps(job).count(step) >= 6


@pytest.mark.parametrize("replica", ["aws"])
def test_a_step_that_never_works_ends_the_job_and_it_can_be_begun_anew(
    rig: Harness, replica: str, two_pages: Version
) -> None:
    address = f"{new_uuid()}@example.org"
    ended = await_checkout(
        rig.api, replica, rig.check_out(replica, two_pages, fails("page", 999), email=address)
    )

    assert ended["status"] == "FAILED"
    assert "500" in ended["cause"]
    mail = the_mail(rig, address)
    assert ended["cause"] in mail and str(two_pages) in mail
    anew = await_checkout(rig.api, replica, rig.check_out(replica, two_pages))
    assert anew["status"] == "SUCCEEDED"


def the_mail(rig: Harness, address: str) -> str:
    wait_until(lambda: rig.mails(address), f"{address} has mail")
    [mail] = rig.mails(address)
    return str(mail["Subject"]) + mail.get_payload(decode=True).decode()


def test_who_wants_one_gets_one_mail_about_the_copies(rig: Harness, replica: str, bundle: Version) -> None:
    address = f"{new_uuid()}@example.org"

    ended = await_checkout(rig.api, replica, rig.check_out(replica, bundle, email=address))

    mail = the_mail(rig, address)
    assert ended["location"] in mail and "2 files, 72 bytes" in mail


def test_a_destination_that_cannot_be_reached_is_refused(rig: Harness, replica: str, bundle: Version) -> None:
    path = f"/v1/bundles/{bundle.uuid}/checkout"
    missing, denied = f"no-{new_uuid()}", user_bucket(rig.clouds, replica, denied="all")
    for bucket, words in ((missing, "no such bucket"), (denied, "no access")):
        answer = rig.api.post(path, replica=replica, json={"destination": bucket})
        assert_problem(answer, 400, "illegal_arguments", "destination", bucket, words)


def test_a_destination_that_may_not_be_written_fails_the_job(
    rig: Harness, replica: str, bundle: Version
) -> None:
    bucket = user_bucket(rig.clouds, replica, denied="write")

    ended = await_checkout(rig.api, replica, rig.check_out(replica, bundle, destination=bucket))

    assert ended["status"] == "FAILED"
    assert f"{bucket}: this system has no permission to write to it" in ended["cause"]


def test_a_destination_that_is_deleted_in_the_middle_fails_the_job(
    rig: Harness, replica: str, two_pages: Version
) -> None:
    bucket = user_bucket(rig.clouds, replica)

    def delete() -> None:
        remove_object(rig.clouds, replica, bucket, PROOF_KEY)
        if replica == "gcp":
            rig.clouds.gcs.bucket(bucket).delete()
        else:
            rig.clouds.s3.delete_bucket(Bucket=bucket)

    job = rig.check_out(replica, two_pages, before("page", delete), destination=bucket)

    ended = await_checkout(rig.api, replica, job)
    assert ended["status"] == "FAILED"
    assert f"{bucket}: no such bucket" in ended["cause"]


@pytest.mark.parametrize("replica", ["aws"])
def test_a_bundle_is_checked_out_of_a_directory_as_of_a_bucket(
    rig: Harness, directory: Path, replica: str, bundle: Version
) -> None:
    where = rig.dss.replicas.named(replica)
    files = rig.api.get(f"/v1/bundles/{bundle.uuid}", replica=replica).json()["bundle"]["files"]
    keys = [f"files/{file['uuid']}.{file['version']}" for file in files]
    for key in (*keys, f"bundles/{bundle}"):
        replicate(rig.dss, ObjectEvent(replica=replica, bucket=where.bucket, key=key))
    own = directory / "buckets" / "own"

    path = f"/v1/bundles/{bundle.uuid}/checkout"
    missing = rig.api.post(path, replica=NAME, json={"destination": "own"})
    own.mkdir()
    unproved = rig.api.post(path, replica=NAME, json={"destination": "own"})
    (own / PROOF_KEY).write_text(f"{WRITER_EMAIL}\n")
    jobs = [rig.check_out(NAME, bundle), rig.check_out(NAME, bundle, destination="own")]
    ends = [await_checkout(rig.api, NAME, job) for job in jobs]

    assert_problem(missing, 400, "illegal_arguments", "destination", "no such bucket")
    assert_problem(unproved, 403, "Forbidden", f"file://own/{PROOF_KEY}", WRITER_EMAIL)
    for bucket, ended in zip((CHECKOUT, "own"), ends, strict=True):
        assert ended["location"] == f"file://{bucket}/bundles/{bundle}"
        assert (ended["status"], ended["files_done"], ended["bytes_done"]) == ("SUCCEEDED", 2, 72)
        copies = (directory / "buckets" / bucket / "bundles" / str(bundle)).iterdir()
        assert sorted((one.name, one.stat().st_size) for one in copies) == [("0.bin", 36), ("1.bin", 36)]


def test_content_that_is_lost_in_the_middle_fails_the_job(rig: Harness, replica: str) -> None:
    data = new_uuid().encode()
    bundle = two_page_bundle(rig, replica, [b"there", data])
    key = checksums_of(data).blob_key

    job = rig.check_out(
        replica,
        bundle,
        before("page", lambda: remove_object(rig.clouds, replica, rig.clouds.main[replica], key)),
    )

    ended = await_checkout(rig.api, replica, job)
    assert ended["status"] == "FAILED"
    assert f"bundles/{bundle}/001.bin" in ended["cause"] and key in ended["cause"]


@pytest.mark.parametrize("step", ["plan", "page", "finish"])
@pytest.mark.parametrize("replica", ["gcp"])
def test_a_bundle_that_is_deleted_in_the_middle_fails_the_job(
    rig: Harness, replica: str, two_pages: Version, step: str
) -> None:
    def hide() -> None:
        answer = rig.admin.delete(
            f"/v1/bundles/{two_pages.uuid}", replica=replica, json={"reason": "in the middle"}
        )
        assert answer.status_code == 200

    ended = await_checkout(rig.api, replica, rig.check_out(replica, two_pages, before(step, hide)))

    assert ended["status"] == "FAILED"
    assert f"no bundle {two_pages}" in ended["cause"]


def test_another_object_in_a_users_bucket_is_left_alone(rig: Harness, replica: str, bundle: Version) -> None:
    bucket, key = user_bucket(rig.clouds, replica), f"bundles/{bundle}/1.bin"
    rig.clouds.stage(replica, b"mine", bucket=bucket, key=key)

    ended = await_checkout(rig.api, replica, rig.check_out(replica, bundle, destination=bucket))

    assert ended["status"] == "FAILED"
    assert f"{key}: another object has this key" in ended["cause"]
    assert read_objects(rig.clouds, replica, bucket, key)[key][0] == b"mine"


def test_another_object_in_the_checkout_bucket_is_replaced(rig: Harness, replica: str) -> None:
    data = new_uuid().encode()
    bundle = new_bundle(rig, replica, data)
    bucket, key = rig.clouds.checkout[replica], f"bundles/{bundle}/0.bin"
    rig.clouds.stage(replica, b"corrupt", bucket=bucket, key=key)

    assert await_checkout(rig.api, replica, rig.check_out(replica, bundle))["status"] == "SUCCEEDED"
    assert read_objects(rig.clouds, replica, bucket, key)[key][0] == data


# One of several parts on S3; GCS copies any object in one request.
@pytest.mark.parametrize(("replica", "size"), [("gcp", INLINE_BYTES + 1), ("aws", 64 * MIB + 1)])
def test_a_large_file_goes_through_the_copy_workflow(rig: Harness, replica: str, size: int) -> None:
    data = distinct_bytes(size)
    bundle = new_bundle(rig, replica, b"small", data)

    job = rig.check_out(replica, bundle)
    ended = await_checkout(rig.api, replica, job)

    assert (ended["status"], ended["files_done"]) == ("SUCCEEDED", 2)
    assert ended["bytes_done"] == ended["bytes"] == len(data) + 5
    assert rig.front.steps(job).count("wait") > 1
    store, key = rig.dss.replicas.named(replica).store, f"bundles/{bundle}/1.bin"
    found = store.stat(rig.clouds.checkout[replica], key)
    found.check(checksums_of(data))
    assert found.last_used


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_large_file_that_cannot_be_copied_fails_the_job(rig: Harness, replica: str) -> None:
    data = distinct_bytes(INLINE_BYTES + 2)
    bundle = new_bundle(rig, replica, data)
    key = checksums_of(data).blob_key

    def forget() -> None:
        remove_object(rig.clouds, replica, rig.clouds.main[replica], key)

    ended = await_checkout(rig.api, replica, rig.check_out(replica, bundle, before("page", forget)))

    assert ended["status"] == "FAILED"
    assert f"bundles/{bundle}/0.bin" in ended["cause"]


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_killed_execution_is_resumed_by_the_sweep_and_not_for_ever(
    rig: Harness, replica: str, two_pages: Version
) -> None:
    executions = rig.dss.workflows._client  # type: ignore[attr-defined]
    reached: list[bool] = []
    gate: list[bool] = []

    def hold() -> None:
        reached.append(True)
        wait_until(lambda: gate, "the gate opens")

    job_id = rig.check_out(replica, two_pages, before("page", hold))
    wait_until(lambda: reached, "a page is begun")
    job = rig.dss.catalog.checkouts.get(job_id)
    assert job
    # SIGKILL of its process.
    executions.cancel_execution(name=job.execution)
    gate.append(True)
    assert checkout_status(rig.api, replica, job_id)["status"] == "RUNNING"
    assert resume_abandoned_checkouts(rig.dss) == []

    later = rig.at(ClockAhead(timedelta(hours=2)))
    try:
        assert job_id in resume_abandoned_checkouts(later)
        assert await_checkout(rig.api, replica, job_id)["status"] == "SUCCEEDED"
    finally:
        rig.at(SystemClock())


class NoWorkflows:
    """Cloud Workflows, while it does not answer."""

    def start(self, workflow: str, _: object) -> str:
        """Raise an error."""
        raise Unavailable(f"workflow {workflow}: it could not be started")


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_checkout_that_was_begun_and_could_not_be_started_is_started_later(
    rig: Harness, replica: str, bundle: Version
) -> None:
    order = CheckoutOrder(
        kind=Kind.BUNDLE,
        fqid=Fqid(bundle.uuid, bundle.version),
        replica=replica,
        bucket=rig.clouds.checkout[replica],
    )
    asked = dataclasses.replace(rig.dss, workflows=NoWorkflows())  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        request_checkout(asked, order, f"{new_uuid()}@example.org")
    begun = rig.dss.catalog.checkouts.get(order.job_id)
    assert begun
    # Who has begun it may be about to start it.
    settings = dataclasses.replace(rig.dss.settings, unstarted_seconds=300)
    assert order.job_id not in resume_abandoned_checkouts(dataclasses.replace(rig.dss, settings=settings))
    later = dataclasses.replace(rig.at(ClockAhead(timedelta(minutes=6))), settings=settings)
    try:
        assert order.job_id in resume_abandoned_checkouts(later)
        assert await_checkout(rig.api, replica, order.job_id)["status"] == "SUCCEEDED"
    finally:
        rig.at(SystemClock())
    ended = rig.dss.catalog.checkouts.get(order.job_id)
    assert ended
    assert (ended.attempt, ended.resumed) == (begun.attempt, begun.resumed)


@pytest.mark.parametrize("replica", ["gcp"])
def test_what_is_resumed_five_times_for_nothing_fails_and_can_be_begun_anew(
    rig: Harness, replica: str, bundle: Version
) -> None:
    address = f"{new_uuid()}@example.org"
    order = CheckoutOrder(
        kind=Kind.BUNDLE,
        fqid=Fqid(bundle.uuid, bundle.version),
        replica=replica,
        bucket=rig.clouds.checkout[replica],
    )
    asked = dataclasses.replace(rig.dss, workflows=LostWorkflows())  # type: ignore[arg-type]
    job_id = request_checkout(asked, order, address).id

    try:
        for hours in range(2, 12, 2):
            later = dataclasses.replace(rig.at(ClockAhead(timedelta(hours=hours))), workflows=asked.workflows)
            assert job_id in resume_abandoned_checkouts(later)
            assert job_id not in resume_abandoned_checkouts(later)
            assert checkout_status(rig.api, replica, job_id)["status"] == "RUNNING"
        later = dataclasses.replace(rig.at(ClockAhead(timedelta(hours=12))), workflows=asked.workflows)
        assert job_id not in resume_abandoned_checkouts(later)
    finally:
        rig.at(SystemClock())

    ended = checkout_status(rig.api, replica, job_id)
    assert (ended["status"], ended["cause"]) == (
        "FAILED",
        "its execution ended without a result, and so did 5 further ones",
    )
    send_due_mails(rig.dss)
    assert ended["cause"] in the_mail(rig, address)
    assert await_checkout(rig.api, replica, rig.check_out(replica, bundle))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("replica", ["aws"])
def test_a_killed_function_and_a_restarted_api_cost_time_only(
    rig: Harness, replica: str, two_pages: Version
) -> None:
    def kill() -> None:
        rig.front.kill()
        rig.process.restart()
        rig.front.start()

    job_id = rig.check_out(replica, two_pages, before("page", kill))
    catalog = rig.dss.catalog.checkouts
    wait_until(lambda: (job := catalog.get(job_id)) and job.state is not JobState.RUNNING, "it ends")

    ended = checkout_status(rig.api, replica, job_id)
    assert (ended["status"], ended["files_done"]) == ("SUCCEEDED", PAGE_FILES + 1)


@pytest.mark.parametrize("point", ["checkout: page copied", "checkout: mail sent"])
@pytest.mark.parametrize("replica", ["gcp"])
def test_a_kill_between_two_steps_leaves_a_job_that_ends(
    rig: Harness, replica: str, bundle: Version, point: str
) -> None:
    address = f"{new_uuid()}@example.org"
    rig.front.kill()
    rig.front.start(DSS_FAULT_POINT=point)
    step = "plan" if point.endswith("copied") else "mail"
    seen: list[bool] = []

    def revive(body: dict[str, Any]) -> None:
        if body["step"] == step:
            seen.append(True)
            if len(seen) == 2:
                rig.front.kill()
                rig.front.start()

    job_id = rig.check_out(replica, bundle, revive, email=address)
    ended = await_checkout(rig.api, replica, job_id)

    assert ended["status"] == "SUCCEEDED"
    wait_until(lambda: len(rig.mails(address)) == (2 if step == "mail" else 1), "mail has come")
    # Twice where it was killed before it was noted; and known to be the same.
    assert len({mail["Message-ID"] for mail in rig.mails(address)}) == 1
    # Noted as sent: until then, the next run of the job has to send it.
    catalog = rig.dss.catalog.checkouts
    wait_until(lambda: (sent := catalog.get(job_id)) and sent.emails == (), "the mail is noted")
    job = catalog.get(rig.check_out(replica, bundle))
    assert job and job.state is JobState.RUNNING and job.emails == ()
    assert await_checkout(rig.api, replica, job.id)["status"] == "SUCCEEDED"


# More than two pages of the workflow; the ten thousand take a minute.
@pytest.mark.parametrize("replica", ["gcp"])
@pytest.mark.parametrize("count", [1_001, pytest.param(10_000, marks=pytest.mark.large)])
def test_a_bundle_of_many_files_is_checked_out(
    rig: Harness, many_files: ManyFiles, replica: str, count: int
) -> None:
    items = [file.named(f"{n:05d}") for n, file in enumerate(many_files(replica, count))]
    bundle = put_bundle(rig.api, replica, items)
    began = time.monotonic()

    ended = await_checkout(rig.api, replica, rig.check_out(replica, bundle), seconds=200)

    print(f"{count} files in {time.monotonic() - began:.0f} s")
    assert (ended["status"], ended["files_done"], ended["bytes_done"]) == ("SUCCEEDED", count, count * 25)
    blobs = rig.clouds.gcs.list_blobs(rig.clouds.checkout[replica], prefix=f"bundles/{bundle}/")
    assert [blob.name.rpartition("/")[2] for blob in blobs] == [item["name"] for item in items]
