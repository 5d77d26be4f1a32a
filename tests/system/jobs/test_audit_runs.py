"""An audit as a run: in slices, with a report in a bucket, gone on with after a kill."""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.catalog import CopyJob, JobState
from shared.jobs.steps import end_abandoned
from shared.maintenance.audit import Tally, audit
from shared.maintenance.sections import sections
from tests.support.admin_system import FAILED, SUCCEEDED, AdminSystem
from tests.support.audits import AT_ONCE
from tests.support.clouds import REPLICAS
from tests.support.manual_system import World
from tests.support.waiting import wait_until

AUDIT = {"kind": "audit", "settled_after": 0}


@pytest.fixture(scope="module")
def world(system: AdminSystem) -> World:
    return system.replicated_world("gcp", os.urandom(1000))


@pytest.fixture
def damaged(system: AdminSystem, world: World) -> list[str]:
    """Keys that are lost in `aws`, and one that is nobody's, in the order of the audit."""
    for key in world.keys:
        system.remove("aws", key)
    system.overwrite("aws", "stray", b"?")
    everywhere = sections().values()
    here = ((key for key in world.keys if key.startswith(one.prefix) and one.has(key)) for one in everywhere)
    return [*(key for keys in here for key in sorted(keys)), "stray"]


def test_an_audit_in_slices_finds_what_one_in_one_pass_finds(system: AdminSystem, damaged: list[str]) -> None:
    tally = Tally()
    found = list(audit(system.dss, list(system.dss.replicas), settled_after=AT_ONCE, tally=tally))

    whole = system.run(**AUDIT)
    sliced = system.run(**AUDIT, page=1)

    assert [finding.key for finding in found] == damaged
    for run in (whole, sliced):
        assert [line["key"] for line in system.report_lines(run)] == damaged
        assert {(line["kind"], line["replica"]) for line in system.report_lines(run)} == {
            *(("lost", "aws"), ("dark", "aws"))
        }
        assert run.counts["findings"] == len(damaged)
        assert (run.counts["known"], run.counts["gcp objects"]) == (tally.known, tally.objects["gcp"])
        assert system.summary(run)["counts"] == run.counts
    assert (whole.parts, len(system.report_parts(whole))) == (1, 1)
    assert sliced.parts == len(system.report_parts(sliced)) > len(damaged)


def test_a_run_repairs_and_the_next_one_finds_nothing(system: AdminSystem, damaged: list[str]) -> None:
    repaired = system.run(**AUDIT, repair=True, page=3)
    system.remove("aws", "stray")
    after = system.run(**AUDIT)

    reported = {line["key"]: line.get("repaired") or line["left"] for line in system.report_lines(repaired)}
    assert set(reported) == set(damaged)
    assert reported["stray"] == "nothing tells what it is for"
    assert (repaired.counts["repaired"], repaired.counts["findings"]) == (len(damaged) - 1, len(damaged))
    assert (after.counts["findings"], system.report_lines(after)) == (0, [])


@contextlib.contextmanager
def held_from(system: AdminSystem, count: int, *, page: int = 3) -> Iterator[tuple[Callable[[], bool], str]]:
    """Start an audit in slices; from the so many-th on, requests for one wait for the end of this.

    Yields what tells whether the first of them came, and the execution's name.
    """
    slices, gate = itertools.count(1), threading.Event()
    held = threading.Event()

    def hold(body: dict[str, Any]) -> int | None:
        if body["step"] == "work" and next(slices) >= count:
            held.set()
            gate.wait(60)
            return 503
        return None

    system.front.rules[""] = hold
    try:
        yield held.is_set, system.start(**AUDIT, page=page)
    finally:
        del system.front.rules[""]
        gate.set()


@pytest.mark.parametrize("point", ["administration: slice done", "administration: part written"])
def test_a_function_that_is_killed_in_a_slice_reports_nothing_twice(
    system: AdminSystem, damaged: list[str], point: str
) -> None:
    system.front.kill()
    system.front.start(DSS_FAULT_POINT=point)
    # Other tests may have left files that come before the first that is damaged: its slice is the first.
    page = 3 + len(system.clouds.keys("gcp", "files/"))
    with held_from(system, 2, page=page) as (came, name):
        wait_until(came, "the slice is tried again")
        system.front.kill()
        system.front.start()
        # What the first slice has found is found no more when it is done again.
        system.overwrite("aws", damaged[0], system.clouds.read("gcp", damaged[0]))
    system.wait_for_end(name)

    run = system.get_run(name)
    reported = [line["key"] for line in system.report_lines(run)]
    assert reported == (damaged if point == "administration: part written" else damaged[1:])
    assert run.counts["findings"] == len(reported)


def test_an_execution_that_is_cancelled_is_gone_on_with_from_its_cursor(
    system: AdminSystem, damaged: list[str]
) -> None:
    with held_from(system, 4) as (came, name):
        wait_until(came, "three slices are done")
        system.dss.workflows._client.cancel_execution(name=name)  # type: ignore[attr-defined]
        stopped = system.get_run(name)
    run_id = name.rpartition("/")[2]
    resumed = system.wait_for_end(system.start(resume=run_id))
    again = system.run_and_fail(resume=run_id)

    assert (stopped.state, stopped.parts, stopped.attempt) == (JobState.RUNNING, 3, 1)
    run = system.get_run(name)
    assert (resumed.state, run.state, run.attempt) == (SUCCEEDED, JobState.SUCCEEDED, 2)
    assert [line["key"] for line in system.report_lines(run)] == damaged
    assert again == f"run {run_id} has succeeded: it cannot be resumed"


def test_a_run_whose_workflow_is_killed_with_its_server_is_gone_on_with_and_reports_nothing_twice(
    system: AdminSystem, damaged: list[str]
) -> None:
    until = {"begin": 1, "work": 3, "finish": 1}

    def kill(body: dict[str, Any]) -> None:
        """Let the step be done all the same, at once with the one that the execution then asks for anew."""
        step = body["step"]
        until[step] -= 1
        if until[step] == 0:
            system.workflows.kill()
            system.workflows.start()
            wait_until(lambda: until[step] < 0, f"{step} is asked for again", 30)

    system.front.rules[""] = kill
    name = system.start(**AUDIT, page=3)
    wait_until(lambda: until["finish"] < 0, "it ends for the second time")
    ended = system.wait_for_end(name)
    del system.front.rules[""]

    run = system.get_run(name)
    assert (ended.state, run.state, run.attempt) == (SUCCEEDED, JobState.SUCCEEDED, 1)
    assert [line["key"] for line in system.report_lines(run)] == damaged
    assert system.summary(run)["counts"] == run.counts
    assert run.counts["findings"] == len(damaged)


def test_a_step_that_fails_for_long_is_tried_again_and_for_ever_ends_the_run(system: AdminSystem) -> None:
    failures = dict.fromkeys(("begin", "work", "finish"), 5)

    def five_times(body: dict[str, str]) -> int | None:
        failures[body["step"]] -= 1
        return 503 if failures[body["step"]] >= 0 else None

    system.front.rules[""] = five_times
    tried = system.wait_for_end(system.start(**AUDIT))
    system.front.rules[""] = lambda body: 503 if body["step"] == "work" else None
    given_up = system.wait_for_end(system.start(**AUDIT))
    del system.front.rules[""]

    assert system.get_run(tried.name).state is JobState.SUCCEEDED
    assert given_up.state == FAILED
    row = system.get_run(given_up.name)
    assert (row.state, row.cause) == (JobState.FAILED, "made to fail by a test")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({}, "kind: it must be a string"),
        ({"kind": "audition"}, "kind: 'audition' is none of audit"),
        ({**AUDIT, "repare": True}, "repare: this job type has no such option"),
        ({**AUDIT, "repair": "yes"}, "repair: it must be true or false"),
        ({**AUDIT, "page": 0}, "page: it must be a whole number from 1"),
        ({**AUDIT, "replicas": ["moon"]}, "replica: 'moon' is not one of gcp, aws"),
        ({"resume": "nothing"}, "run: 'nothing' does not exist"),
        ({"resume": "a/b"}, "run: 'a/b' is not the id of a run"),
        ({"resume": "x", "kind": "audit"}, "resume: it must be the id of a run"),
    ],
)
def test_what_is_not_understood_is_refused_in_words(
    system: AdminSystem, argument: dict[str, object], words: str
) -> None:
    assert words in system.run_and_fail(**argument)


def test_a_bucket_that_is_not_there_is_named_before_anything_is_done(system: AdminSystem) -> None:
    system.front.kill()
    system.front.start(DSS_REPORTS_BUCKET="nowhere")
    refused = system.run_and_fail(**AUDIT)
    system.front.kill()
    system.front.start(DSS_REPORTS_BUCKET="")
    unset = system.run_and_fail(**AUDIT)
    system.front.kill()
    system.front.start()

    assert "nowhere" in refused
    assert unset == "DSS_REPORTS_BUCKET is not set: the report needs a bucket"


@pytest.mark.usefixtures("world")
def test_every_replica_is_named_in_what_a_run_counts(system: AdminSystem) -> None:
    run = system.run(**AUDIT)

    assert all(f"{name} objects" in run.counts for name in REPLICAS)


def test_a_run_that_nobody_works_on_is_ended_and_can_be_gone_on_with(system: AdminSystem) -> None:
    system.front.rules[""] = lambda body: 422 if body["step"] in ("work", "fail") else None
    name = system.start(**AUDIT)
    system.wait_for_end(name)
    del system.front.rules[""]
    left = system.get_run(name)
    runs = system.dss.catalog.database.client.collection("admin_runs")
    runs.document(left.id).update({"touched": system.dss.clock.now() - timedelta(minutes=61)})

    ended = end_abandoned(system.dss)
    failed = system.get_run(name)
    resumed = system.wait_for_end(system.start(resume=left.id))

    assert (left.state, ended) == (JobState.RUNNING, [left.id])
    assert (failed.state, failed.cause) == (
        *(JobState.FAILED, "no execution has worked on it for an hour; it can be resumed from its cursor"),
    )
    assert (resumed.state, system.get_run(name).state) == (SUCCEEDED, JobState.SUCCEEDED)


@pytest.mark.usefixtures("world")
def test_a_reports_bucket_that_vanishes_under_way_ends_the_run(system: AdminSystem) -> None:
    slices = itertools.count()

    def restart(body: dict[str, Any]) -> None:
        if body["step"] == "work" and next(slices) == 1:
            system.front.kill()
            system.front.start(DSS_REPORTS_BUCKET="nowhere")

    system.front.rules[""] = restart
    name = system.start(**AUDIT, page=1)
    ended = system.wait_for_end(name)
    del system.front.rules[""]
    system.front.kill()
    system.front.start()

    assert ended.state == FAILED
    run = system.get_run(name)
    assert run.state is JobState.FAILED
    assert "nowhere" in run.cause


def test_a_blob_that_takes_longer_than_a_step_is_copied_by_the_workflow(
    system: AdminSystem, world: World
) -> None:
    other = system.replicated_world("aws", os.urandom(1001))
    system.remove("aws", world.blob)
    system.overwrite("gcp", other.blob, b"?")
    system.front.kill()
    system.front.start(DSS_INLINE_COPY_BYTES="999")

    first = reported_of(system, {world.blob, other.blob})
    jobs = {key: copied(system, line["copy_job"]) for key, line in first.items()}
    system.remove("aws", world.blob)
    rows = system.dss.catalog.database.client.collection("copy_jobs")
    rows.document(jobs[world.blob].id).update({"state": "FAILED", "cause": "the moon was full"})
    second = reported_of(system, {world.blob, other.blob})
    again = copied(system, second[world.blob]["copy_job"])
    system.front.kill()
    system.front.start()

    assert {key: (line["kind"], line["replica"], line["copying"]) for key, line in first.items()} == {
        world.blob: ("lost", "aws", "from gcp by the copy workflow, 1000 bytes"),
        other.blob: ("corrupt", "gcp", "from aws by the copy workflow, 1001 bytes"),
    }
    assert not any({"repaired", "left"} & set(line) for line in first.values())
    # What has been copied is found no more; what could not be is begun anew, and says why.
    assert {key: line["copying"] for key, line in second.items()} == {
        world.blob: "from gcp by the copy workflow, 1000 bytes; the attempt before failed: the moon was full"
    }
    assert (again.id, again.attempt) == (jobs[world.blob].id, 2)
    assert world.blob in system.clouds.keys("aws", "blobs/")


def reported_of(system: AdminSystem, keys: set[str]) -> dict[str, dict[str, Any]]:
    """Have a run repair what it finds, and return what it tells of these keys, which it counts as copied."""
    run = system.run(**AUDIT, repair=True)
    reported = {line["key"]: line for line in system.report_lines(run) if line["key"] in keys}
    assert run.counts["copying"] == len(reported)
    return reported


def copied(system: AdminSystem, job_id: str) -> CopyJob:
    """Return a copy job when it has succeeded."""

    def succeeded() -> CopyJob | None:
        job = system.dss.catalog.jobs.get(job_id)
        return job if job and job.state is JobState.SUCCEEDED else None

    job: CopyJob = wait_until(succeeded, f"job {job_id} succeeds")
    return job
