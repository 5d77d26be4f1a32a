"""Sign-in at the token issuer, as command lines make people do it (RFC 6749, 4.1 and 6), but without a page.

Everybody is the writer, or the person that `login_hint` names. The authorization code and the refresh token
are that person's e-mail address: an issuer that signs every request has no secret to keep.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from local.config import WRITE_GROUP, WRITER_EMAIL

# Each grant type, and the field that carries the grant.
GRANTS = {"authorization_code": "code", "refresh_token": "refresh_token"}


class BadGrant(Exception):
    """A field that a sign-in needs is missing; the text names it."""


def redirect_url(query: Mapping[str, str]) -> str:
    """Return the URL to redirect the browser to, with a code. Raises BadGrant."""
    target = query.get("redirect_uri")
    if not target:
        raise BadGrant("redirect_uri is missing")
    parameters = {"code": query.get("login_hint", WRITER_EMAIL)}
    if "state" in query:
        parameters["state"] = query["state"]
    return f"{target}{'&' if '?' in target else '?'}{urlencode(parameters)}"


def fields_of_grant(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the token request for a code or a refresh token: e-mail and group of the person.

    Ignore all other fields, as a provider has to (RFC 6749, 3.2): requests-oauthlib sends along what its
    caller gave the request. Raises BadGrant.
    """
    name = GRANTS[fields["grant_type"]]
    if not fields.get(name):
        raise BadGrant(f"{name} is missing")
    return {"email": fields[name], "group": WRITE_GROUP}
