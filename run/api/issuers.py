"""Issuers of JSON Web Tokens: OpenID providers, and service accounts that sign for themselves."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import jwt

from run.api.identities import first_of, identity_of
from run.api.key_sets import AccountKeys, KeySet
from shared.access import Principal
from shared.config import Settings
from shared.errors import Unauthorized
from shared.issuer_settings import IssuerSetting

# https://developers.google.com/identity/openid-connect/openid-connect: `iss` is with or without the scheme.
GOOGLE = "https://accounts.google.com"


class Issuer(Protocol):
    """Who signs tokens."""

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences of which a token must have one."""

    def signs(self, claims: Mapping[str, Any]) -> bool:
        """Return whether it is this issuer whose signature a token needs, by its claims, not yet verified."""

    def key(self, claims: Mapping[str, Any], key_id: str, client: str) -> jwt.PyJWK:
        """Return the key that verifies a token. Raise PyJWTError if there is none, or Unavailable."""

    def identity(self, claims: Mapping[str, Any]) -> Principal:
        """Return who the verified claims name. Raise Unauthorized if they name nobody."""


class OpenIdProvider:
    """An OpenID provider of the settings."""

    def __init__(self, setting: IssuerSetting, *, is_first: bool = False) -> None:
        """The first issuer, of OIDC_ISSUER, may leave out `email_verified`, as in v1.

        Others may in the domains of the setting only: at many providers people choose their addresses.
        """
        self._is_verified = is_first or bool(setting.email_domains)
        self._setting = setting
        self._names = {setting.name, *(["accounts.google.com"] if setting.name == GOOGLE else [])}
        self._domains = frozenset(domain.lower() for domain in setting.email_domains)
        self._keys = KeySet(url=setting.jwks_url, discover=setting.name)

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences of the setting."""
        return self._setting.audiences

    def signs(self, claims: Mapping[str, Any]) -> bool:
        """Return whether the claim `iss` names this provider."""
        return str(claims.get("iss")).rstrip("/") in self._names

    def key(self, claims: Mapping[str, Any], key_id: str, client: str) -> jwt.PyJWK:
        """Return one of the provider's keys."""
        return self._keys.key(key_id)

    def identity(self, claims: Mapping[str, Any]) -> Principal:
        """Return whom the claims of the setting name, in a domain of the setting."""
        who = identity_of(
            claims,
            issuer=self._setting.name,
            email_claims=self._setting.email_claims,
            group_claims=self._setting.group_claims,
            is_verified=self._is_verified,
        )
        # Beyond ASCII other letters become ours in lower case: U+212A becomes k.
        name, _, domain = who.email.rpartition("@")
        if self._domains and not (name and domain.isascii() and domain.lower() in self._domains):
            raise Unauthorized("email: this issuer is not trusted for addresses of this domain")
        return who


class ServiceAccounts:
    """Service accounts of DSS_TRUSTED_PROJECTS, each of which signs for itself, as the first issuer does."""

    def __init__(self, settings: Settings) -> None:
        projects = "|".join(map(re.escape, settings.trusted_projects))
        self._name = re.compile(rf"[a-z0-9-]+@({projects})\.iam\.gserviceaccount\.com")
        self._settings = settings
        self._keys = AccountKeys(settings.service_account_jwks_url)

    def trusts(self, email: str) -> bool:
        """Return whether an e-mail address is that of an account of a trusted project."""
        return bool(self._name.fullmatch(email))

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences of the first issuer."""
        return self._settings.oidc_audience

    def signs(self, claims: Mapping[str, Any]) -> bool:
        """Return whether issuer, subject and e-mail are the same account of a trusted project."""
        issuer = claims.get("iss")
        if not isinstance(issuer, str) or not self.trusts(issuer):
            return False
        return bool(issuer == claims.get("sub") == first_of(self._named(claims), self._email_claims))

    def key(self, claims: Mapping[str, Any], key_id: str, client: str) -> jwt.PyJWK:
        """Return a key of the account."""
        return self._keys.key(str(claims["iss"]), key_id, client)

    def identity(self, claims: Mapping[str, Any]) -> Principal:
        """Return the account, with those of DSS_WRITE_GROUPS that it claims.

        It signs what it claims itself, so that proves no group; but the v1 contract lets it write.
        """
        who = identity_of(
            self._named(claims),
            issuer=str(claims["iss"]),
            email_claims=self._email_claims,
            group_claims=self._settings.oidc_group_claim,
            # An account proves its own address, which is its name.
            is_verified=True,
        )
        return replace(who, groups=who.groups.intersection(self._settings.write_groups))

    @property
    def _email_claims(self) -> tuple[str, ...]:
        return (*self._settings.oidc_email_claim, "email")

    @staticmethod
    def _named(claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the claims; without an e-mail the account's is its name."""
        return {"email": claims.get("iss"), **claims}
