"""Tokens: signed as a service account does, read without trust."""

import json
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dss import tokens
from dss.errors import InvalidInput

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EMAIL = "robot@project.iam.gserviceaccount.com"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"client_email": EMAIL, "private_key_id": "k1", "private_key": pem.decode()}))
    return path


def test_a_service_account_signs_its_own_token(key_file: Path) -> None:
    token = tokens.sign(key_file, audience="https://dss", seconds=60, claims={"group": "dss"})

    claims = jwt.decode(token, KEY.public_key(), algorithms=["RS256"], audience="https://dss")
    assert jwt.get_unverified_header(token)["kid"] == "k1"
    assert claims["iss"] == claims["sub"] == claims["email"] == EMAIL
    assert claims["group"] == "dss"
    assert claims["exp"] - claims["iat"] == pytest.approx(60)
    assert tokens.claims_of(token) == claims


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"client_email": "x"}', "\x00"])
def test_a_malformed_key_is_rejected(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)

    with pytest.raises(InvalidInput, match="key"):
        tokens.sign(path, audience="x", seconds=60, claims={})


def test_an_expired_token_is_refused_before_it_is_used() -> None:
    old = jwt.encode({"exp": time.time() - 5}, KEY, algorithm="RS256")
    good = jwt.encode({"exp": time.time() + 50}, KEY, algorithm="RS256")

    with pytest.raises(InvalidInput, match="expired"):
        tokens.check_usable(old)
    with pytest.raises(InvalidInput, match="token"):
        tokens.check_usable(None)
    assert tokens.check_usable(good) == good
    assert tokens.check_usable("opaque") == "opaque"
