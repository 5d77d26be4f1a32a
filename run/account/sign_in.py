"""Sign-in with a browser: to the provider's page, and back."""

import re
from dataclasses import asdict
from urllib.parse import urlencode

from flask import Response, current_app, redirect, request

from run.account.providers import Attempt, Providers
from run.api.call import Call
from run.api.clients import client_address
from run.browse.operations import HOME
from run.browse.parameters import Parameters, refuse_repeated
from run.browse.rendering import page
from run.browse.sessions import begin_session, seal, sealed_cookie, set_cookie
from run.browse.signing_in import MOST_NEXT, SIGN_IN
from shared.errors import IllegalArguments, NotFound
from shared.sign_in_settings import SignInClient

# The key of an application's providers in its `extensions`.
PROVIDERS = "dss.sign_in_providers"
# Where the provider sends the browser back to; it is registered there.
SIGNED_IN = f"{HOME}/signed-in"
# The cookie of a sign-in that has begun, and how long that may take, in seconds.
_ATTEMPT = "dss-sign-in"
_ATTEMPT_SECONDS = 900
# A page of this server, and nothing that a browser could take for another one: no `\`, no white space.
_PAGE = re.compile(rf"{HOME}(?:[/?][!-\[\]-~]*)?")


def begin(call: Call) -> Response:
    """Lead the browser to the provider's page; if there are several, let people choose first."""
    given = Parameters.read(request.args, "next", "with")
    providers: Providers = current_app.extensions[PROVIDERS]
    chosen = _chosen(providers.clients, given.text("with"))
    following = page_here(given.text("next"))
    if chosen is None:
        choices = [
            (each.label or each.name, f"{SIGN_IN}?{urlencode({'with': each.name, 'next': following})}")
            for each in providers.clients
        ]
        return page("sign_in.html", choices=choices)
    attempt = Attempt(issuer=chosen.name, next=following, redirect_uri=f"{call.base_url}{SIGNED_IN}")
    response = _as_answer(redirect(providers.address(attempt)))
    settings = call.dss.settings
    set_cookie(response, settings, _ATTEMPT, seal(settings, _ATTEMPT, asdict(attempt)), _ATTEMPT_SECONDS)
    return response


def finish(call: Call) -> Response:
    """Begin the session of who comes back from the provider, and lead them where they were."""
    settings, providers = call.dss.settings, current_app.extensions[PROVIDERS]
    # Providers add parameters of their own.
    refuse_repeated(request.args, ("state", "code", "iss", "error"))
    attempt = Attempt.read(sealed_cookie(settings, _ATTEMPT, seconds=_ATTEMPT_SECONDS))
    if attempt is None:
        raise IllegalArguments(
            f"this sign-in has ended, or took more than {_ATTEMPT_SECONDS // 60} minutes, or your browser"
            " keeps no cookies of this site; begin again"
        )
    made = providers.finish(attempt, request.args, client_address(settings))
    response = _as_answer(redirect(page_here(attempt.next), 303))
    begin_session(response, settings, made)
    # A code works once, and so does what it belongs to.
    set_cookie(response, settings, _ATTEMPT, "", 0)
    return response


def page_here(text: str) -> str:
    """Return the address of a page, or of the first one if a text is none of this server's pages."""
    return text if len(text) <= MOST_NEXT and _PAGE.fullmatch(text) else HOME


def _chosen(clients: list[SignInClient], name: str) -> SignInClient | None:
    if not clients:
        raise NotFound(
            "Nobody can sign in to the pages of this deployment; its operator sets DSS_SIGN_IN_CLIENTS."
        )
    if not name:
        return clients[0] if len(clients) == 1 else None
    for each in clients:
        if each.name == name:
            return each
    raise IllegalArguments(f"with: nobody can sign in with {name[:100]!r} here")


def _as_answer(made: object) -> Response:
    assert isinstance(made, Response)
    return made
