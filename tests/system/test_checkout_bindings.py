"""What is bound, or loses files for good, while it is checked out: the job fails, and no copies stay."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from shared.bindings import change_binding
from shared.catalog import Binding, CheckoutJob, CheckoutOrder, JobState, PageProgress
from shared.checkouts.objects import copies_of_bundle, put_copy
from shared.checkouts.sharing import check_large_copy
from shared.checkouts.steps import CheckoutStep
from shared.copying.steps import CopyStep
from shared.errors import CheckoutFailed
from shared.identifiers import Fqid, Kind
from tests.support.api import Version, new_uuid, put_bundle, put_file, put_large_file
from tests.support.checkout_harness import (
    INLINE_BYTES,
    Harness,
    LostWorkflows,
    before,
    checkout_harness,
    two_page_bundle,
)
from tests.support.checkouts import user_bucket
from tests.support.copies import distinct_bytes
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def rig(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """The processes that checkouts need."""
    with checkout_harness(stack, tmp_path_factory.mktemp("checkouts")) as found:
        yield found


@pytest.fixture
def bundle(rig: Harness, replica: str) -> Version:
    """A bundle of two files that no other has."""
    files = [put_file(rig.api, rig.clouds.stage(replica, new_uuid().encode())) for _ in range(2)]
    return put_bundle(rig.api, replica, [file.named(f"{n}.bin") for n, file in enumerate(files)])


@pytest.fixture
def two_pages(rig: Harness, replica: str) -> Version:
    """A bundle of so many files, of one that no other has, that each page of them is a step."""
    return two_page_bundle(rig, replica, [new_uuid().encode()])


def bind(rig: Harness, uuid: str) -> None:
    def to_lab(before: Binding) -> Binding:
        return dataclasses.replace(before, readers=frozenset(("lab",)))

    change_binding(rig.dss, uuid, "operator@example.org", to_lab)


def shared_copies(rig: Harness, replica: str, bundle: Version) -> list[str]:
    store = rig.dss.replicas.named(replica).store
    return [one.key for one in store.list(rig.clouds.checkout[replica], f"bundles/{bundle}/")]


@pytest.mark.parametrize("step", ["page", "finish"])
@pytest.mark.parametrize("replica", ["gcp"])
def test_what_is_bound_in_the_middle_fails_the_job_and_leaves_the_shared_bucket(
    rig: Harness, replica: str, two_pages: Version, step: str
) -> None:
    job = rig.check_out(replica, two_pages, before(step, lambda: bind(rig, two_pages.uuid)))

    wait_until(lambda: (ended := the_job(rig, job)).state is not JobState.RUNNING and ended, "it ends")
    ended = the_job(rig, job)
    assert (ended.state, ended.readers) == (JobState.FAILED, frozenset(("lab",)))
    assert f"{two_pages} is managed" in ended.cause
    # The step of another page may be at work still, and looks again at its end.
    wait_until(lambda: not shared_copies(rig, replica, two_pages), "no copies are left")


def the_job(rig: Harness, job_id: str) -> CheckoutJob:
    job = rig.dss.catalog.checkouts.get(job_id)
    assert job
    return job


def new_job(rig: Harness, replica: str, bundle: Version, bucket: str = "") -> CheckoutJob:
    """Return a job on which no workflow works."""
    order = CheckoutOrder(
        kind=Kind.BUNDLE,
        fqid=Fqid(bundle.uuid, bundle.version),
        replica=replica,
        bucket=bucket or rig.clouds.checkout[replica],
    )
    return rig.dss.catalog.checkouts.begin(order, at_most=1000)


@pytest.mark.parametrize(("name", "numbers"), [("plan", []), ("page", [0])])
@pytest.mark.parametrize("replica", ["gcp"])
def test_copies_made_while_it_is_bound_are_removed_by_who_made_them(
    rig: Harness, replica: str, bundle: Version, name: str, numbers: Sequence[int]
) -> None:
    job = new_job(rig, replica, bundle)
    step = CheckoutStep(rig.dss, job.id, job.attempt)
    copy_files = step._copy

    def bind_then_copy(*args: Any) -> Iterator[PageProgress]:
        bind(rig, bundle.uuid)
        yield from copy_files(*args)
        assert len(shared_copies(rig, replica, bundle)) == 2

    step._copy = bind_then_copy  # type: ignore[method-assign]
    with pytest.raises(CheckoutFailed, match="is managed"):
        getattr(step, name)(*numbers)

    assert shared_copies(rig, replica, bundle) == []


@pytest.mark.parametrize("replica", ["gcp"])
def test_an_aborted_job_leaves_no_copies_of_what_was_bound_meanwhile(
    rig: Harness, replica: str, bundle: Version
) -> None:
    job = new_job(rig, replica, bundle)
    bind(rig, bundle.uuid)
    # As a step that was killed before it looked again.
    rig.clouds.stage(replica, b"left", bucket=job.order.bucket, key=f"bundles/{bundle}/0.bin")

    assert CheckoutStep(rig.dss, job.id, job.attempt).abort("killed") == {"state": "FAILED"}

    assert shared_copies(rig, replica, bundle) == []


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_large_copy_that_arrives_after_a_binding_is_removed(rig: Harness, replica: str) -> None:
    source = rig.clouds.stage(replica, distinct_bytes(INLINE_BYTES + 3))
    file = put_large_file(rig.api, source, replica)
    bundle = put_bundle(rig.api, replica, [file.named("0.bin")])
    where = rig.dss.replicas.named(replica)
    head = rig.dss.catalog.bundles.head(Fqid(bundle.uuid, bundle.version))
    assert head
    files = rig.dss.catalog.bundles.files(head, 0, 1)
    [copy] = copies_of_bundle(where, where.checkout_bucket, head.fqid, files)
    lost = dataclasses.replace(rig.dss, workflows=LostWorkflows())  # type: ignore[arg-type]
    job_id = put_copy(lost, copy, None)
    assert job_id
    bind(rig, bundle.uuid)

    CopyStep(rig.dss, job_id, 1).plan()
    CopyStep(rig.dss, job_id, 1).batch(0)
    with pytest.raises(CheckoutFailed, match="is managed"):
        CopyStep(rig.dss, job_id, 1, check_large_copy).finish()

    assert shared_copies(rig, replica, bundle) == []


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_checkout_to_an_own_bucket_ends_where_its_readers_change(
    rig: Harness, replica: str, bundle: Version
) -> None:
    job = new_job(rig, replica, bundle, user_bucket(rig.clouds, replica))
    bind(rig, bundle.uuid)
    with pytest.raises(CheckoutFailed, match="has changed since the checkout was asked for"):
        CheckoutStep(rig.dss, job.id, job.attempt).plan()

    # Who asks again, as one of those who may read it by now, gets it.
    rig.dss.catalog.checkouts.end(job, JobState.FAILED)
    again = rig.dss.catalog.checkouts.begin(job.order, at_most=1000, readers=frozenset(("lab",)))
    planned = CheckoutStep(rig.dss, again.id, again.attempt).plan()
    assert planned == {"over": False, "pages": 0, "state": "SUCCEEDED"}


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_job_that_begins_after_a_binding_follows_it(rig: Harness, replica: str, bundle: Version) -> None:
    bind(rig, bundle.uuid)

    # By a request that had read the head before.
    job = new_job(rig, replica, bundle, user_bucket(rig.clouds, replica))

    assert (job.readers, job.asked) == (frozenset(("lab",)), frozenset())


@pytest.mark.parametrize("replica", ["gcp"])
def test_a_bundle_that_loses_files_in_the_middle_fails_the_job(
    rig: Harness, replica: str, two_pages: Version
) -> None:
    job = new_job(rig, replica, two_pages, user_bucket(rig.clouds, replica))
    CheckoutStep(rig.dss, job.id, job.attempt).plan()
    rig.dss.catalog.bindings.expect_to_lack_files(job.order.fqid)

    with pytest.raises(CheckoutFailed, match="were removed for good"):
        CheckoutStep(rig.dss, job.id, job.attempt).page(0)
