"""Runs that are split by key range: what the shards report together is what one pass reports."""

import contextlib
import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.catalog import AdminRun, JobState
from shared.errors import Conflict, IllegalArguments
from shared.faults import FaultPoints
from shared.jobs import rebuild as rebuild_job
from shared.jobs import steps
from shared.jobs.rebuild import following
from shared.jobs.sharding import Phase
from shared.maintenance.audit import Tally, audit, stages
from shared.maintenance.rebuild import rebuild
from tests.support.admin_system import FAILED, SUCCEEDED, AdminSystem
from tests.support.api import new_uuid
from tests.support.audits import AT_ONCE
from tests.support.clouds import REPLICAS
from tests.support.manual_system import ManualSystem
from tests.support.system_snapshot import populated_system, snapshot

AUDIT = {"kind": "audit", "settled_after": 0}
# Counts that an audit in one pass has, too.
COUNTED = ("known", "findings", *(f"{name} objects" for name in REPLICAS))


@pytest.fixture(scope="module")
def damaged(system: AdminSystem) -> Iterator[set[str]]:
    """Keys that are lost in `aws`, all over the key ranges, and some that are nobody's."""
    worlds = [system.replicated_world("gcp", os.urandom(100)) for _ in range(3)]
    keys = {key for world in worlds for key in world.keys}
    # At the ends of the ranges of two, three and four shards, and outside of all.
    strays = {f"files/{name}" for name in ("8000", "5555", "aaaa", "4000", "c000", "!", "~")} | {"stray"}
    for key in keys:
        system.remove("aws", key)
    for key in strays:
        system.overwrite("aws", key, b"?")
    yield keys | strays
    for key in keys:
        system.overwrite("aws", key, system.clouds.read("gcp", key))
    for key in strays:
        system.remove("aws", key)


def reported(system: AdminSystem, run: AdminRun) -> list[str]:
    return sorted(line["key"] for line in system.report_lines(run))


@pytest.mark.parametrize(("shards", "page"), [(2, 1000), (4, 2)])
def test_an_audit_in_shards_finds_and_counts_what_one_in_one_pass_does(
    system: AdminSystem, damaged: set[str], shards: int, page: int
) -> None:
    tally = Tally()
    found = list(audit(system.dss, list(system.dss.replicas), settled_after=AT_ONCE, tally=tally))

    run = system.run(**AUDIT, shards=shards, page=page)

    assert reported(system, run) == sorted(finding.key for finding in found) == sorted(damaged)
    assert {name: run.counts[name] for name in COUNTED} == {
        "known": tally.known,
        "findings": len(damaged),
        **{f"{name} objects": tally.objects[name] for name in REPLICAS},
    }
    assert system.summary(run)["counts"] == run.counts
    # A part for the beginning of each stage, and one for the end.
    assert run.parts == len(stages(REPLICAS)) + 1
    assert system.report_parts(run) == sorted(system.report_parts(run))


def test_shards_are_worked_on_side_by_side(system: AdminSystem, damaged: set[str]) -> None:
    calls, together, passed = itertools.count(), threading.Barrier(3), []

    def wait_for_others(body: dict[str, Any]) -> None:
        if "shard" in body and next(calls) < 3:
            together.wait(60)
            passed.append(body["shard"])

    system.front.rules[""] = wait_for_others
    run = system.run(**AUDIT, shards=3)
    del system.front.rules[""]

    assert sorted(passed) == [0, 1, 2]
    assert reported(system, run) == sorted(damaged)


@pytest.mark.parametrize("point", ["administration: slice done", "administration: part written"])
def test_a_function_that_is_killed_in_a_shard_reports_nothing_twice(
    system: AdminSystem, damaged: set[str], point: str
) -> None:
    calls, over, broken = itertools.count(), threading.Event(), len(system.front.broken)

    def kill(body: dict[str, Any]) -> None:
        """Have the first slice of the first shard killed, and then let the others begin."""
        if "shard" not in body or over.is_set():
            return
        if body["shard"]:
            over.wait(60)
        elif next(calls) == 0:
            system.front.kill()
            system.front.start(DSS_FAULT_POINT=point)
        else:
            system.front.kill()
            system.front.start()
            over.set()

    system.front.rules[""] = kill
    ended = system.wait_for_end(system.start(**AUDIT, shards=2, page=5))
    del system.front.rules[""]

    run = system.get_run(ended.name)
    assert (ended.state, run.attempt) == (SUCCEEDED, 1)
    assert system.front.broken[broken:] == ["work"]
    assert reported(system, run) == sorted(damaged)
    assert run.counts["findings"] == len(damaged)


def test_a_shard_that_fails_for_good_ends_the_run_which_goes_on_from_all_cursors(
    system: AdminSystem, damaged: set[str]
) -> None:
    def refuse(body: dict[str, Any]) -> int | None:
        return 422 if body.get("shard") == 1 and system.get_run(name).parts == 3 else None

    system.front.rules[""] = lambda body: refuse(body) if "shard" in body else None
    name = system.start(**AUDIT, shards=2, page=5)
    failed = system.wait_for_end(name)
    del system.front.rules[""]
    left = system.get_run(name)
    before = system.report_parts(left)
    resumed = system.wait_for_end(system.start(resume=left.id))

    run = system.get_run(name)
    assert (failed.state, left.state, left.cause) == (FAILED, JobState.FAILED, "made to fail by a test")
    assert (resumed.state, run.state, run.attempt) == (SUCCEEDED, JobState.SUCCEEDED, 2)
    assert set(before) < set(system.report_parts(run))
    assert reported(system, run) == sorted(damaged)
    assert run.counts["findings"] == len(damaged)


def test_a_run_in_shards_is_resumed_without_the_workflow(system: AdminSystem, damaged: set[str]) -> None:
    run = steps.begin(system.dss, new_uuid(), {**AUDIT, "shards": 3, "page": 4})
    while not run.over:
        run = steps.work(system.dss, run.id, run.attempt)
        steps.work_on_shards(system.dss, run)
        assert steps.with_open_shards(system.dss, run).counts.keys() >= run.counts.keys()

    assert reported(system, steps.finish(system.dss, run.id, run.attempt)) == sorted(damaged)


def test_a_shard_that_is_not_there_is_refused(system: AdminSystem) -> None:
    run = steps.begin(system.dss, new_uuid(), {**AUDIT, "shards": 2})
    run = steps.work(system.dss, run.id, run.attempt)

    # Its shards are not done, so that it stays where it is.
    assert steps.work(system.dss, run.id, run.attempt).cursor == run.cursor
    with pytest.raises(IllegalArguments, match="has 2 now, not one of number 2"):
        steps.work_on_shard(system.dss, run.id, run.attempt, 2)
    with pytest.raises(Conflict, match="another execution"):
        steps.work_on_shard(system.dss, run.id, run.attempt + 1, 0)
    with pytest.raises(IllegalArguments, match="shards: it must be a whole number from 0 to 20"):
        steps.begin(system.dss, new_uuid(), {**AUDIT, "shards": 21})
    steps.fail(system.dss, run.id, run.attempt, "given up")


class Killed(BaseException):
    """Ends a step where a kill would."""


class EachPointOnce(FaultPoints):
    """Ends the first step at its first point, the second one at its second point, and lets the third pass."""

    def __init__(self) -> None:
        self._passes = 0
        self._reached = 0
        self.kills: Counter[str] = Counter()

    def reach(self, name: str) -> None:
        """End the step if it has not been ended here."""
        if not name.startswith("administration: "):
            return
        if self._reached == self._passes < 2:
            self._passes, self._reached = self._passes + 1, 0
            self.kills[name] += 1
            raise Killed
        self._reached += 1
        if self._reached == 2:
            self._passes = self._reached = 0


@pytest.fixture(scope="module")
def populated(stack: dict[str, str]) -> Iterator[ManualSystem]:
    """A system with something of everything on both replicas, whose catalog the tests may lose."""
    with populated_system(stack) as system:
        yield system


def insist(step: Callable[..., AdminRun], *arguments: Any) -> AdminRun:
    """Do a step, and again as often as it is killed."""
    while True:
        with contextlib.suppress(Killed):
            return step(*arguments)


def test_what_rests_on_other_shards_is_restored_after_them(populated: ManualSystem) -> None:
    dss = populated.dss
    before = {name: snapshot(populated, name) for name in REPLICAS}
    populated.delete_catalog()
    for name in REPLICAS:
        run = steps.begin(dss, new_uuid(), {"kind": "rebuild", "replica": name, "shards": 4})
        while not run.over:
            run = steps.work(dss, run.id, run.attempt)
            steps.work_on_shards(dss, run)
        assert steps.finish(dss, run.id, run.attempt).counts["failed"] == 0

    assert {name: snapshot(populated, name) for name in REPLICAS} == before


def test_a_rebuild_in_shards_that_is_killed_at_every_step_makes_the_catalog_that_was_lost(
    populated: ManualSystem,
) -> None:
    before = {name: snapshot(populated, name) for name in REPLICAS}
    populated.delete_catalog()
    faults = EachPointOnce()
    dss = replace(populated.dss, faults=faults)
    counts = {}
    for name in REPLICAS:
        run = steps.begin(dss, new_uuid(), {"kind": "rebuild", "replica": name, "shards": 3, "page": 7})
        while not run.over:
            run = insist(steps.work, dss, run.id, run.attempt)
            for number in range(steps.summary(dss, run)["shards"]):
                while not insist(steps.work_on_shard, dss, run.id, run.attempt, number).over:
                    pass
        counts[name] = steps.finish(dss, run.id, run.attempt).counts

    assert {name: snapshot(populated, name) for name in REPLICAS} == before
    assert set(faults.kills) == {"administration: slice done", "administration: part written"}
    assert sum(faults.kills.values()) > 4 * len(rebuild_job.phases())
    for name in REPLICAS:
        replica = populated.dss.replicas.named(name)
        seen = Counter(one.section for one in rebuild(populated.dss, replica, dry_run=True))
        assert {section: counts[name][f"{section} objects"] for section in seen} == seen
        assert (counts[name]["failed"], counts[name]["objects"]) == (0, seen.total())
        # Journals can be made again.
        assert not populated.dss.catalog.journals.checkpoint(name).held


def test_the_workflow_rebuilds_and_says_what_fails(system: AdminSystem) -> None:
    world = system.replicated_world("gcp", os.urandom(100))
    lost = system.replicated_world("gcp", os.urandom(100))
    [manifest] = [key for key in lost.keys if key.startswith("files/")]
    kept = system.clouds.read("gcp", lost.blob)
    system.remove("gcp", lost.blob)
    for kind, key in (("files", manifest), ("files", next(k for k in world.keys if k.startswith("files/")))):
        system.delete_document(kind, key.partition("/")[2])

    run = system.run(kind="rebuild", replica="gcp", shards=2)
    [failed] = system.report_lines(run)
    system.overwrite("gcp", lost.blob, kept)
    again = system.run(kind="rebuild", replica="gcp", shards=2)
    system.run(kind="rebuild", replica="aws", shards=2)

    assert (failed["section"], failed["key"]) == ("files", manifest)
    assert "no blob" in failed["failed"]
    assert (run.counts["files restored"], run.counts["failed"]) == (1, 1)
    assert (again.counts["files restored"], again.counts["failed"]) == (1, 0)
    assert {key for key in reported(system, system.run(**AUDIT)) if key in {*world.keys, *lost.keys}} == set()


@pytest.mark.parametrize(
    ("phase", "results", "comes"),
    [
        (None, {}, "purges"),
        ("events", {}, "release"),
        ("subscriptions", {}, None),
        ("collections", {}, "subscriptions"),
        ("collections", {"waiting": 3, "progress": 1}, "collections again"),
        ("collections again", {"waiting": 2, "progress": 1}, "collections again"),
        ("collections again", {"waiting": 2}, "collections last"),
        ("collections again", {"progress": 3}, "subscriptions"),
        ("collections last", {"waiting": 2}, "subscriptions"),
    ],
)
def test_what_waits_for_others_is_tried_until_nothing_more_comes_of_it(
    phase: str | None, results: dict[str, int], comes: str | None
) -> None:
    following_phase = following(Phase(phase) if phase else None, results)
    assert (following_phase.name if following_phase else None) == comes
