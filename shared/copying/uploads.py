"""Uploads that nobody will finish: what is left of a large copy whose process was killed.

Whoever copies an object in parts aborts its upload where that fails; a killed process aborts nothing. What it
leaves costs as much as an object does, and no read can see it.
"""

from collections.abc import Iterator
from datetime import timedelta

from shared.replicas import Replica
from shared.stores.base import UnfinishedUpload
from shared.system import Dss


def abort_abandoned(dss: Dss) -> list[str]:
    """Abort the abandoned uploads of all replicas, and return their names. For the sweep; safe to repeat."""
    found = [(replica, upload) for replica in dss.replicas for upload in abandoned(dss, replica)]
    for replica, upload in found:
        replica.store.abort_upload(upload)
    return [name_of(replica, upload) for replica, upload in found]


def abandoned(dss: Dss, replica: Replica) -> Iterator[UnfinishedUpload]:
    """Yield the uploads in a replica's two buckets that nobody works on any more.

    Those are of no running copy job, which may be resumed, and older than any other copy takes
    (DSS_UPLOAD_SECONDS). Costs a request for each bucket, and where there is an old upload a query.
    """
    before = dss.clock.now() - timedelta(seconds=dss.settings.upload_seconds)
    buckets = dict.fromkeys((replica.bucket, replica.checkout_bucket))
    uploads = [upload for bucket in buckets for upload in replica.store.uploads(bucket)]
    old = [upload for upload in uploads if upload.touched < before]
    # Asked for after the uploads were: a job that ends in between leaves none.
    at_work = dss.catalog.jobs.uploads_at_work() if old else frozenset()
    yield from (upload for upload in old if upload.id not in at_work)


def name_of(replica: Replica, upload: UnfinishedUpload) -> str:
    """Return what people call an upload."""
    return f"{replica.store.scheme}://{upload.bucket}/{upload.key or upload.id} ({upload.id})"
