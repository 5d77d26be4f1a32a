"""Destinations: buckets of users, into which only those check out whom their owners allow."""

from shared.access import Principal, Proof
from shared.access.buckets import MAX_PROOF_BYTES, PROOF_KEY
from shared.errors import AccessDenied, IllegalArguments, ObjectChanged, ObjectNotFound
from shared.stores.base import ObjectStore, read_found
from shared.system import Dss


def check_destination(dss: Dss, who: Principal, replica: str, bucket: str) -> None:
    """Return if somebody may check out into a bucket of a replica's cloud, and this system reaches it.

    One request to the cloud if DSS_DESTINATIONS allows it, else three at most: the proof in the bucket is
    read each time, so that its owner can withdraw it. Raise Unauthorized if nobody has signed in; Forbidden,
    which says what to put into the bucket; and IllegalArguments if there is no such bucket, or it can't be
    reached.
    """
    store = dss.replicas.named(replica).store
    url = f"{store.scheme}://{bucket}"
    dss.bucket_policy.may_name(who, url).require()
    _check_reachable(store, bucket)
    if not dss.bucket_policy.lists(who, url):
        dss.bucket_policy.proved(who, url, read_proof(store, bucket)).require()


def _check_reachable(store: ObjectStore, bucket: str) -> None:
    """Raise IllegalArguments if the bucket can't be reached, before a job takes one of few places."""
    try:
        store.check_bucket(bucket)
    except ObjectNotFound as error:
        raise IllegalArguments(f"destination: {bucket}: no such bucket") from error
    except AccessDenied as error:
        raise IllegalArguments(f"destination: {bucket}: this system has no access to it") from error


def read_proof(store: ObjectStore, bucket: str) -> Proof:
    """Return what the object PROOF_KEY of a bucket says. Reads MAX_PROOF_BYTES at most, in two requests."""
    try:
        found = store.stat(bucket, PROOF_KEY)
        if found.size > MAX_PROOF_BYTES:
            return Proof(flaw=f"has more than {MAX_PROOF_BYTES} bytes")
        return Proof.parse(read_found(store, found) if found.size else b"")
    except ObjectNotFound:
        return Proof(flaw="is not there")
    except ObjectChanged:
        return Proof(flaw="was replaced while it was read; try again")
    except AccessDenied:
        return Proof(flaw="may not be read by this system")
