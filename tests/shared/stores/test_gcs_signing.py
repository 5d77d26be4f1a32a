"""URLs that we sign are those that the client library signs."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.storage._signing import generate_signed_url_v4
from google.oauth2 import service_account
from hypothesis import example, given
from hypothesis import strategies as st

from shared.stores.gcs.signing import AccountSigner, HmacSigner, signed_url

PEM = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
CREDENTIALS = service_account.Credentials.from_service_account_info(
    {"client_email": "signer@p.iam.gserviceaccount.com", "token_uri": "http://t", "private_key": PEM.decode()}
)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(
    key=texts,
    disposition=st.none() | texts,
    content_type=st.none() | texts,
    payer=st.sampled_from(["", "p-1"]),
    seconds=st.integers(1, 604_800),
    now=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
    endpoint=st.sampled_from(["https://storage.googleapis.com", "http://127.0.0.1:8080"]),
)
@example(
    "~a/ é+&%2F", None, "text/x", "", 60, datetime(2026, 1, 2, 3, 4, 5), "https://storage.googleapis.com"
)
def test_a_url_is_the_one_of_the_library(key, disposition, content_type, payer, seconds, now, endpoint):
    theirs = generate_signed_url_v4(
        CREDENTIALS,
        f"/bucket/{quoted(key)}",
        timedelta(seconds=seconds),
        api_access_endpoint=endpoint,
        response_disposition=disposition,
        response_type=content_type,
        query_parameters={"userProject": payer} if payer else None,
        _request_timestamp=f"{now:%Y%m%dT%H%M%SZ}",
    )

    parameters = {
        "response-content-disposition": disposition,
        "response-content-type": content_type,
        "userProject": payer or None,
    }
    mine = signed_url(
        AccountSigner(CREDENTIALS),
        endpoint,
        "bucket",
        key,
        lifetime=timedelta(seconds=seconds),
        parameters={name: value for name, value in parameters.items() if value is not None},
        now=now.replace(tzinfo=UTC),
    )

    assert mine == theirs


def quoted(key: str) -> str:
    """Return the name of an object in a path, as the library has it."""
    from google.cloud.storage.blob import _quote

    return str(_quote(key, safe=b"/~"))


@pytest.mark.parametrize("key", [{}, [], {"secret": "s"}, {"metadata": {}, "secret": "s"}])
def test_what_is_no_hmac_key_is_refused(key):
    with pytest.raises(ValueError, match="accessId"):
        HmacSigner.parse(key)


def test_the_secret_of_a_key_is_not_shown():
    assert "hush" not in repr(HmacSigner("GOOG1", "hush"))
