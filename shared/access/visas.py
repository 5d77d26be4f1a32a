"""What visas give: the groups of their owner, by the grants of the settings.

A visa is one assertion about a researcher; one of type `ControlledAccessGrants` says that a data access
committee has approved access to a data set (GA4GH Passport 1.2). Its signature is verified elsewhere.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from shared.visa_settings import VisaGrant

_TYPE = "ControlledAccessGrants"
# Seconds by which the clocks of an issuer and of this machine may differ.
LEEWAY_SECONDS = 30


def groups_of_visa(claims: Mapping[str, Any], grants: Iterable[VisaGrant], now: float) -> frozenset[str]:
    """Return the groups that the claims of a visa give at a moment, in seconds since 1970. Pure.

    None if the visa is of another type, is malformed, has expired, was asserted in the future, or has
    conditions: whether these are met is not looked at, so the visa does not count.
    """
    visa = claims.get("ga4gh_visa_v1")
    if not isinstance(visa, Mapping) or visa.get("type") != _TYPE or visa.get("conditions", []) != []:
        return frozenset()
    asserted, expires = _moment(visa.get("asserted")), _moment(claims.get("exp"))
    if not (asserted <= now + LEEWAY_SECONDS and expires >= now - LEEWAY_SECONDS):
        return frozenset()
    issuer = str(claims.get("iss")).rstrip("/")
    return frozenset().union(*(grant.groups for grant in grants if _covers(grant, issuer, visa)))


def _covers(grant: VisaGrant, issuer: str, visa: Mapping[str, Any]) -> bool:
    return (
        grant.name == issuer
        and grant.value == visa.get("value")
        and grant.source in ("", visa.get("source"))
        and (not grant.by or any(visa.get("by") == each for each in grant.by))
    )


def _moment(value: Any) -> float:
    """Return a number of seconds; that which is neither before nor after any, if the value is no number."""
    # A boolean is an int to Python.
    return value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
