"""What a checkout bucket has expires some days after its last use, unless it is kept for good."""

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from shared.checkouts.objects import CheckoutCopy, copy_of_file, find_copies, put_copy
from shared.checkouts.sharing import cache_file
from shared.clock import SystemClock
from shared.errors import NotFound
from shared.identifiers import Fqid
from shared.setting_values import CacheCriterion
from shared.stores.s3.temporary import TAG
from shared.system import Dss
from tests.support.api import Api, new_uuid, put_file
from tests.support.clouds import Clouds
from tests.support.dss import open_dss
from tests.support.waiting import wait_until

DAY = timedelta(days=1)


class Held:
    """A clock that a test holds."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead

    def sleep(self, seconds: float) -> None:
        SystemClock().sleep(seconds)


@pytest.fixture(scope="module")
def dss(stack: dict[str, str]) -> Iterator[Dss]:
    """The system's dependencies; JSON of at most 100 bytes is kept for good."""
    with open_dss(stack) as found:
        criteria = (CacheCriterion(type="application/json", max_size=100),)
        settings = dataclasses.replace(found.settings, checkout_cache_criteria=criteria)
        yield dataclasses.replace(found, settings=settings)


@pytest.fixture
def clock() -> Held:
    return Held()


def cached(dss: Dss, api: Api, clouds: Clouds, replica: str, data: bytes, content_type: str) -> CheckoutCopy:
    """Return the copy of a new file in the checkout bucket."""
    file = put_file(api, clouds.stage(replica, data, content_type=content_type))
    record = dss.catalog.files.get(Fqid(file.uuid, file.version))
    assert record
    assert cache_file(dss, replica, record) is None
    where = dss.replicas.named(replica)
    return copy_of_file(where, where.checkout_bucket, record)


def is_current(dss: Dss, wanted: CheckoutCopy) -> bool:
    return wanted.is_current(find_copies([wanted])[wanted.key], dss)


def test_a_copy_is_handed_out_for_seven_days_and_renewed_after_that(
    dss: Dss, api: Api, clouds: Clouds, replica: str, clock: Held
) -> None:
    held = dataclasses.replace(dss, clock=clock)
    wanted = cached(held, api, clouds, replica, new_uuid().encode(), "text/plain")
    before = find_copies([wanted])[wanted.key]

    clock.ahead = 7 * DAY - timedelta(minutes=5)
    assert is_current(held, wanted)
    clock.ahead = 7 * DAY + timedelta(minutes=5)
    assert not is_current(held, wanted)

    def renewed() -> bool:
        assert put_copy(held, wanted, find_copies([wanted])[wanted.key]) is None
        after = find_copies([wanted])[wanted.key]
        assert before.last_used and after.last_used
        # S3 counts by its own clock, in whole seconds.
        return after.last_used > before.last_used

    wait_until(renewed, "it is renewed")
    if replica == "gcp":
        assert is_current(held, wanted)


def test_what_meets_the_criteria_is_kept_and_the_rest_is_not(
    dss: Dss, api: Api, clouds: Clouds, replica: str, clock: Held
) -> None:
    held = dataclasses.replace(dss, clock=clock)
    small, large = f'"{new_uuid()}"'.encode(), f'"{new_uuid() * 4}"'.encode()
    kept = cached(held, api, clouds, replica, small, "Application/JSON; charset=utf-8")
    others = [
        cached(held, api, clouds, replica, large, "application/json"),
        cached(held, api, clouds, replica, new_uuid().encode(), "text/plain"),
    ]

    clock.ahead = 1000 * DAY

    assert is_current(held, kept)
    assert find_copies([kept])[kept.key].last_used is None
    assert not any(is_current(held, other) for other in others)


def test_what_is_kept_no_longer_or_from_now_on_changes_when_it_is_used(
    dss: Dss, api: Api, clouds: Clouds, clock: Held
) -> None:
    held = dataclasses.replace(dss, clock=clock)
    none = dataclasses.replace(held, settings=dataclasses.replace(dss.settings, checkout_cache_criteria=()))
    wanted = cached(held, api, clouds, "gcp", f'"{new_uuid()}"'.encode(), "application/json")
    clock.ahead = 8 * DAY

    for now, expires in ((none, True), (held, True)):
        put_copy(now, wanted, find_copies([wanted])[wanted.key])
        assert bool(find_copies([wanted])[wanted.key].last_used) == expires
    clock.ahead = 16 * DAY
    put_copy(held, wanted, find_copies([wanted])[wanted.key])
    assert find_copies([wanted])[wanted.key].last_used is None


def test_only_what_a_replica_has_is_cached(dss: Dss, api: Api, clouds: Clouds) -> None:
    file = put_file(api, clouds.stage("gcp", new_uuid().encode()))
    record = dss.catalog.files.get(Fqid(file.uuid, file.version))
    assert record
    with pytest.raises(NotFound, match=file.uuid):
        cache_file(dss, "aws", record)


def test_the_local_buckets_have_the_rules_that_terraform_makes(dss: Dss, clouds: Clouds) -> None:
    gcs = clouds.gcs.get_bucket(clouds.checkout["gcp"])
    s3 = clouds.s3.get_bucket_lifecycle_configuration(Bucket=clouds.checkout["aws"])

    days = dss.settings.checkout_days
    assert [rule["condition"] for rule in gcs.lifecycle_rules] == [{"daysSinceCustomTime": days}]
    [rule] = s3["Rules"]
    assert (rule["Expiration"]["Days"], rule["Filter"]["Tag"]) == (
        days,
        dict(zip(("Key", "Value"), TAG, strict=True)),
    )
