"""The issuers of tokens beside the first, as a setting lists them."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class IssuerSetting:
    """An issuer, and what its tokens have to say.

    A token has one of `audiences`. Of `email_claims` and `group_claims` the first that is present counts;
    without `group_claims` its tokens prove no group. With `email_domains` it proves addresses in these only.
    Its keys are at `jwks_url`, or where its OpenID configuration says.
    """

    issuer: str
    audiences: tuple[str, ...]
    email_claims: tuple[str, ...] = ("email",)
    group_claims: tuple[str, ...] = ()
    email_domains: tuple[str, ...] = ()
    jwks_url: str = ""

    @property
    def name(self) -> str:
        """The issuer's URL, always without a slash at its end: tokens have it with and without."""
        return self.issuer.rstrip("/")


_URLS = ("issuer", "jwks_url")
_LISTS = ("audiences", "email_claims", "group_claims", "email_domains")
# Servers of this machine need no TLS.
_LOCAL_HOSTS = ("127.0.0.1", "localhost")


def is_secure(url: str) -> bool:
    """Return whether nobody between can read what is sent to a URL, or forge its answer."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS)
    )


def issuers_of(name: str, parsed: Any) -> tuple[IssuerSetting, ...]:
    """Return the issuers of a JSON list. Raise ValueError, which names the setting and the member."""
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: must be a JSON list")
    return tuple(_issuer(f"{name}[{number}]", members) for number, members in enumerate(parsed))


def check_distinct(name: str, issuers: Iterable[IssuerSetting]) -> None:
    """Raise ValueError if two settings are of the same issuer: a token would have two meanings."""
    names = [issuer.name for issuer in issuers]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise ValueError(f"{name}: {twice[0]} is there twice, or is OIDC_ISSUER; list all audiences in one")


def _issuer(path: str, members: Any) -> IssuerSetting:
    known = [row.name for row in fields(IssuerSetting)]
    if not isinstance(members, dict):
        raise ValueError(f"{path}: must be a JSON object with {', '.join(known)}")
    for member, value in members.items():
        if member not in known:
            raise ValueError(f"{path}.{member}: unknown; there are {', '.join(known)}")
        if member in _LISTS and not _is_list_of_strings(value):
            raise ValueError(f"{path}.{member}: must be a list of strings")
        if member in _URLS and value != "" and not (isinstance(value, str) and is_secure(value)):
            raise ValueError(f"{path}.{member}: must be a URL that begins with https://")
    for member in ("issuer", "audiences"):
        if not members.get(member):
            raise ValueError(f"{path}.{member}: missing; without it no token is accepted")
    if members.get("email_claims") == []:
        raise ValueError(f"{path}.email_claims: empty; leave it out for the claim `email`")
    values: dict[str, Any] = {
        member: tuple(value) if member in _LISTS else value for member, value in members.items()
    }
    return IssuerSetting(**values)


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def check_token_info(url: str, *, has_clients: bool) -> None:
    """Raise ValueError unless access tokens may be looked up at a URL, and somebody's tokens are accepted."""
    if not is_secure(url):
        raise ValueError("DSS_TOKEN_INFO_URL must begin with https://, because tokens are sent to it")
    if not has_clients:
        raise ValueError("DSS_TOKEN_INFO_CLIENTS is not set, but DSS_TOKEN_INFO_URL is: set both")
