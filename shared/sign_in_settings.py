"""The OAuth clients by which people sign in to the pages, as a setting lists them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.issuer_settings import IssuerSetting
from shared.setting_rows import checked_row, rows_of


@dataclass(frozen=True, kw_only=True)
class SignInClient:
    """A client that is registered with an issuer, for browsers; `label` is what people call the issuer.

    Without `client_secret` it is a public client. Its ID tokens are what proves who somebody is; with
    `audience`, its access tokens for that audience.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    audience: str = ""
    label: str = ""

    @property
    def name(self) -> str:
        """The issuer's URL, without a slash at its end."""
        return self.issuer.rstrip("/")

    @property
    def counted(self) -> str:
        """The audience that its tokens have."""
        return self.audience or self.client_id


def sign_in_clients_of(name: str, parsed: Any) -> tuple[SignInClient, ...]:
    """Return the clients of a JSON list. Raise ValueError, which names the setting and the member."""
    needed = ("issuer", "client_id")
    return tuple(
        SignInClient(**checked_row(path, row, SignInClient, needed)) for path, row in rows_of(name, parsed)
    )


def check_clients(
    name: str, clients: Sequence[SignInClient], issuers: Iterable[IssuerSetting], *, has_key: bool
) -> None:
    """Raise ValueError if the tokens of a client would not be accepted, or an issuer has two clients.

    Also if there is no key that encrypts sessions, but clients are there.
    """
    if clients and not has_key:
        raise ValueError(f"DSS_SECRETS_KEY_FILE is not set, but {name} is: it encrypts sessions")
    audiences = {issuer.name: issuer.audiences for issuer in issuers}
    seen: set[str] = set()
    for client in clients:
        if client.name not in audiences:
            raise ValueError(
                f"{name}: {client.issuer} is neither OIDC_ISSUER nor one of OIDC_ISSUERS; add it there"
            )
        if client.counted not in audiences[client.name]:
            raise ValueError(
                f"{name}: tokens of {client.issuer} for {client.counted!r} are not accepted; add that to its"
                " audiences"
            )
        if client.name in seen:
            raise ValueError(f"{name}: {client.issuer} is there twice")
        seen.add(client.name)
