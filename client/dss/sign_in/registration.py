"""Which issuer and OAuth client a DSS uses for command lines: it says so, unless the settings do."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dss.errors import InvalidInput, SignInFailed, Unreachable
from dss.profiles import Settings, base_of
from dss.sign_in.provider import check_secure, fetch_json

DEFAULT_SCOPES = "openid email"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The client that a person signs in with; `token_type` is what the DSS takes of what it gets.

    `redirect` is where browsers may return to: a port (0: any) and a path of this machine's loopback address.
    """

    issuer: str
    client_id: str
    client_secret: str | None = None
    token_type: str = "id_token"
    audience: str | None = None
    scopes: str = DEFAULT_SCOPES
    redirect: tuple[str, int, str] = ("127.0.0.1", 0, "/")


def registration_of(settings: Settings) -> Registration:
    """Return the registration that the settings have, or else the DSS at their `url`.

    Raises InvalidInput if neither names an issuer and a client, and Unreachable, SignInFailed.
    """
    offered = {} if settings.issuer and settings.client_id else _offer(str(settings.url))
    issuer = settings.issuer or offered.get("issuer")
    client_id = settings.client_id or offered.get("client_id")
    if not issuer or not client_id:
        missing = "issuer" if not issuer else "OAuth client of command lines"
        raise InvalidInput(
            f"{settings.url} names no {missing}; ask its operator, and give --issuer and --client-id"
        )
    secret = settings.client_secret or (offered.get("client_secret") if not settings.client_id else None)
    return Registration(
        issuer=issuer,
        client_id=client_id,
        client_secret=secret,
        token_type=settings.token_type or offered.get("token_type") or "id_token",
        audience=settings.audience or offered.get("audience"),
        scopes=settings.scopes or DEFAULT_SCOPES,
        redirect=offered.get("redirect") or ("127.0.0.1", 0, "/"),
    )


def _offer(url: str) -> dict[str, Any]:
    """Return what a DSS says about sign-in; nothing if it says nothing."""
    address = f"{base_of(url)}/internal/application_secrets"
    check_secure(address, "url")
    try:
        document = fetch_json(address)
    except SignInFailed as error:
        raise SignInFailed(f"{error}; is {url} a DSS? If so, give --issuer and --client-id") from error
    except Unreachable as error:
        raise Unreachable(f"the DSS does not answer: {error}") from error
    client, sign_in = (_table(document, name) for name in ("installed", "sign_in"))
    texts = {name: sign_in.get(name) for name in ("issuer", "token_type", "audience")}
    texts |= {name: client.get(name) for name in ("client_id", "client_secret")}
    offered: dict[str, Any] = {name: text for name, text in texts.items() if text and isinstance(text, str)}
    return {**offered, "redirect": _redirect(client.get("redirect_uris"))}


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _redirect(uris: Any) -> tuple[str, int, str] | None:
    """Return host, port and path of the first loopback address with a port: some providers compare it."""
    for uri in uris if isinstance(uris, list) else []:
        try:
            parts = urlsplit(str(uri))
            port = parts.port
        except ValueError:
            continue
        if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost") and port:
            return parts.hostname, port, parts.path or "/"
    return None
