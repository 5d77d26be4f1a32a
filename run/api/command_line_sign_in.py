"""How command lines sign in at this deployment: `/internal/application_secrets`."""

from typing import Any
from urllib.parse import urlsplit

from shared.config import Settings


def application_secrets(settings: Settings) -> dict[str, Any]:
    """Return the OAuth client of command lines, as v1 had it, and how to get a token with it that counts."""
    return {"installed": settings.application_secrets, "sign_in": _sign_in(settings)}


def _sign_in(settings: Settings) -> dict[str, str]:
    """Return `issuer`, `token_type` (which of an issuer's tokens is accepted here) and perhaps `audience`.

    An ID token has the client as its audience. If no issuer accepts that, an access token will do: one of
    Google's if those of this client are looked up, else one for the audience of the first issuer.
    """
    client_id = settings.application_secrets.get("client_id")
    for row in settings.issuers:
        if client_id in row.audiences:
            return {"issuer": row.issuer, "token_type": "id_token"}
    if client_id and client_id in settings.token_info_clients:
        page = urlsplit(str(settings.application_secrets.get("auth_uri")))
        return {"issuer": f"{page.scheme}://{page.netloc}", "token_type": "access_token"}
    first = settings.issuers[0]
    return {"issuer": first.issuer, "token_type": "access_token", "audience": first.audiences[0]}
