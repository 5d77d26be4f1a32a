"""Checkouts: POST `/bundles/{uuid}/checkout`, and GET `/bundles/checkout/{checkout_job_id}`."""

import re
from typing import Any

from flask import Response

from run.api.bundles import find_bundle, require_content
from run.api.call import Call
from run.api.pagination import answer
from shared.access import Action, Resource
from shared.catalog import CheckoutOrder
from shared.checkouts.destinations import check_destination
from shared.checkouts.jobs import find_job, no_such_job, request_checkout, status_of
from shared.errors import IllegalArguments
from shared.identifiers import Kind

# For every cloud: GCS allows 222 characters, S3 63.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]")


def post(
    call: Call, *, uuid: str, replica: str, version: str | None, json_request_body: dict[str, Any]
) -> Response:
    """Start to check out a bundle version, or the newest; answer at once with the job's id."""
    email = json_request_body.get("email")
    if email and not call.dss.settings.smtp_host:
        raise IllegalArguments("email: this deployment sends no mail; poll the status instead")
    bucket = _destination(call, replica, json_request_body.get("destination"))
    head = find_bundle(call, uuid, replica, version)
    shared = bucket == call.dss.replicas.named(replica).checkout_bucket
    require_content(call, head, Action.SHARE if shared else Action.READ)
    if not shared:
        check_destination(call.dss, call.identify(), replica, bucket)
    order = CheckoutOrder(kind=Kind.BUNDLE, fqid=head.fqid, replica=replica, bucket=bucket)
    job = request_checkout(call.dss, order, email, requester=call.requester(), readers=head.content_readers)
    return answer({"checkout_job_id": job.id})


def get(call: Call, *, replica: str, checkout_job_id: str) -> Response:
    """Return the status of a checkout."""
    job = find_job(call.dss, replica, checkout_job_id)
    if not call.sees(Resource(name=f"checkout {job.id}", readers=job.readers)):
        raise no_such_job(replica, checkout_job_id)
    return answer(status_of(call.dss, job))


def _destination(call: Call, replica: str, bucket: str | None) -> str:
    if bucket is None:
        return call.dss.replicas.named(replica).checkout_bucket
    if not _BUCKET.fullmatch(bucket):
        raise IllegalArguments(f"destination: {bucket[:80]!r} is not a bucket name")
    return bucket
