"""GA4GH Passports: who their holder is, and which groups their visas give.

A passport is a JSON Web Token that a broker signs, and holds visas, each signed by its own issuer. Where keys
are is only in the settings: what a token itself says of that, `jku`, does not count.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jwt

from run.api.key_sets import KeySet
from shared.access import Principal
from shared.access.visas import LEEWAY_SECONDS, groups_of_visa
from shared.config import Settings
from shared.errors import Forbidden, IllegalArguments, Unauthorized
from shared.visa_settings import PassportIssuer, VisaGrant

# Of one request: how many passports, their characters together, and visas whose signatures are verified. One
# of a researcher with many permissions has some 50 visas of 1 to 2 kB.
MOST_PASSPORTS = 10
MOST_CHARACTERS = 512 * 1024
MOST_VISAS = 200
# AAI OIDC profile 1.2: these two, of which every party has to know the first.
_ALGORITHMS = ["RS256", "ES256"]
# The types of tokens that may be passports and visas; a token of another type was made for something else.
_PASSPORT_TYPES = frozenset((None, "JWT", "vnd.ga4gh.passport+jwt"))
_VISA_TYPES = frozenset((None, "JWT", "vnd.ga4gh.visa+jwt", "at+jwt"))
# As of an e-mail address, which it stands for.
_LONGEST_SUBJECT = 254


class Passports:
    """Verifies passports by the settings of a deployment."""

    def __init__(self, settings: Settings) -> None:
        self._grants = settings.visa_grants
        self._issuers = {issuer.name: issuer for issuer in settings.passport_issuers}
        rows: tuple[PassportIssuer | VisaGrant, ...] = (*settings.passport_issuers, *settings.visa_grants)
        places = {row.name: row.jwks_url for row in rows}
        self._keys = {name: KeySet(url=url, discover=name) for name, url in places.items()}

    def holder(self, passports: Sequence[str]) -> Principal:
        """Return the holder of passports, with the groups that the visas in them give.

        A visa that is not valid gives nothing. Raise Unauthorized if a passport is not valid or if they have
        different holders, Forbidden if its issuer is none of the settings, IllegalArguments if there are too
        many, and Unavailable if an issuer's keys can't be fetched.
        """
        if len(passports) > MOST_PASSPORTS or sum(map(len, passports)) > MOST_CHARACTERS:
            raise IllegalArguments(
                f"passports: more than {MOST_PASSPORTS}, or than {MOST_CHARACTERS:,} characters"
            )
        verified = [self._passport(f"passports[{n}]", text) for n, text in enumerate(passports)]
        holders = {(str(claims["iss"]).rstrip("/"), str(claims["sub"])) for claims in verified}
        if len(holders) > 1:
            raise Unauthorized("passports: they have different holders; send those of one")
        [(issuer, subject)] = holders
        groups = frozenset[str]().union(*self._granted(verified))
        # No e-mail address: nothing belongs to it, and no operator makes it a member of a group.
        return Principal(email=f"passport:{subject}", issuer=issuer, groups=groups)

    def _passport(self, where: str, text: str) -> Mapping[str, Any]:
        try:
            claimed = _unverified(text, _PASSPORT_TYPES)
            name = str(claimed.get("iss")).rstrip("/")
            issuer = self._issuers.get(name)
            if issuer is None:
                raise Forbidden(f"{where}: passports of issuer {name[:200]!r} are not accepted")
            claims = self._verified(text, claimed, issuer.audiences)
            if not isinstance(claims.get("ga4gh_passport_v1"), list):
                raise Unauthorized(f"{where}: it has no claim 'ga4gh_passport_v1', a list of visas")
        except jwt.PyJWTError as error:
            raise Unauthorized(f"{where}: the passport is not valid: {error}") from error
        if not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT or not claims["sub"].isprintable():
            raise Unauthorized(f"{where}: its claim 'sub' is no name")
        return claims

    def _granted(self, passports: Iterable[Mapping[str, Any]]) -> Iterator[frozenset[str]]:
        """Yield the groups that each visa gives; of others than these no signature is verified."""
        count = 0
        for visa in (each for passport in passports for each in passport["ga4gh_passport_v1"]):
            try:
                claimed = _unverified(visa, _VISA_TYPES)
                if not groups_of_visa(claimed, self._grants, time.time()):
                    continue
                count += 1
                if count > MOST_VISAS:
                    raise IllegalArguments(f"passports: more than {MOST_VISAS} visas that count here")
                yield groups_of_visa(self._verified(visa, claimed, ()), self._grants, time.time())
            except jwt.PyJWTError:
                continue

    def _verified(
        self, text: str, claimed: Mapping[str, Any], audiences: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """Return the claims of a token once its signature and its times are verified. Raise PyJWTError."""
        keys = self._keys[str(claimed["iss"]).rstrip("/")]
        key_id = str(jwt.get_unverified_header(text).get("kid", ""))
        claims: Mapping[str, Any] = jwt.decode(
            text,
            key=keys.key(key_id),
            algorithms=_ALGORITHMS,
            # Most name none; one for others only was not made for us.
            audience=audiences if "aud" in claimed else None,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "sub"]},
        )
        return claims


def _unverified(text: Any, types: frozenset[str | None]) -> Mapping[str, Any]:
    """Return the claims of a token, nothing of which is proved but its form. Raise PyJWTError."""
    if not isinstance(text, str):
        raise jwt.DecodeError("it is no text")
    try:
        kind = jwt.get_unverified_header(text).get("typ")
        claims: Mapping[str, Any] = jwt.decode(text, options={"verify_signature": False})
    except RecursionError:
        raise jwt.DecodeError("it is nested too deep") from None
    # Anybody may write anything there, also what no set can hold.
    if not isinstance(kind, str | None) or kind not in types:
        raise jwt.InvalidTokenError(f"it is of type {str(kind)[:80]!r}")
    return claims
