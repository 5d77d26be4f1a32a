"""Credentials for AWS without keys of AWS: a role assumed with this service's Google identity."""

from typing import Any

import boto3
import botocore.session
from botocore.credentials import (
    AssumeRoleWithWebIdentityCredentialFetcher,
    DeferredRefreshableCredentials,
)
from google.auth.transport.requests import Request
from google.oauth2 import id_token

# STS: a role's session lasts 12 hours at most, and no longer than the role allows (terraform says 12 hours).
_SESSION_SECONDS = 12 * 3600


def open_session(*, role_arn: str, audience: str, signed_url_seconds: int) -> boto3.Session:
    """Return a session of boto3 with the credentials of the role, or with boto3's own if `role_arn` is empty.

    The session renews the role's credentials so early that a URL signed with them lives `signed_url_seconds`:
    a presigned URL dies with the credentials that signed it.
    """
    if not role_arn:
        return boto3.Session()
    core: Any = botocore.session.get_session()
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
    return boto3.Session(botocore_session=core)
