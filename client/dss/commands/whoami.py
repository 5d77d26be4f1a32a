"""`dss whoami`: whose token is in use, and where it comes from."""

import time
from typing import Any

import click

from dss import tokens
from dss.commands.context import Context, shared_options
from dss.commands.exit_codes import DONE, NOT_ALLOWED
from dss.commands.help import examples
from dss.errors import InvalidInput
from dss.profiles import base_of


@click.command(
    epilog=examples(
        "dss whoami",
    )
)
@shared_options
@click.pass_obj
def whoami(context: Context) -> int:
    """Print who the token in use says you are: its issuer, its expiry, and where it comes from.

    The token is not verified; only the DSS does that. Exits with 4 if there is none.
    """
    found = _found(context)
    rows = [(name, value) for name, value in found.items() if value is not None]
    context.show(found, "\n".join(f"{name:<11} {value}" for name, value in rows))
    return DONE if found["source"] else NOT_ALLOWED


def _found(context: Context) -> dict[str, Any]:
    settings, token = context.settings, context.token
    found: dict[str, Any] = {
        "who": None,
        "issuer": None,
        "groups": None,
        "expires": None,
        "source": context.tokens.origin if token else None,
        "profile": settings.profile,
        "url": settings.url,
        "replica": settings.replica,
    }
    if token is None:
        return {**found, "who": "nobody: there is no token; run `dss login`"}
    claims = _claims(token) or _stored_claims(settings.url, token)
    return {**found, **_said(claims)}


def _said(claims: dict[str, Any]) -> dict[str, Any]:
    if not claims:
        return {"who": "unknown: the token is opaque; the DSS asks its issuer"}
    groups = claims.get("group") or claims.get("groups")
    expires = claims.get("exp")
    return {
        "who": claims.get("email") or claims.get("sub"),
        "issuer": claims.get("iss"),
        "groups": ", ".join(map(str, groups)) if isinstance(groups, list) else groups,
        "expires": _moment(expires) if isinstance(expires, int | float) else None,
    }


def _claims(token: str) -> dict[str, Any]:
    try:
        return tokens.claims_of(token)
    except InvalidInput:
        return {}


def _stored_claims(url: str | None, token: str) -> dict[str, Any]:
    """Return the claims of the ID token that came with an opaque token, and that token's own expiry."""
    from dss.sign_in.store import LoginStore

    login = LoginStore().load(base_of(url)) if url else None
    if login is None or login.token != token:
        return {}
    return {**login.claims, "exp": login.expires_at}


def _moment(seconds: float) -> str:
    left = seconds - time.time()
    when = tokens.moment(seconds)
    return f"{when}, in {left / 60:.0f} minutes" if left > 0 else f"{when}: it has expired"
