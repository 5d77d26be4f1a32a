"""Secrets of subscriptions: encrypt them before they are stored, and decrypt them to sign a call.

The keys (`shared.secret_keys`) are not in the catalog: who can read the catalog cannot read the secrets.
"""

import json

from cryptography.fernet import InvalidToken

from shared.config import Settings
from shared.errors import NotYetImplemented, Unavailable
from shared.secret_keys import secret_keys


def encrypt_secret(settings: Settings, subscription: str, secret: str) -> str:
    """Return a secret encrypted for a subscription. Raises NotYetImplemented if there is no key."""
    if not settings.secrets_key_file:
        raise NotYetImplemented(
            "hmac_secret_key: this deployment signs nothing; its operators have to set DSS_SECRETS_KEY_FILE"
        )
    content = json.dumps({"subscription": subscription, "secret": secret})
    return secret_keys(settings.secrets_key_file).encrypt(content.encode()).decode()


def decrypt_secret(settings: Settings, subscription: str, encrypted: str) -> str:
    """Return the secret of a subscription.

    Raises Unavailable if no key decrypts it, or it was encrypted for another subscription.
    """
    try:
        content = json.loads(secret_keys(settings.secrets_key_file).decrypt(encrypted))
    except (InvalidToken, OSError) as error:
        raise Unavailable(
            f"subscription {subscription}: no key of DSS_SECRETS_KEY_FILE decrypts its secret"
        ) from error
    if content["subscription"] != subscription:
        raise Unavailable(f"subscription {subscription}: its secret is that of another subscription")
    return str(content["secret"])
