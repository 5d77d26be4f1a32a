"""Which destination a place is that bundles are exported to."""

from pathlib import Path

from dss.api.session import Session
from dss.copying.sources import replica_of
from dss.errors import InvalidInput
from dss.export.export import Destination
from dss.export.forms import Form
from dss.export.to_bucket import BucketDestination
from dss.export.to_directory import DirectoryDestination


def destination_at(session: Session, to: str | Path, form: Form) -> Destination:
    """Return the destination in a directory, or at gs://BUCKET or s3://BUCKET, with a prefix or without.

    Raises InvalidInput for other URLs, and for a bucket in another cloud than the session's replica.
    """
    if isinstance(to, Path) or "://" not in to:
        return DirectoryDestination(session, Path(to))
    if replica_of(to) != session.replica:
        raise InvalidInput(
            f"{to[:120]} is in the cloud of {replica_of(to)}: export there by a client of that replica, "
            f"and not of {session.replica}"
        )
    return BucketDestination(session, to, form)
