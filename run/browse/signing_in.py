"""What every page says of sign-in: who has signed in, or where one can."""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import current_app, has_request_context, request

from run.browse.operations import HOME
from run.browse.sessions import Session, session

SIGN_IN = f"{HOME}/sign-in"
# Characters of the page to which sign-in leads back: it is in an address, and in a cookie.
MOST_NEXT = 2000
# Whether somebody can sign in, in the `extensions` of an application.
_OFFERED = "dss.sign_in_offered"


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who looks at a page: their session, if they have signed in, and else the address where they can."""

    session: Session | None = None
    sign_in: str = ""


def offer_sign_in(extensions: dict[str, object], *, offered: bool) -> None:
    """Have pages say that one can sign in, or not."""
    extensions[_OFFERED] = offered


def visitor() -> Visitor:
    """Return who looks at the page of the current request."""
    if not has_request_context() or not current_app.extensions.get(_OFFERED):
        return Visitor()
    here = request.full_path.rstrip("?") if request.method == "GET" else HOME
    if here.startswith(SIGN_IN) or len(here) > MOST_NEXT:
        here = HOME
    return Visitor(session=session(), sign_in=f"{SIGN_IN}?{urlencode({'next': here})}")
