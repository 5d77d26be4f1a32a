"""`dss checkout` against the whole system on this machine."""

import json

import pytest

from dss.client import Client
from dss.errors import OperationFailed
from local.config import WRITER_EMAIL
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.checkouts import user_bucket
from tests.support.clouds import Clouds
from tests.support.command_line import dss_here


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


@pytest.fixture
def bundle(whole_system: dict[str, str], clouds: Clouds) -> Version:
    api = Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])
    return put_bundle(api, "gcp", [put_file(api, clouds.stage("gcp", b"content")).named("a.txt")])


def test_a_bundle_is_checked_out_and_waited_for(
    whole_system: dict[str, str], clouds: Clouds, bundle: Version
) -> None:
    bucket = user_bucket(clouds, "gcp")

    done = dss_here(whole_system, "checkout", bundle.uuid, "--to-bucket", bucket, "--wait")

    assert (done.code, done.out.strip()) == (0, f"gs://{bucket}/bundles/{bundle}")
    begun = dss_here(whole_system, "checkout", bundle.uuid, "--version", bundle.version, "--json")
    job = json.loads(begun.out)["checkout_job_id"]
    watched = dss_here(whole_system, "checkout", "--job", job, "--watch")
    shown = dss_here(whole_system, "checkout", "--job", job)
    assert (watched.code, watched.out.endswith(f"/bundles/{bundle}\n")) == (0, True)
    assert (shown.code, shown.out) == (0, f"SUCCEEDED: {watched.out}")


def test_who_lacks_a_proof_or_a_token_learns_what_to_do(
    whole_system: dict[str, str], clouds: Clouds, bundle: Version
) -> None:
    bucket = user_bucket(clouds, "gcp", allows=None)
    command = ("checkout", bundle.uuid, "--to-bucket", bucket)

    unproved, stranger = (
        dss_here(whole_system, *command),
        dss_here({**whole_system, "DSS_TOKEN": ""}, *command),
    )

    assert (unproved.code, stranger.code) == (4, 4)
    hint = f"Put an object gs://{bucket}/.dss-checkout-allowed there, a text with the line {WRITER_EMAIL}"
    assert hint in unproved.err
    assert "set DSS_TOKEN" in stranger.err


def test_a_failed_checkout_says_why(whole_system: dict[str, str], bundle: Version) -> None:
    bucket = f"no-{new_uuid()}"

    failed = dss_here(whole_system, "checkout", bundle.uuid, "--to-bucket", bucket, "--wait")

    assert failed.code == 1
    assert f"{bucket}: no such bucket" in failed.err


def test_a_job_is_shown_or_a_bundle_copied_but_not_both(whole_system: dict[str, str]) -> None:
    assert dss_here(whole_system, "checkout", "--job", new_uuid()).code == 3
    assert dss_here(whole_system, "checkout").code == 2
    assert dss_here(whole_system, "checkout", new_uuid(), "--job", new_uuid()).code == 2


def test_the_library_checks_out_and_waits(whole_system: dict[str, str], bundle: Version) -> None:
    client = Client(whole_system["DSS_URL"], replica="gcp")

    done = client.checkout(bundle.uuid, email="ada@example.org").wait()

    assert (done.status, done.details["files_done"]) == ("SUCCEEDED", 1)
    assert done.location.endswith(f"/bundles/{bundle}")
    with pytest.raises(OperationFailed, match="not done after 0 s"):
        client.checkout(bundle.uuid).wait(seconds=0)
