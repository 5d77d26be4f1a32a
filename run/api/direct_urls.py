"""URLs of copies in the checkout bucket; 301 with `Retry-After` and `token` until the copies exist.

A token names a checkout job, and a request with a token reports how that job ended. A failed checkout is an
error; it does not start again behind a client that would only poll for ever. If a checkout succeeded and a
copy was deleted since, it starts again once.
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
from shared.errors import CheckoutFailed, IllegalToken

# What clients of the v1 interface expect.
_RETRY_SECONDS = 10
# Tokens may be weeks old. A job that ended longer ago says nothing about the copies of today.
_RECENT = timedelta(hours=1)


@dataclass(frozen=True)
class _Token:
    """A checkout job, and whether it was started a second time for this client."""

    job_id: str
    restarted: bool = False

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.job_id} {self.restarted:d}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> "_Token":
        """Parse a token. Raise IllegalToken."""
        try:
            job_id, restarted = base64.b64decode(text, altchars=b"-_", validate=True).decode().split(" ")
            return cls(str(uuid.UUID(job_id)), bool(int(restarted)))
        except (binascii.Error, ValueError) as error:
            raise IllegalToken(f"token: {text[:80]!r} is not a token of this system") from error


def check_token(token: str | None) -> None:
    """Raise IllegalToken if this system did not make the token."""
    if token is not None:
        _Token.parse(token)


def checkout_first(
    call: Call, order: CheckoutOrder, wanted: Sequence[CheckoutCopy], token: str | None
) -> Response | None:
    """Return None if all these copies exist, else start their checkout and return a redirect to this request.

    Cost: one request of the store for each thousand copies. Raise IllegalToken if the token is another
    request's, CheckoutFailed if its checkout failed, and ReadOnly if none may start.
    """
    # Read the job before the store: if a checkout ends in between, that is not a failure.
    current = _Token.parse(token) if token is not None else _Token(order.job_id)
    job = _named(call, order, current) if token is not None else None
    existing = find_copies(wanted)
    if all((copy := existing.get(one.key)) and one.is_current(copy, call.dss) for one in wanted):
        return None
    if job and job.state is JobState.SUCCEEDED:
        if current.restarted:
            raise CheckoutFailed(f"the checkout of {order.fqid} was done twice, and copies are missing again")
        job, current = None, _Token(order.job_id, restarted=True)
    if job and job.state is JobState.FAILED:
        raise CheckoutFailed(f"the checkout of {order.fqid} failed: {job.cause}")
    if job is None or not job.execution:
        call.dss.switches.check_writes(what="a checkout")
        call.writes()
        request_checkout(call.dss, order, requester=call.requester())
    headers = {
        "Location": call.url(token=str(current), version=order.fqid.version),
        "Retry-After": str(_RETRY_SECONDS),
    }
    return Response(status=301, headers=headers, mimetype="application/json")


def _named(call: Call, order: CheckoutOrder, token: _Token) -> CheckoutJob | None:
    """Return the job of a token; None if it ended long ago."""
    if token.job_id != order.job_id:
        raise IllegalToken(f"token: {str(token)!r} is a token of another request")
    job = call.dss.catalog.checkouts.get(order.job_id)
    if job is None or (job.state is not JobState.RUNNING and job.touched < call.dss.clock.now() - _RECENT):
        return None
    return job
