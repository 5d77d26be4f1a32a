"""Checkout of a bundle into a bucket of one's own: begun by a form, and watched to its end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any
from urllib.parse import urlencode

from flask import request

from run.api import checkout
from run.api.call import Call
from run.browse.finding import find_bundle_anywhere
from run.browse.operations import HOME
from run.browse.parameters import Parameters
from shared.access.buckets import PROOF_KEY
from shared.catalog import BundleHead
from shared.errors import IllegalArguments

PATH = f"{HOME}/checkouts"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The bundle version that is to be checked out, the replica that it is on, and that cloud's scheme."""

    head: BundleHead
    replica: str
    scheme: str

    @property
    def query(self) -> str:
        """What names it in an address."""
        return urlencode(
            {"uuid": self.head.fqid.uuid, "version": self.head.fqid.version, "replica": self.replica}
        )


def wanted(call: Call) -> Wanted:
    """Return what the query of the current request names. Raises as the page of a bundle does."""
    given = Parameters.read(request.args, "uuid", "version", "replica")
    uuid = given.uuid("uuid")
    replica, head = find_bundle_anywhere(call, uuid, given.text("replica"), given.version())
    return Wanted(head=head, replica=replica, scheme=call.dss.replicas.named(replica).store.scheme)


def begin(call: Call, what: Wanted, bucket: str) -> str:
    """Begin a checkout; return the page where it is watched. Raises as POST of a checkout does."""
    scheme, separator, name = bucket.rpartition("://")
    if separator and scheme != what.scheme:
        raise IllegalArguments(
            f"destination: {bucket[:80]!r} is not of the cloud of {what.replica}: {what.scheme}://"
        )
    made = checkout.post(
        call,
        uuid=what.head.fqid.uuid,
        replica=what.replica,
        version=what.head.fqid.version,
        json_request_body={"destination": name.rstrip("/")},
    )
    job_id = json.loads(made.get_data())["checkout_job_id"]
    return f"{PATH}/{job_id}?{urlencode({'replica': what.replica})}"


def status(call: Call, job_id: str, replica: str) -> Mapping[str, Any]:
    """Return the status of a checkout, as GET of it does. Raises as that does."""
    found = checkout.get(call, replica=call.dss.replicas.named(replica).name, checkout_job_id=job_id)
    known: Mapping[str, Any] = json.loads(found.get_data())
    return known


def proof_line(what: Wanted, email: str) -> str:
    """Return the line by which the owner of a bucket says that somebody may check out into it."""
    copy = "gcloud storage cp" if what.scheme == "gs" else "aws s3 cp"
    return f"echo {quote(email)} | {copy} - {what.scheme}://MY-BUCKET/{PROOF_KEY}"
