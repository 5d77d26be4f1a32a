"""A kill between any two steps of a purge leaves nothing half-done to be seen, and a retry finishes it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.catalog import AdminRun, JobState
from shared.faults import FAULT_POINTS
from shared.jobs.purge import start_due_removals
from shared.maintenance.audit import Finding, Problem, Tally, audit
from shared.maintenance.repair import repair
from shared.purges.removal import remove
from tests.support.admin_system import AdminSystem
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.checkout_harness import ClockAhead, LostWorkflows
from tests.support.clouds import REPLICAS
from tests.support.command_line import Outcome, dss

POINTS = [point for point in FAULT_POINTS if point.startswith("purge: ")]
# From here on no read sees what is purged.
WITHHELD = "purge: withheld"
# The first one of a removal.
REMOVAL = "purge: blob found free"
DECLARING = POINTS[: POINTS.index(REMOVAL)]
REMOVING = POINTS[POINTS.index(REMOVAL) :]


def command(system: AdminSystem, *arguments: str, **env: str) -> Outcome:
    """Run an operator's command on this machine."""
    return dss({**system.env, "DSS_PURGE_GRACE_HOURS": "0", **env}, "admin", *arguments)


def previewed(system: AdminSystem, name: str, *options: str) -> str:
    """Return the code of a preview."""
    preview = command(system, "purge", name, "--reason", "withdrawn", *options, "--json")
    assert preview.code == 0, preview.err
    return str(preview.json["result"]["confirmation"])


def confirm(system: AdminSystem, name: str, code: str, *options: str, **env: str) -> Outcome:
    """Confirm a purge."""
    who = ("--email", "admin@example.org", "--confirmation", code, "--json")
    return command(system, "purge", name, "--reason", "withdrawn", *options, *who, **env)


def findings(system: AdminSystem, uuid: str) -> list[Finding]:
    """Return what an audit finds about a UUID."""
    found = audit(system.dss, list(system.dss.replicas), settled_after=timedelta(0), tally=Tally())
    return [finding for finding in found if uuid in finding.key]


def running(system: AdminSystem) -> list[AdminRun]:
    """Return the removals that say that they are running."""
    runs = system.dss.catalog.runs.newest(100)
    return [run for run in runs if (run.kind, run.state) == ("purge-removal", JobState.RUNNING)]


@pytest.fixture
def no_removals_left(system: AdminSystem) -> Iterator[None]:
    """Resume the removals that the test killed: a sweep starts no other meanwhile."""
    yield
    for run in running(system):
        assert command(system, "runs", "resume", run.id).code == 0
    assert running(system) == []


@pytest.fixture
def secret() -> str:
    """What must be nowhere once it is removed."""
    return new_uuid()


@pytest.fixture
def file(system: AdminSystem, secret: str) -> Version:
    """A file with the secret, on both replicas."""
    data = json.dumps({"donor": secret}).encode()
    file = put_file(system.api, system.clouds.stage("gcp", data, content_type="application/json"))
    system.replicate("gcp", f"files/{file}")
    return file


@pytest.fixture
def bundle(system: AdminSystem, file: Version) -> Iterator[Version]:
    """A bundle of that file, published on both replicas."""
    bundle = put_bundle(system.api, "gcp", [file.named("donor.json", indexed=True)])
    system.replicate("gcp", f"bundles/{bundle}")
    for replica in REPLICAS:
        system.publish_event(replica, f"bundles/{bundle}")
    return bundle


def statuses(api: Api, bundle: Version) -> set[int]:
    """Return the statuses of all ways to read a bundle."""
    path = f"/v1/bundles/{bundle.uuid}"
    return {
        api.get(path, replica=replica, version=version).status_code
        for replica in REPLICAS
        for version in (bundle.version, None)
    } | {api.get(f"/v1/events/{bundle.uuid}", replica="gcp", version=bundle.version).status_code}


def test_a_purge_is_not_in_effect_or_wholly(system: AdminSystem, bundle: Version) -> None:
    code = previewed(system, bundle.uuid)

    for point in DECLARING:
        killed = confirm(system, bundle.uuid, code, DSS_FAULT_POINT=point)
        assert killed.code == -9, f"{point!r} was not reached: {killed.err}"
        in_effect = POINTS.index(point) >= POINTS.index(WITHHELD)
        assert statuses(system.api, bundle) == ({410} if in_effect else {200}), point

    done = confirm(system, bundle.uuid, code)
    assert (done.code, done.json["counts"]["purged"]) == (0, 1), done.err
    assert statuses(system.api, bundle) == {410}
    assert command(system, "purge-removal", "--yes").code == 0
    records = system.dss.catalog.purges.of_uuid(bundle.uuid)
    assert [record.open for record in records] == [False] * (len(DECLARING) + 1)
    # A record stays when what it names is gone, and when another has replaced it.
    assert {key for key in system.clouds.keys("gcp", "purges/") if bundle.uuid in key} == {
        f"purges/{record.fqid}" for record in records
    }
    assert findings(system, bundle.uuid) == []


def test_a_record_that_the_catalog_does_not_expect_is_kept(system: AdminSystem, bundle: Version) -> None:
    code = previewed(system, bundle.uuid)
    assert confirm(system, bundle.uuid, code, DSS_FAULT_POINT="purge: object written").code == -9
    assert confirm(system, bundle.uuid, code).code == 0
    killed, counting = system.dss.catalog.purges.of_uuid(bundle.uuid)
    remove(system.dss, counting)

    [dark] = findings(system, bundle.uuid)

    assert (dark.kind, dark.key) == (Problem.DARK, f"purges/{killed.fqid}")
    assert "does not know that it is here" in dark.why
    assert repair(system.dss, dark).done == "taken into the catalog"
    assert system.clouds.keys("gcp", dark.key) == [dark.key]
    assert findings(system, bundle.uuid) == []
    assert statuses(system.api, bundle) == {410}


@pytest.mark.usefixtures("no_removals_left")
def test_a_removal_that_was_killed_is_finished_by_the_next(
    system: AdminSystem, bundle: Version, file: Version, secret: str
) -> None:
    code = previewed(system, bundle.uuid, "--with-files")
    assert confirm(system, bundle.uuid, code, "--with-files").json["counts"]["purged"] == 2

    for point in REMOVING:
        # What comes before, an earlier removal has done.
        killed = command(system, "purge-removal", "--yes", DSS_FAULT_POINT=point)
        assert killed.code == -9, f"{point!r} was not reached: {killed.err}"
        assert statuses(system.api, bundle) == {410}, point
        assert system.api.head(f"/v1/files/{file.uuid}", replica="aws").status_code == 410, point

    # A sweep waits for those that say that they are running, and not for ever.
    assert start_due_removals(system.dss) is False
    later = replace(system.dss, clock=ClockAhead(timedelta(hours=2)), workflows=LostWorkflows())
    assert start_due_removals(later) is True
    done = command(system, "purge-removal", "--yes", "--json")
    assert done.code == 0, done.err
    for replica in system.dss.replicas:
        left = [stored.key for stored in replica.store.list(replica.bucket, "")]
        about = [key for key in left if bundle.uuid in key or file.uuid in key]
        assert len(about) == 2 and all(key.startswith("purges/") for key in about), about
        for stored in replica.store.list(replica.bucket, ""):
            assert secret.encode() not in replica.store.read(stored, 0, stored.size).read()
    assert statuses(system.api, bundle) == {410}
    assert not {bundle.uuid, file.uuid} & {left.fqid.uuid for left in system.dss.catalog.purges.unfinished()}
    assert findings(system, bundle.uuid) + findings(system, file.uuid) == []


@pytest.mark.usefixtures("bundle")
def test_what_changed_since_the_preview_asks_again(system: AdminSystem, file: Version) -> None:
    code = previewed(system, file.uuid)
    other = put_bundle(system.api, "gcp", [file.named("again.json")])

    refused = confirm(system, file.uuid, code)

    assert (refused.code, "Nothing was purged" in refused.out) == (1, True)
    assert system.api.head(f"/v1/files/{file.uuid}", replica="gcp").status_code == 200
    assert previewed(system, file.uuid) != code
    stranger = command(
        system,
        "purge",
        file.uuid,
        "--reason",
        "withdrawn",
        "--email",
        "x@example.org",
        "--confirmation",
        code,
    )
    assert "ADMIN_USER_EMAILS" in stranger.err + stranger.out
    assert put_bundle(system.api, "gcp", [file.named("c.json")], bundle=Version(other.uuid, now()))
