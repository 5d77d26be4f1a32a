"""Abandoned uploads: the parts that a large copy leaves when its process is killed.

A copy in parts aborts its upload if it fails; a killed process cannot. The parts that it leaves cost as much
as an object, and no read can see them.
"""

from collections.abc import Iterator
from datetime import timedelta

from shared.replicas import Replica
from shared.stores.base import UnfinishedUpload
from shared.system import Dss


def abort_abandoned(dss: Dss) -> list[str]:
    """Abort the abandoned uploads of all replicas, and return their names. For the sweep; safe to repeat."""
    uploads = [(replica, upload) for replica in dss.replicas for upload in abandoned(dss, replica)]
    for replica, upload in uploads:
        replica.store.abort_upload(upload)
    return [name_of(replica, upload) for replica, upload in uploads]


def abandoned(dss: Dss, replica: Replica) -> Iterator[UnfinishedUpload]:
    """Yield the abandoned uploads in a replica's two buckets.

    They are older than any copy within a call (DSS_UPLOAD_SECONDS), and of no running copy job, which may be
    resumed. Costs a request for each bucket, and a query if there is an old upload.
    """
    before = dss.clock.now() - timedelta(seconds=dss.settings.upload_seconds)
    buckets = dict.fromkeys((replica.bucket, replica.checkout_bucket))
    uploads = [upload for bucket in buckets for upload in replica.store.uploads(bucket)]
    old = [upload for upload in uploads if upload.touched < before]
    # Queried after the uploads were listed: a job that ends in between leaves none.
    at_work = dss.catalog.jobs.uploads_at_work() if old else frozenset()
    yield from (upload for upload in old if upload.id not in at_work)


def name_of(replica: Replica, upload: UnfinishedUpload) -> str:
    """Return the name of an upload in reports."""
    return f"{replica.store.scheme}://{upload.bucket}/{upload.key or upload.id} ({upload.id})"
