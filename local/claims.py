"""What the local issuer's tokens say, and their signature."""

import time
from collections.abc import Mapping
from typing import Any

import jwt

from local.keys import Key

AUDIENCE = "dss-local"
# Seconds: a token got in the morning serves for the day.
TOKEN_SECONDS = 12 * 3600
ISSUER_KEY_FILE = "issuer.json"
SERVICE_ACCOUNT_KEY_FILE = "service-account.json"


def claims_of(issuer: str, email: str, group: Any = None, ttl: int = TOKEN_SECONDS) -> dict[str, Any]:
    """Return the claims of a token that is good from now for `ttl` seconds; negative: expired since."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": f"local|{email}",
        "aud": AUDIENCE,
        "email": email,
        "email_verified": True,
        # What has expired was issued before it did.
        "iat": min(now, now + ttl),
        "exp": now + ttl,
    }
    if group is not None:
        claims["group"] = group
    return claims


def signed(key: Key, claims: Mapping[str, Any]) -> str:
    """Return the claims as a JWT, RS256, that names its key."""
    return jwt.encode(dict(claims), key.private, algorithm="RS256", headers={"kid": key.key_id})
