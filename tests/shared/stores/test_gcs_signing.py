"""Signed URLs of GCS are those of the client library, byte for byte."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials, Signing
from google.cloud.storage import Client
from hypothesis import given
from hypothesis import strategies as st

from shared.stores.gcs.signing import UrlSigner

NOW = datetime(2026, 1, 12, 9, 30, 0, 999_999, tzinfo=UTC)
ENDPOINT = "https://storage.example.org:8443"


class Credentials(AnonymousCredentials, Signing):
    """Signs by what it signs."""

    signer = None
    signer_email = "signer+1@example.iam"

    def sign_bytes(self, message: bytes) -> bytes:
        return message


CREDENTIALS = Credentials()  # type: ignore[no-untyped-call] # of google-auth
CLIENT = Client(project="none", credentials=AnonymousCredentials(), client_options={"api_endpoint": ENDPOINT})


def by_library(key: str, lifetime: timedelta, **options: Any) -> str:
    payer = options.pop("payer")
    url: str = (
        CLIENT.bucket("bucket")
        .blob(key)
        .generate_signed_url(
            version="v4",
            method="GET",
            expiration=lifetime,
            credentials=CREDENTIALS,
            api_access_endpoint=ENDPOINT,
            query_parameters={"userProject": payer} if payer else None,
            **options,
        )
    )
    return url


values = st.none() | st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]))


@given(
    key=st.text(st.characters(codec="utf-8"), min_size=1),
    seconds=st.integers(1, 7 * 24 * 3600),
    disposition=values,
    kind=values,
    payer=st.sampled_from([None, "a-project"]),
)
def test_a_url_is_that_of_the_client_library(
    key: str, seconds: int, disposition: str | None, kind: str | None, payer: str | None
) -> None:
    lifetime = timedelta(seconds=seconds)
    expected = by_library(key, lifetime, response_disposition=disposition, response_type=kind, payer=payer)
    moment = expected.partition("X-Goog-Date=")[2][:16]
    query = {"response-content-disposition": disposition, "response-content-type": kind, "userProject": payer}

    url = UrlSigner(CREDENTIALS, ENDPOINT).sign(
        "bucket",
        key,
        {name: value for name, value in query.items() if value is not None},
        lifetime=lifetime,
        now=datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
    )

    assert url == expected


def test_no_url_is_valid_for_longer_than_gcs_takes() -> None:
    with pytest.raises(ValueError, match="7 days"):
        UrlSigner(CREDENTIALS, ENDPOINT).sign("b", "k", {}, lifetime=timedelta(days=7, seconds=1), now=NOW)
