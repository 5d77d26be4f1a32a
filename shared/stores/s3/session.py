"""Credentials for AWS without keys of AWS: a role assumed with this service's Google identity."""

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
    """Return a session of boto3 whose credentials are those of the role, or boto3's own where it is empty.

    The role's credentials are renewed early enough that a URL signed with them lives as long as it says:
    a presigned URL dies with the credentials that signed it.
    """
    if not role_arn:
        return boto3.Session()
    core = botocore.session.get_session()
    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=core.create_client,
        web_identity_token_loader=lambda: id_token.fetch_id_token(Request(), audience),
        role_arn=role_arn,
        extra_args={"RoleSessionName": "dss", "DurationSeconds": _SESSION_SECONDS},
        # The fetcher keeps what it got until so long before its end.
        expiry_window_seconds=signed_url_seconds + 30 * 60,
    )
    credentials = DeferredRefreshableCredentials(
        method="assume-role-with-web-identity", refresh_using=fetcher.fetch_credentials
    )
    # botocore renews ten minutes before the end, and has no public way to say otherwise.
    credentials.__dict__.update(
        _advisory_refresh_timeout=signed_url_seconds + 30 * 60,
        _mandatory_refresh_timeout=signed_url_seconds + 15 * 60,
    )
    core.__dict__.update(_credentials=credentials)
    return boto3.Session(botocore_session=core)
