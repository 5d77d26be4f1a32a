"""Checkouts by the API, and the objects that they leave in buckets."""

import json
from typing import Any

from local.config import WRITER_EMAIL
from shared.access.buckets import PROOF_KEY
from tests.support.api import Api, Version, new_uuid
from tests.support.clouds import SCHEMES, Clouds
from tests.support.waiting import wait_until

# The setting of an API that lets everybody check out into the buckets that deny something.
LISTED = {
    "DSS_DESTINATIONS": json.dumps(
        [{"url": f"{scheme}://denied-*", "groups": ["signed-in"]} for scheme in SCHEMES.values()]
    )
}


def check_out(api: Api, replica: str, bundle: Version, *, version: str | None = None, **body: Any) -> str:
    """Ask for a checkout and return the job's id."""
    path = f"/v1/bundles/{bundle.uuid}/checkout"
    answer = api.post(path, replica=replica, version=version, json=body or None)
    assert answer.status_code == 200, answer.text
    job_id: str = answer.json()["checkout_job_id"]
    return job_id


def checkout_status(api: Api, replica: str, job_id: str) -> dict[str, Any]:
    """Return the status of a checkout."""
    answer = api.get(f"/v1/bundles/checkout/{job_id}", replica=replica)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def await_checkout(api: Api, replica: str, job_id: str, seconds: float = 60.0) -> dict[str, Any]:
    """Wait for the end of a checkout and return its status."""

    def has_ended() -> bool:
        return checkout_status(api, replica, job_id)["status"] != "RUNNING"

    wait_until(has_ended, f"checkout {job_id} ends", seconds)
    return checkout_status(api, replica, job_id)


def user_bucket(
    clouds: Clouds,
    replica: str,
    *,
    allows: bytes | None = WRITER_EMAIL.encode(),
    denied: str = "",
    name: str = "",
) -> str:
    """Return a new bucket of a user, with the proof that it `allows` checkouts; None for no proof.

    One that denies the system to `write`, or `all`, has no proof: LISTED allows it.
    """
    name = name or f"{'denied' if denied else 'own'}-{new_uuid()}"
    _create_bucket(clouds, replica, name, denied)
    if allows is not None and not denied:
        clouds.stage(replica, allows, bucket=name, key=PROOF_KEY, metadata={})
    return name


def _create_bucket(clouds: Clouds, replica: str, name: str, denied: str) -> None:
    if replica == "gcp":
        bucket = clouds.gcs.bucket(name)
        bucket.labels = {"dss-local-deny": denied} if denied else {}
        bucket.create()
    else:
        clouds.s3.create_bucket(Bucket=name)
        if denied:
            clouds.s3.put_bucket_policy(Bucket=name, Policy=json.dumps(_policy(name, denied)))


def _policy(bucket: str, denied: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": {"write": "s3:PutObject", "all": "s3:*"}[denied],
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }


def read_objects(clouds: Clouds, replica: str, bucket: str, prefix: str) -> dict[str, tuple[bytes, str]]:
    """Return content and content type of the objects under a prefix."""
    if replica == "gcp":
        blobs = clouds.gcs.list_blobs(bucket, prefix=prefix)
        return {blob.name: (blob.download_as_bytes(), blob.content_type) for blob in blobs}
    found = {}
    for row in clouds.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        one = clouds.s3.get_object(Bucket=bucket, Key=row["Key"])
        found[row["Key"]] = (one["Body"].read(), one["ContentType"])
    return found


def remove_object(clouds: Clouds, replica: str, bucket: str, key: str) -> None:
    """Remove an object behind the back of the system."""
    if replica == "gcp":
        clouds.gcs.bucket(bucket).blob(key).delete()
    else:
        clouds.s3.delete_object(Bucket=bucket, Key=key)
