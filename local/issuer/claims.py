"""The claims of the local issuer's tokens, and their signature."""

import time
from collections.abc import Mapping
from typing import Any

import jwt

from local.issuer.keys import Key

AUDIENCE = "dss-local"
# Seconds: a token from the morning is good all day.
TOKEN_SECONDS = 12 * 3600
# Where the metadata server of Google Cloud issues tokens of the machine's service account.
MACHINE_PATH = "/computeMetadata/v1/instance/service-accounts/default/"
IDENTITY_PATH = f"{MACHINE_PATH}identity"
ISSUER_KEY_FILE = "issuer.json"
SERVICE_ACCOUNT_KEY_FILE = "service-account.json"


def token_claims(issuer: str, email: str, group: Any = None, ttl: int = TOKEN_SECONDS) -> dict[str, Any]:
    """Return the claims of a token that expires in `ttl` seconds; if negative, it has expired already."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": f"local|{email}",
        "aud": AUDIENCE,
        "email": email,
        "email_verified": True,
        # An expired token was issued before it expired.
        "iat": min(now, now + ttl),
        "exp": now + ttl,
    }
    if group is not None:
        claims["group"] = group
    return claims


def sign(key: Key, claims: Mapping[str, Any]) -> str:
    """Return the claims as a JWT, signed by RS256, with the key's id in its header."""
    return jwt.encode(dict(claims), key.private, algorithm="RS256", headers={"kid": key.key_id})
