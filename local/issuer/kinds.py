"""The kinds of tokens that the local issuer makes, with the claims that real ones have.

| kind | |
| --- | --- |
| `own` | a JWT of the issuer itself |
| `other` | a JWT of a second OpenID provider, with claims of other names |
| `google` | an ID token of Google, as `gcloud auth print-identity-token` prints it |
| `access` | an opaque access token of Google, as `gcloud auth print-access-token` prints it |
| `service-account` | a JWT that the service account of the local system signs itself |
"""

from dataclasses import dataclass
from typing import Any

from local.issuer.claims import AUDIENCE, TOKEN_SECONDS, token_claims

KINDS = ("own", "other", "google", "access", "service-account")
OTHER_AUDIENCE = "dss-local-other"
GOOGLE = "https://accounts.google.com"
# The OAuth client of gcloud, for which it gets the tokens of people.
GCLOUD_CLIENT = "32555940559.apps.googleusercontent.com"
OTHER_PATH = "/other"
GOOGLE_KEYS_PATH = "/google/certs"
TOKEN_INFO_PATH = "/tokeninfo"


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """The token that somebody asks for; `account` is the e-mail of the service account."""

    kind: str
    issuer: str
    account: str
    email: str
    group: Any = None
    ttl: int = TOKEN_SECONDS

    def claims(self) -> dict[str, Any]:
        """Return the claims; of an opaque token, what the token info endpoint says of it."""
        own = token_claims(self.issuer, self.email, self.group, self.ttl)
        times = {name: own[name] for name in ("iat", "exp")}
        match self.kind:
            case "other":
                groups = {} if self.group is None else {"groups": self.group}
                named = {"iss": self.issuer + OTHER_PATH, "aud": OTHER_AUDIENCE, "mail": self.email}
                return {**named, "sub": own["sub"], "email_verified": True, **groups, **times}
            case "google":
                named = {"iss": GOOGLE, "sub": "108", "hd": self.email.rpartition("@")[2]}
                return {**_google(self.email), **named, "email_verified": True, **times}
            case "access":
                # https://cloud.google.com/docs/authentication/token-types: numbers and booleans are text.
                return {**_google(self.email), "email_verified": "true", "exp": str(own["exp"])}
            case "service-account":
                name = self.account
                group = {} if self.group is None else {"group": self.group}
                return {"iss": name, "sub": name, "email": name, "aud": AUDIENCE, **group, **times}
        return own


def _google(email: str) -> dict[str, Any]:
    return {"azp": GCLOUD_CLIENT, "aud": GCLOUD_CLIENT, "email": email}


def sign_in_settings(issuer: str) -> dict[str, Any]:
    """Return the settings by which the API accepts the kinds that are not the issuer's own.

    The value of OIDC_ISSUERS is a list, to be written as JSON.
    """
    return {
        "OIDC_ISSUERS": [
            {
                "issuer": issuer + OTHER_PATH,
                "audiences": [OTHER_AUDIENCE],
                "email_claims": ["mail"],
                "group_claims": ["groups"],
            },
            {
                "issuer": GOOGLE,
                "audiences": [GCLOUD_CLIENT],
                "group_claims": ["hd"],
                "jwks_url": issuer + GOOGLE_KEYS_PATH,
            },
        ],
        "DSS_TOKEN_INFO_URL": issuer + TOKEN_INFO_PATH,
        "DSS_TOKEN_INFO_CLIENTS": GCLOUD_CLIENT,
    }
