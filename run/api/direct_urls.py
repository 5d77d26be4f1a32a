"""URLs of copies in the checkout bucket; 301 with `Retry-After` and `token` while the copies are being made.

A token names a checkout. Whoever comes back with one learns how that ended: a checkout that has failed is an
error, and is not begun once more behind a client that can only go round. One that has succeeded, of which
something was removed since, is begun anew once.
"""

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import Response

from run.api.call import Call
from shared.catalog import CheckoutJob, CheckoutOrder, JobState
from shared.checkouts.jobs import request_checkout
from shared.checkouts.objects import CheckoutCopy, find_copies
from shared.errors import CheckoutFailed, IllegalToken, ReadOnly

# What the clients of the v1 interface wait.
_RETRY_SECONDS = 10
# An attempt that ended longer ago tells nothing of what is there now: a token may be kept for weeks.
_LATELY = timedelta(hours=1)


@dataclass(frozen=True)
class _Token:
    """The job that is waited for, and whether it was begun anew for who waits."""

    job_id: str
    begun_anew: bool = False

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.job_id} {self.begun_anew:d}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> "_Token":
        """Return what a token says. Raises IllegalToken."""
        try:
            job_id, begun_anew = base64.b64decode(text, altchars=b"-_", validate=True).decode().split(" ")
            return cls(str(uuid.UUID(job_id)), bool(int(begun_anew)))
        except (binascii.Error, ValueError) as error:
            raise IllegalToken(f"token: {text[:80]!r} was not given out by this system") from error


def check_token(token: str | None) -> None:
    """Raise IllegalToken for a token that this system never gave out."""
    if token is not None:
        _Token.parse(token)


def checkout_first(
    call: Call, order: CheckoutOrder, wanted: Sequence[CheckoutCopy], token: str | None
) -> Response | None:
    """Return None where all these copies can be handed out now, else the answer that they are being made.

    They are looked for by one request of the store for each thousand. Raises IllegalToken for a token of
    something else, CheckoutFailed where the checkout that it names has come to no good end, and ReadOnly
    where none may be begun.
    """
    # Before the look at the store: a checkout that ends in between is no failure.
    said = _Token.parse(token) if token is not None else _Token(order.job_id)
    job = _named(call, order, said) if token is not None else None
    there = find_copies(wanted)
    if all((found := there.get(one.key)) and one.is_current(found, call.dss) for one in wanted):
        return None
    if job and job.state is JobState.SUCCEEDED:
        if said.begun_anew:
            raise CheckoutFailed(f"the checkout of {order.fqid} was done twice, and some of it is not there")
        job, said = None, _Token(order.job_id, begun_anew=True)
    if job and job.state is JobState.FAILED:
        raise CheckoutFailed(f"the checkout of {order.fqid} failed: {job.cause}")
    if job is None or not job.execution:
        if call.dss.settings.read_only_mode:
            raise ReadOnly("this deployment takes no writes at present, and a checkout is one")
        request_checkout(call.dss, order)
    headers = {
        "Location": call.url(token=str(said), version=order.fqid.version),
        "Retry-After": str(_RETRY_SECONDS),
    }
    return Response(status=301, headers=headers, mimetype="application/json")


def _named(call: Call, order: CheckoutOrder, token: _Token) -> CheckoutJob | None:
    """Return the job that a token names; None where it ended long ago."""
    if token.job_id != order.job_id:
        raise IllegalToken(f"token: {str(token)!r} was not given out for this request")
    job = call.dss.catalog.checkouts.get(order.job_id)
    if job is None or (job.state is not JobState.RUNNING and job.touched < call.dss.clock.now() - _LATELY):
        return None
    return job
