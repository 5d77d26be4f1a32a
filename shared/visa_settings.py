"""Passports and visas (GA4GH Passport 1.2) that a deployment accepts, as settings list them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.setting_rows import checked_row, rows_of


@dataclass(frozen=True, kw_only=True)
class PassportIssuer:
    """A broker whose passports count.

    Its keys are at `jwks_url`, or where its OpenID configuration says. A passport that names an audience has
    to name one of `audiences`.
    """

    issuer: str
    jwks_url: str = ""
    audiences: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The issuer's URL, always without a slash at its end: tokens have it with and without."""
        return self.issuer.rstrip("/")


@dataclass(frozen=True, kw_only=True)
class VisaGrant:
    """What a visa of type `ControlledAccessGrants` gives: membership of `groups`, for reading.

    It has to be of this `issuer`, and have this `value`; and this `source`, and one of these values of `by`,
    if there are any here. The keys of the issuer are where those of a PassportIssuer are.
    """

    issuer: str
    value: str
    groups: frozenset[str]
    source: str = ""
    by: frozenset[str] = frozenset()
    jwks_url: str = ""

    @property
    def name(self) -> str:
        """The issuer's URL, without a slash at its end."""
        return self.issuer.rstrip("/")


def passport_issuers_of(name: str, parsed: Any) -> tuple[PassportIssuer, ...]:
    """Return the issuers of a JSON list. Raise ValueError, which names the setting and the member."""
    rows = [
        checked_row(path, members, PassportIssuer, ("issuer",)) for path, members in rows_of(name, parsed)
    ]
    return tuple(PassportIssuer(**row) for row in rows)


def visa_grants_of(name: str, parsed: Any) -> tuple[VisaGrant, ...]:
    """Return the grants of a JSON list. Raise ValueError, which names the setting and the member."""
    needed = ("issuer", "value", "groups")
    return tuple(
        VisaGrant(**checked_row(path, row, VisaGrant, needed)) for path, row in rows_of(name, parsed)
    )


def check_consistent(issuers: Sequence[PassportIssuer], grants: Sequence[VisaGrant]) -> None:
    """Raise ValueError if there are only issuers of passports or only grants, or an issuer is inconsistent.

    It is if it is there twice as one of passports, or has two places for its keys.
    """
    if bool(issuers) != bool(grants):
        raise ValueError("DSS_PASSPORT_ISSUERS or DSS_VISA_GRANTS is not set, but the other is: set both")
    names = [issuer.name for issuer in issuers]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"DSS_PASSPORT_ISSUERS: {twice[0]} is there twice")
    places: dict[str, str] = {}
    rows: list[PassportIssuer | VisaGrant] = [*issuers, *grants]
    for row in rows:
        if places.setdefault(row.name, row.jwks_url) != row.jwks_url:
            raise ValueError(f"DSS_VISA_GRANTS: {row.issuer} has two jwks_url; give the same everywhere")
