"""Tokens: what one says, and where one comes from."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from dss.api.transport import reason_of
from dss.errors import CallFailed, Refused, Unreachable


def claims_of(token: str) -> dict[str, Any]:
    """Return what a JWT claims, unverified. Raises Refused where it is no JWT."""
    import jwt

    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise Refused(f"the token is not a JWT: {error}") from error
    return claims


def check_usable(token: str | None) -> str:
    """Return the token. Raises Refused where there is none, or it has expired by this machine's clock.

    A token that is not a JWT passes: what the DSS accepts is its own business.
    """
    if not token:
        raise Refused("this needs a token: --token or DSS_TOKEN")
    try:
        expires = claims_of(token).get("exp")
    except Refused:
        return token
    if isinstance(expires, int | float) and expires < time.time():
        ended = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(expires))
        raise Refused(f"the token has expired at {ended}")
    return token


def sign(key_file: Path, *, audience: str, seconds: int, claims: Mapping[str, Any]) -> str:
    """Return a JWT that a service account signs itself: RS256, `kid`, `iss` = `sub` = `email`.

    It is good for `seconds`; `claims` are added. Raises Refused where the file is no service account's key.
    """
    import jwt

    try:
        key = json.loads(key_file.read_text("utf-8"))
        email, key_id, private_key = key["client_email"], key["private_key_id"], key["private_key"]
        now = time.time()
        named = {
            "iss": email,
            "sub": email,
            "email": email,
            "aud": audience,
            "iat": now,
            "exp": now + seconds,
        }
        return jwt.encode({**named, **claims}, private_key, algorithm="RS256", headers={"kid": key_id})
    except OSError as error:
        raise Refused(f"{key_file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
        raise Refused(f"{key_file} is not the key of a service account (JSON): {error}") from error


def fetch_local(token_url: str, *, email: str, group: str | None, seconds: int) -> str:
    """Return a token of the local stack's issuer, which gives one to whoever asks."""
    wanted: dict[str, Any] = {"email": email, "ttl": seconds}
    if group:
        wanted["group"] = group
    try:
        answer = requests.post(token_url, json=wanted, timeout=10)
    except requests.RequestException as error:
        raise Unreachable(f"{token_url}: {reason_of(error)}") from error
    if answer.status_code != 200:
        raise CallFailed.of(answer)
    return str(answer.json()["access_token"])
