"""Calls about checkouts: copies of a bundle's files under their names, in a bucket of the replica's cloud."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from dss.api.session import Session
from dss.api.transport import Backoff
from dss.clock import Deadline
from dss.errors import OperationFailed
from dss.progress import Phase

RUNNING, SUCCEEDED = "RUNNING", "SUCCEEDED"


class Checkout:
    """A checkout: its `id`, and what the DSS says of it::

        checkout = client.checkout(uuid)
        print(checkout.wait().location)

    It can be pickled; `client.find_checkout(id)` returns it again from its id alone.
    """

    def __init__(self, session: Session, job_id: str) -> None:
        self.id = job_id
        self._session = session
        self._details: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Checkout {self.id}: {self._details.get('status', 'not asked for yet')}>"

    @property
    def details(self) -> Mapping[str, Any]:
        """What the DSS says: `status`, `files`, `files_done`, `bytes`, `bytes_done`, `location` or `cause`.

        The DSS is asked each time, until the checkout has ended.
        """
        if self._details.get("status", RUNNING) == RUNNING:
            self._details = checkout_status(self._session, self.id)
        return self._details

    @property
    def status(self) -> str:
        """RUNNING, SUCCEEDED or FAILED. The DSS is asked each time, until the checkout has ended."""
        return str(self.details["status"])

    @property
    def location(self) -> str:
        """The `gs://` or `s3://` URL of the copies. Raises OperationFailed unless it has succeeded."""
        details = self.details
        if details["status"] == RUNNING:
            raise OperationFailed(f"checkout {self.id} is not done; wait() returns when it is")
        if details["status"] != SUCCEEDED:
            cause = details.get("cause", "the DSS gives no cause")
            raise OperationFailed(f"checkout {self.id} failed: {cause}")
        return str(details["location"])

    def wait(
        self,
        *,
        seconds: float = 3600.0,
        notify: Callable[[Mapping[str, Any]], None] | None = None,
        progress: Phase | None = None,
    ) -> "Checkout":
        """Return this checkout as soon as it has succeeded; call `notify` with each of its `details`.

        `progress` shows how far it has come. Raises OperationFailed if it has failed, or is not done after so
        many seconds.
        """
        deadline, backoff = Deadline(self._session.clock, seconds), Backoff()
        while (details := self.details)["status"] == RUNNING:
            if notify:
                notify(details)
            _show(details, progress)
            pause = backoff.next()
            if pause >= deadline.remaining():
                raise OperationFailed(f"checkout {self.id} is not done after {seconds:.0f} s")
            self._session.clock.sleep(pause)
        # Raises if it has failed.
        _ = self.location
        _show(details, progress)
        return self


def _show(details: Mapping[str, Any], progress: Phase | None) -> None:
    if progress is None:
        return
    progress.expect(items=details.get("files"), size=details.get("bytes"))
    done = progress.done
    items, size = details.get("files_done", 0), details.get("bytes_done", 0)
    progress.advance(items=items - done.items, size=size - done.size)


def checkout(
    session: Session, uuid: str, version: str | None, *, bucket: str | None, email: str | None
) -> Checkout:
    """Start a checkout of a bundle version, or join the one that runs."""
    options = {"destination": bucket, "email": email}
    body = {name: value for name, value in options.items() if value is not None}
    call = session.call("POST", f"bundles/{quote(uuid)}/checkout", body, version=version)
    return Checkout(session, str(session.answer_json(call, has="checkout_job_id")["checkout_job_id"]))


def checkout_status(session: Session, job_id: str) -> dict[str, Any]:
    """Return a checkout's `status`, counts and bytes, and its `location` or `cause`."""
    status: dict[str, Any] = session.answer_json(
        session.call("GET", f"bundles/checkout/{quote(job_id)}"), has="status"
    )
    return status
