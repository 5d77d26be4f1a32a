"""Secrets of subscriptions: encrypt them before they are stored, and decrypt them to sign a call.

The keys are in the file of DSS_SECRETS_KEY_FILE, which only the API and the functions that sign can read: who
can read the catalog cannot read the secrets. The file has one key of Fernet (AES-128-CBC, HMAC-SHA-256) per
line. The first one encrypts, and all decrypt: to replace a key, add a new first line.
"""

import json
from functools import cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.config import Settings
from shared.errors import NotYetImplemented, Unavailable


def encrypt_secret(settings: Settings, subscription: str, secret: str) -> str:
    """Return a secret encrypted for a subscription. Raises NotYetImplemented if there is no key."""
    if not settings.secrets_key_file:
        raise NotYetImplemented(
            "hmac_secret_key: this deployment signs nothing; its operators have to set DSS_SECRETS_KEY_FILE"
        )
    content = json.dumps({"subscription": subscription, "secret": secret})
    return _keys(settings.secrets_key_file).encrypt(content.encode()).decode()


def decrypt_secret(settings: Settings, subscription: str, encrypted: str) -> str:
    """Return the secret of a subscription.

    Raises Unavailable if no key decrypts it, or it was encrypted for another subscription.
    """
    try:
        content = json.loads(_keys(settings.secrets_key_file).decrypt(encrypted))
    except (InvalidToken, OSError) as error:
        raise Unavailable(
            f"subscription {subscription}: no key of DSS_SECRETS_KEY_FILE decrypts its secret"
        ) from error
    if content["subscription"] != subscription:
        raise Unavailable(f"subscription {subscription}: its secret is that of another subscription")
    return str(content["secret"])


@cache
def _keys(path: str) -> MultiFernet:
    return MultiFernet([Fernet(line) for line in Path(path).read_text().split()])
