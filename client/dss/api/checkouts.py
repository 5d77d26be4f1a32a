"""Calls about checkouts: copies of a bundle's files under their names, in a bucket of the replica's cloud."""

from typing import Any
from urllib.parse import quote

from dss.api.session import Session
from dss.api.transport import Backoff
from dss.clock import Deadline
from dss.errors import OperationFailed


def checkout(
    session: Session, uuid: str, version: str | None, *, bucket: str | None, email: str | None
) -> str:
    """Start a checkout of a bundle version, or join the one that runs, and return the job's id."""
    options = {"destination": bucket, "email": email}
    body = {name: value for name, value in options.items() if value is not None}
    call = session.call("POST", f"bundles/{quote(uuid)}/checkout", body, version=version)
    return str(session.answer_json(call, has="checkout_job_id")["checkout_job_id"])


def checkout_status(session: Session, job_id: str) -> dict[str, Any]:
    """Return a checkout's `status`, counts and bytes, and its `location` or `cause`."""
    status: dict[str, Any] = session.answer_json(
        session.call("GET", f"bundles/checkout/{quote(job_id)}"), has="status"
    )
    return status


def wait_for_checkout(session: Session, job_id: str, *, seconds: float) -> dict[str, Any]:
    """Return the status of a checkout once it has succeeded.

    Raises OperationFailed if it has failed, or is not done after so many seconds.
    """
    deadline = Deadline(session.clock, seconds)
    backoff = Backoff()
    while (status := checkout_status(session, job_id))["status"] == "RUNNING":
        pause = backoff.next()
        if pause >= deadline.remaining():
            raise OperationFailed(f"checkout {job_id} is not done after {seconds:.0f} s")
        session.clock.sleep(pause)
    if status["status"] != "SUCCEEDED":
        raise OperationFailed(f"checkout {job_id} failed: {status.get('cause', 'the DSS gives no cause')}")
    return status
