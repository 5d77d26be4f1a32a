"""Check named bundles and files out into the shared checkout buckets, look at the copies, and remove them."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from dss.commands.context import Context
from run.admin.looks import Outcome, named, report_outcomes
from run.admin.operator import operator_settings, replicas_named
from shared.catalog import CheckoutOrder, JobState
from shared.checkouts.jobs import find_job, request_checkout
from shared.checkouts.objects import CheckoutContent
from shared.errors import DssError, TooManyUnderWay
from shared.maintenance.checkout_copies import CopyState, look_at_copies, order_of, remove_copies
from shared.system import Dss
from shared.wiring import open_system

# Seconds between two looks at a job.
_POLL_SECONDS = 1.0
# Jobs that are begun before the first of them is waited for.
_AT_ONCE = 16


def add(
    context: Context,
    keys: Sequence[str],
    list_: Path | None,
    *,
    names: Sequence[str],
    wait: float,
    dry_run: bool,
) -> int:
    """Have bundles and files checked out. Return 1 if one is refused or has failed, else 0."""
    with operator_settings() as settings, named(keys, list_) as given:
        dss = open_system(settings)
        orders = (order_of(replica, key) for key in given for replica in replicas_named(dss, names))
        ends = time.monotonic() + wait
        return report_outcomes(context, _added(dss, orders, ends, dry_run=dry_run), dry_run=dry_run)


def _added(dss: Dss, orders: Iterator[CheckoutOrder], ends: float, *, dry_run: bool) -> Iterator[Outcome]:
    begun: list[tuple[CheckoutOrder, str]] = []
    for order in orders:
        try:
            content = CheckoutContent(dss, order)
            if dry_run:
                yield _outcome(order, "would be checked out", f"{content.files:,} files", is_right=True)
                continue
            begun.append((order, _begun(dss, order, ends)))
        except DssError as error:
            yield _outcome(order, "refused", error.title)
        if len(begun) >= _AT_ONCE:
            yield _ended(dss, *begun.pop(0), ends)
    for order, job_id in begun:
        yield _ended(dss, order, job_id, ends)


def _begun(dss: Dss, order: CheckoutOrder, ends: float) -> str:
    """Return the id of a job, once it may begin. Raises TooManyUnderWay if it may not in time."""
    while True:
        try:
            return request_checkout(dss, order).id
        except TooManyUnderWay:
            if time.monotonic() >= ends:
                raise
            dss.clock.sleep(_POLL_SECONDS)


def _ended(dss: Dss, order: CheckoutOrder, job_id: str, ends: float) -> Outcome:
    while (job := find_job(dss, order.replica, job_id)).state is JobState.RUNNING and time.monotonic() < ends:
        dss.clock.sleep(_POLL_SECONDS)
    if job.state is JobState.FAILED:
        return _outcome(order, "failed", job.cause)
    if job.state is JobState.SUCCEEDED:
        return _outcome(order, "checked out", job.location, is_right=True)
    return _outcome(order, "running", f"checkout {job_id}", is_right=True)


def verify(
    context: Context, keys: Sequence[str], list_: Path | None, *, names: Sequence[str], report: Path | None
) -> int:
    """Say what the copies of bundles and files are. Return 1 if one is not right, else 0."""
    with operator_settings() as settings, named(keys, list_) as given:
        dss = open_system(settings)
        orders = (order_of(replica, key) for key in given for replica in replicas_named(dss, names))
        outcomes = (outcome for order in orders for outcome in _verified(dss, order))
        return report_outcomes(context, outcomes, report)


def _verified(dss: Dss, order: CheckoutOrder) -> Iterator[Outcome]:
    try:
        for look in look_at_copies(dss, order):
            right = look.state is CopyState.RIGHT
            yield _outcome(order, str(look.state), "" if right else look.copy.url, is_right=right)
    except DssError as error:
        yield _outcome(order, "refused", error.title)


def remove(
    context: Context, keys: Sequence[str], list_: Path | None, *, names: Sequence[str], dry_run: bool
) -> int:
    """Remove the copies of bundles and files. Return 1 if some could not be, else 0."""
    with operator_settings() as settings, named(keys, list_) as given:
        dss = open_system(settings)
        orders = (order_of(replica, key) for key in given for replica in replicas_named(dss, names))
        outcomes = map(partial(_removed, dss, dry_run=dry_run), orders)
        return report_outcomes(context, outcomes, dry_run=dry_run)


def _removed(dss: Dss, order: CheckoutOrder, *, dry_run: bool) -> Outcome:
    try:
        count = remove_copies(dss, order, dry_run=dry_run)
    except DssError as error:
        return _outcome(order, "failed", error.title)
    state = "would be removed" if dry_run else "removed"
    return _outcome(order, state if count else "absent", f"{count:,} objects", is_right=True)


def _outcome(order: CheckoutOrder, state: str, why: str, *, is_right: bool = False) -> Outcome:
    key = f"{order.kind}/{order.fqid}"
    return Outcome(key=key, replica=order.replica, state=state, why=why, is_right=is_right)
