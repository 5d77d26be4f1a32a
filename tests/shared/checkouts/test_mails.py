"""However many checkouts are asked for, and by whom, an address gets only so many mails a day."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.catalog import CheckoutJob, CheckoutOrder, JobState
from shared.checkouts.jobs import request_checkout
from shared.checkouts.mails import send_result_mails
from shared.errors import IllegalArguments
from shared.identifiers import Fqid, Kind
from shared.system import Dss
from tests.shared.test_mail import Server, serving
from tests.support.api import new_uuid, now
from tests.support.checkout_harness import ClockAhead, LostWorkflows
from tests.support.dss import open_dss


@pytest.fixture
def server() -> Iterator[tuple[Server, dict[str, Any]]]:
    with serving() as (kept, settings):
        names = ("smtp_host", "smtp_port", "smtp_tls", "smtp_sender")
        yield kept, {name: getattr(settings, name) for name in names}


@pytest.fixture
def dss(stack: dict[str, str], server: tuple[Server, dict[str, Any]]) -> Iterator[Dss]:
    """Dependencies of which an address gets two mails a day, and whose workflows do nothing."""
    with open_dss(stack) as found:
        settings = replace(found.settings, mails_a_day=2, **server[1])
        yield replace(found, settings=settings, workflows=LostWorkflows())  # type: ignore[arg-type]


def order() -> CheckoutOrder:
    return CheckoutOrder(kind=Kind.BUNDLE, fqid=Fqid(new_uuid(), now()), replica="gcp", bucket="b")


def ended(dss: Dss, address: str) -> CheckoutJob:
    """Return a new checkout that has ended, and about which an address is to get a mail."""
    dss.catalog.checkouts.end(request_checkout(dss, (wanted := order()), address), JobState.SUCCEEDED)
    job = dss.catalog.checkouts.get(wanted.job_id)
    assert job and job.emails == (address,)
    return job


def test_an_address_gets_so_many_mails_a_day_and_the_others_are_struck_off(
    dss: Dss, server: tuple[Server, dict[str, Any]]
) -> None:
    address, kept = f"{new_uuid()}@example.org", server[0]
    first, second = ended(dss, address), ended(dss, address.upper())
    third, others = ended(dss, address), ended(dss, f"other-{address}")

    sent = [send_result_mails(dss, job) for job in (first, first, second, third, others)]

    assert sent == [1, 1, 1, 0, 1]
    # What is sent again is not counted again: a kill after the mail and before the note does that.
    assert len(kept.mails) == 4 and len({mail["Message-ID"] for _, _, mail in kept.mails}) == 3
    there = dss.catalog.checkouts.get(third.id)
    assert there and there.emails == ()
    assert third.id not in {job.id for job in dss.catalog.checkouts.with_mail_due()}
    dss.catalog.database.clock = ClockAhead(timedelta(days=1))
    assert send_result_mails(dss, third) == 1


def test_at_most_a_hundred_addresses_get_a_mail_about_a_checkout(dss: Dss) -> None:
    wanted = order()
    job = request_checkout(dss, wanted, "0@example.org")
    document = dss.catalog.database.client.collection("checkout_jobs").document(job.id)
    document.update({"emails": [f"{n}@example.org" for n in range(99)]})

    assert len(request_checkout(dss, wanted, "99@example.org").emails) == 100
    with pytest.raises(IllegalArguments, match="email: 100 addresses"):
        request_checkout(dss, wanted, "one-more@example.org")
    assert len(request_checkout(dss, wanted, "5@example.org").emails) == 100
    assert request_checkout(dss, wanted).state is JobState.RUNNING
    document.delete()
