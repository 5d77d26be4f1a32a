"""What a copy begins with: its source, the bundles that are named, and the versions of the copies."""

from dataclasses import replace

from dss.api.session import Session
from dss.copying import versions
from dss.copying.sources import DssSource, Source, check_bucket, is_bucket, open_bucket_source, replica_of
from dss.copying.versions import VersionRule
from dss.errors import InvalidInput
from dss.profiles import base_of
from dss.references import Reference, parse, resolve
from dss.sign_in.credentials import login_at
from dss.sign_in.sources import FixedToken, TokenSource


def open_source(url: str, bucket: str | None, token: str | None, destination: Session) -> Source:
    """Return the source at a URL, of a DSS or of a bucket, for a destination.

    `bucket` is where the blobs of a DSS are, if its URLs don't tell. A DSS gets `token`, or that of the login
    there, and never one of the destination. Raises InvalidInput and MissingExtra.
    """
    if is_bucket(url):
        if bucket or token:
            raise InvalidInput("--source-bucket and --source-token are for a source that is a DSS")
        if replica_of(url) != destination.replica:
            raise InvalidInput(f"{url} is in the cloud of {replica_of(url)}, not of {destination.replica}")
        return open_bucket_source(url)
    if base_of(url) == base_of(destination.url):
        raise InvalidInput("the source and the destination are the same DSS")
    if bucket:
        check_bucket(bucket, destination.replica)
    tokens: str | TokenSource = token or login_at(url) or FixedToken(None, "no credentials")
    session = Session(
        url,
        tokens,
        replica=destination.replica,
        patience=destination.transport.patience,
        clock=destination.clock,
        notify=destination.transport.notify,
    )
    return DssSource(session, bucket)


def named_bundle(source: str, text: str) -> Reference:
    """Return the bundle that a text names: one of the source, if it names a host. Raises InvalidInput."""
    # A bucket has no host that a name could have.
    found = parse(text) if is_bucket(source) else resolve(text, url=source)
    return replace(found, kind=None, host=None, name=None)


def version_rule(
    destination: Session, *, set_version: str | None, map_version: float | None, new_version: bool
) -> tuple[VersionRule, bool]:
    """Return the rule of versions, and whether it gives one version to all. Raises InvalidInput."""
    if [set_version is not None, map_version is not None, new_version].count(True) > 1:
        raise InvalidInput("set_version, map_version, new_version: give one of them")
    if set_version is not None:
        return versions.fixed(set_version), True
    if map_version is not None:
        return versions.shifted(map_version), False
    return (versions.new(destination.clock), True) if new_version else (versions.kept, False)
