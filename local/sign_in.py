"""Signing in at the token issuer as command lines have people do it (RFC 6749, 4.1 and 6): without a page.

Whoever comes is the writer, or whom `login_hint` names. The code that they are sent back with, and the
refresh token that they get for it, are that e-mail: who signs whatever he is asked to has no secret to keep.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from local.plan import WRITE_GROUP, WRITER_EMAIL

# What each grant is asked with; the field that it brings.
GRANTS = {"authorization_code": "code", "refresh_token": "refresh_token"}


class BadGrant(Exception):
    """Something that a sign-in needs is missing; the text names it."""


def sent_back(query: Mapping[str, str]) -> str:
    """Return the URL that the browser is sent back to, with a code. Raises BadGrant."""
    target = query.get("redirect_uri")
    if not target:
        raise BadGrant("redirect_uri is missing")
    said = {"code": query.get("login_hint", WRITER_EMAIL)}
    if "state" in query:
        said["state"] = query["state"]
    return f"{target}{'&' if '?' in target else '?'}{urlencode(said)}"


def wanted_by_grant(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return whose token a code or a refresh token is exchanged for, as fields of a token request.

    Everything else that `fields` says is ignored, as a provider has to (RFC 6749, 3.2): requests-oauthlib
    sends along what its caller gave the request. Raises BadGrant.
    """
    name = GRANTS[fields["grant_type"]]
    if not fields.get(name):
        raise BadGrant(f"{name} is missing")
    return {"email": fields[name], "group": WRITE_GROUP}
