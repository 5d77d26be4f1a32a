"""What the client reads from environment variables: here, and nowhere else."""

import os
from pathlib import Path

_STAGING_BUCKETS = {"gcp": "DSS_GS_STAGING_BUCKET", "aws": "DSS_S3_STAGING_BUCKET"}


def url() -> str | None:
    """Return DSS_URL, the address of the DSS to use."""
    return os.environ.get("DSS_URL")


def token() -> str | None:
    """Return DSS_TOKEN, the token that says who the user is."""
    return os.environ.get("DSS_TOKEN")


def local_token_url() -> str | None:
    """Return DSS_LOCAL_TOKEN_URL, the token issuer of a system that `dss local` started."""
    return os.environ.get("DSS_LOCAL_TOKEN_URL")


def staging_variable(replica: str) -> str:
    """Return the name of the variable that names a replica's staging bucket."""
    return _STAGING_BUCKETS[replica]


def staging_bucket(replica: str) -> str:
    """Return the staging bucket of a replica, or an empty string."""
    return os.environ.get(staging_variable(replica), "")


def google_project() -> str | None:
    """Return GOOGLE_CLOUD_PROJECT."""
    return os.environ.get("GOOGLE_CLOUD_PROJECT")


def cache_directory() -> Path:
    """Return the directory for what may be lost: XDG_CACHE_HOME/dss, or ~/.cache/dss."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "dss"
