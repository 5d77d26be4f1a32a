"""Secrets of subscriptions are stored encrypted, each for its subscription; keys can be replaced."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from shared.errors import NotYetImplemented, Unavailable
from shared.webhooks.secrets import decrypt_secret, encrypt_secret
from tests.support.api import new_uuid


def settings_with(path: Path, *keys: bytes) -> Any:
    """Return settings with a new key file."""
    file = path / new_uuid()
    file.write_bytes(b"\n".join(keys) + b"\n")
    return SimpleNamespace(secrets_key_file=str(file))


@pytest.mark.parametrize("secret", ["secret", "schlüssel 漢字", "x" * 65_000])
def test_a_secret_is_encrypted_and_comes_back(tmp_path: Path, secret: str) -> None:
    settings = settings_with(tmp_path, Fernet.generate_key())
    encrypted = encrypt_secret(settings, "uuid", secret)
    assert secret not in encrypted
    assert encrypt_secret(settings, "uuid", secret) != encrypted
    assert decrypt_secret(settings, "uuid", encrypted) == secret


def test_a_new_key_encrypts_and_the_old_ones_still_decrypt(tmp_path: Path) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    before, after = settings_with(tmp_path, old), settings_with(tmp_path, new, old)
    encrypted = encrypt_secret(before, "uuid", "secret")
    assert decrypt_secret(after, "uuid", encrypted) == "secret"
    with pytest.raises(Unavailable, match="no key of DSS_SECRETS_KEY_FILE"):
        decrypt_secret(before, "uuid", encrypt_secret(after, "uuid", "secret"))
    with pytest.raises(Unavailable, match="no key of DSS_SECRETS_KEY_FILE"):
        decrypt_secret(SimpleNamespace(secrets_key_file=""), "uuid", encrypted)  # type: ignore[arg-type]


def test_a_secret_is_of_one_subscription(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, Fernet.generate_key())
    encrypted = encrypt_secret(settings, "mine", "secret")
    with pytest.raises(Unavailable, match="another subscription"):
        decrypt_secret(settings, "yours", encrypted)
    with pytest.raises(Unavailable, match="no key"):
        decrypt_secret(settings, "mine", encrypted[:-2] + "AA")


def test_without_a_key_no_secret_is_taken() -> None:
    with pytest.raises(NotYetImplemented, match="DSS_SECRETS_KEY_FILE"):
        encrypt_secret(SimpleNamespace(secrets_key_file=""), "uuid", "secret")  # type: ignore[arg-type]
