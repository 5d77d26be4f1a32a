"""What a client asks of checkouts; a part of `dss.client.Client`."""

from typing import Any
from urllib.parse import quote

from dss.api.calls import Calls
from dss.api.transport import Backoff
from dss.clock import Deadline
from dss.errors import OperationFailed


class CheckoutCalls(Calls):
    """Checkouts: copies of a bundle's files under their names, in a bucket of the replica's cloud."""

    def checkout(
        self, uuid: str, version: str | None = None, *, bucket: str | None = None, email: str | None = None
    ) -> str:
        """Begin to check out a bundle version (the newest, unless given), and return the job's id.

        Into the DSS's checkout bucket, or into `bucket`, to which the DSS must have been given access.
        `email` is told how it ends. Who asks for the same again joins what is under way.
        """
        wanted = {"destination": bucket, "email": email}
        body = {name: value for name, value in wanted.items() if value is not None}
        call = self._call("POST", f"bundles/{quote(uuid)}/checkout", body, version=version)
        return str(self._answered(call)["checkout_job_id"])

    def checkout_status(self, job_id: str) -> dict[str, Any]:
        """Return how a checkout is getting on: `status`, counts and bytes, `location` or `cause`."""
        status: dict[str, Any] = self._answered(self._call("GET", f"bundles/checkout/{quote(job_id)}"))
        return status

    def wait_for_checkout(self, job_id: str, *, seconds: float = 3600.0) -> dict[str, Any]:
        """Return the status of a checkout when it has succeeded.

        Raises OperationFailed where it has failed, or is not done after so many seconds.
        """
        deadline = Deadline(self.clock, seconds)
        backoff = Backoff()
        while (status := self.checkout_status(job_id))["status"] == "RUNNING":
            pause = backoff.next()
            if pause >= deadline.remaining():
                raise OperationFailed(f"checkout {job_id} is not done after {seconds:.0f} s")
            self.clock.sleep(pause)
        if status["status"] != "SUCCEEDED":
            raise OperationFailed(f"checkout {job_id} failed: {status.get('cause', 'no cause is given')}")
        return status
