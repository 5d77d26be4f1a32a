"""Tokens: read their claims, sign one, or get one from the local system."""

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dss.errors import CallFailed, InvalidInput, MissingExtra, NoToken, SignInFailed


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unverified. Raises InvalidInput if it is not a JWT."""
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError(f"it has {len(parts)} parts instead of 3")
        payload = json.loads(base64.b64decode(parts[1] + "==", altchars=b"-_"))
        if not isinstance(payload, dict):
            raise ValueError("its claims are not a JSON object")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the token is not a JWT: {error}") from error
    return payload


def check_usable(token: str | None) -> str:
    """Return the token. Raises NoToken if there is none, or it has expired by this machine's clock.

    A token that is not a JWT passes; the DSS decides what it accepts.
    """
    if not token:
        raise NoToken("this needs a token; run `dss login`, give --token or set DSS_TOKEN")
    try:
        expires = claims_of(token).get("exp")
    except InvalidInput:
        return token
    if isinstance(expires, int | float) and expires < time.time():
        raise NoToken(f"the token expired at {moment(expires)}; get a new one, or run `dss login`")
    return token


def moment(seconds: float) -> str:
    """Return a time in seconds since 1970 as a person reads it, in UTC."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s after 1970"


def sign(key_file: Path, *, audience: str, seconds: int, claims: Mapping[str, Any]) -> str:
    """Return a JWT that a service account signs itself: RS256, `kid`, `iss` = `sub` = `email`.

    It is valid for `seconds`; `claims` are added. Raises InvalidInput if the file is not the key of a service
    account, and MissingExtra.
    """
    try:
        import jwt
        from cryptography.exceptions import UnsupportedAlgorithm
    except ImportError as error:
        raise MissingExtra("signing a token", "sign") from error

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
        raise InvalidInput(f"{key_file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, jwt.PyJWTError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"{key_file} is not a service account's key (JSON): {error}") from error


def fetch_local(token_url: str, *, email: str, group: str | None, seconds: int) -> str:
    """Return a token of the local system's issuer, which gives one to every caller.

    Raises CallFailed, Unreachable, and SignInFailed if it is no such issuer.
    """
    # Its import takes a tenth of a second, which other commands do without.
    from dss.sign_in.provider import ask, object_in

    request: dict[str, Any] = {"email": email, "ttl": seconds}
    if group:
        request["group"] = group
    answer, body = ask("POST", token_url, json=request, timeout=10)
    if answer.status_code != 200:
        raise CallFailed(
            method="POST",
            url=token_url,
            status=answer.status_code,
            code=answer.reason,
            title=body[:300].decode(errors="replace"),
        )
    token = object_in(body, token_url).get("access_token")
    if not token:
        raise SignInFailed(f"{token_url} answered without a token")
    return str(token)
