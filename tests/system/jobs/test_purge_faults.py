"""A kill between any two steps of a purge leaves nothing half-done to be seen, and a retry finishes it."""

import json
from collections.abc import Iterator

import pytest

from shared.faults import FAULT_POINTS
from tests.support.admin_system import AdminSystem
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
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


def test_a_removal_that_was_killed_is_finished_by_the_next(
    system: AdminSystem, bundle: Version, file: Version, secret: str
) -> None:
    code = previewed(system, bundle.uuid, "--with-files")
    assert confirm(system, bundle.uuid, code, "--with-files").json["counts"]["purged"] == 2

    for point in REMOVING:
        # What comes before, an earlier removal has done.
        killed = command(system, "purge-removal", DSS_FAULT_POINT=point)
        assert killed.code == -9, f"{point!r} was not reached: {killed.err}"
        assert statuses(system.api, bundle) == {410}, point
        assert system.api.head(f"/v1/files/{file.uuid}", replica="aws").status_code == 410, point

    done = command(system, "purge-removal", "--json")
    assert done.code == 0, done.err
    for replica in system.dss.replicas:
        left = [stored.key for stored in replica.store.list(replica.bucket, "")]
        about = [key for key in left if bundle.uuid in key or file.uuid in key]
        assert len(about) == 2 and all(key.startswith("purges/") for key in about), about
        for stored in replica.store.list(replica.bucket, ""):
            assert secret.encode() not in replica.store.read(stored, 0, stored.size).read()
    assert statuses(system.api, bundle) == {410}
    assert not list(system.dss.catalog.purges.unfinished())


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
