"""Identities: what the claims of a token that is proved say about its owner."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.access import Principal
from shared.errors import Unauthorized

# RFC 5321: an address has at most 254 characters.
_MOST_CHARACTERS = 254


def identity_of(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    email_claims: Iterable[str],
    group_claims: Iterable[str],
    is_verified: bool,
) -> Principal:
    """Return the principal that claims name; `issuer` is who vouches for them.

    `is_verified` is whether the address counts as verified if they do not say. Raise Unauthorized if they
    have no valid e-mail address, or one that was not verified.
    """
    names = tuple(email_claims)
    email = first_of(claims, names)
    # Also halves of surrogate pairs, which no document can hold, are not printable.
    if not isinstance(email, str) or not 0 < len(email) <= _MOST_CHARACTERS or not email.isprintable():
        raise Unauthorized(f"the token has no valid claim {' or '.join(map(repr, names))}")
    # OpenID Connect Core 5.1: false if the issuer did not check the address. Some issuers send text.
    if str(claims.get("email_verified", is_verified)).lower() != "true":
        raise Unauthorized("email_verified: the issuer has not verified this e-mail address")
    groups = first_of(claims, group_claims)
    listed = groups if isinstance(groups, list) else [groups]
    return Principal(
        email=email,
        issuer=issuer,
        groups=frozenset(group for group in listed if isinstance(group, str)),
    )


def first_of(claims: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the first of some claims that is present, or None."""
    return next((claims[name] for name in names if name in claims), None)
