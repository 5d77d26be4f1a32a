"""Credentials for AWS without keys of AWS: a role assumed with this service's Google identity."""

from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore.credentials import (
    AssumeRoleWithWebIdentityCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.loaders import Loader, create_loader
from google.auth.transport.requests import Request
from google.oauth2 import id_token

# STS: a role's session lasts 12 hours at most, and no longer than the role allows (terraform says 12 hours).
_SESSION_SECONDS = 12 * 3600


def open_session(*, role_arn: str, audience: str, signed_url_seconds: int) -> boto3.Session:
    """Return a session of boto3 with the credentials of the role, or with boto3's own if `role_arn` is empty.

    The session renews the role's credentials so early that a URL signed with them lives `signed_url_seconds`:
    a presigned URL dies with the credentials that signed it.
    """
    core: Any = botocore.session.get_session()
    core.register_component("data_loader", descriptions())
    if not role_arn:
        return _session(core)
    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=core.create_client,
        web_identity_token_loader=lambda: id_token.fetch_id_token(Request(), audience),
        role_arn=role_arn,
        extra_args={"RoleSessionName": "dss", "DurationSeconds": _SESSION_SECONDS},
        # The fetcher caches credentials until so many seconds before they expire.
        expiry_window_seconds=signed_url_seconds + 30 * 60,
    )
    # botocore renews ten minutes before the end, and has no public setting for that, nor one for a session's
    # credentials. The lock file pins its version; a test fails if these attributes have no effect any more.
    credentials: Any = DeferredRefreshableCredentials(
        method="assume-role-with-web-identity", refresh_using=fetcher.fetch_credentials
    )
    credentials._advisory_refresh_timeout = signed_url_seconds + 30 * 60  # noqa: SLF001
    credentials._mandatory_refresh_timeout = signed_url_seconds + 15 * 60  # noqa: SLF001
    core._credentials = credentials  # noqa: SLF001
    return _session(core)


@cache
def descriptions() -> Loader:
    """Return botocore's descriptions of S3, read: for all sessions, each of which would take 0.1 s of CPU."""
    loader = create_loader()
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data(name)
    return loader


def _session(core: Any) -> boto3.Session:
    session = boto3.Session(botocore_session=core)
    # Each session adds the same directory.
    paths = descriptions().search_paths
    paths[:] = dict.fromkeys(paths)
    return session
