"""Credentials of Google: a service account's key, and application default credentials."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from dss import environment, tokens
from dss.errors import InvalidInput, MissingExtra, SignInFailed, Unreachable
from dss.identifiers import UTC
from dss.sign_in.sources import Issued, RefreshedToken

_SECONDS = 3600
_SCOPES = ("openid", "https://www.googleapis.com/auth/userinfo.email")


class ServiceAccountKey(RefreshedToken):
    """Tokens that a service account signs itself, for an hour each."""

    def __init__(self, key_file: Path, audience: str, claims: dict[str, str], origin: str) -> None:
        super().__init__(origin)
        self._key_file = key_file
        self._audience = audience
        self._claims = claims

    def _issue(self, current: Issued | None) -> Issued:
        signed = tokens.sign(self._key_file, audience=self._audience, seconds=_SECONDS, claims=self._claims)
        return Issued.now(signed, _SECONDS)


class DefaultCredentials(RefreshedToken):
    """Google's application default credentials: an ID token for the audience, or an access token.

    People's credentials (`gcloud auth application-default login`) have ID tokens for gcloud's own audience.
    """

    def __init__(self, audience: str | None, token_type: str, origin: str) -> None:
        super().__init__(origin)
        self._audience = audience
        self._token_type = token_type

    def _issue(self, current: Issued | None) -> Issued:
        try:
            import google.auth.exceptions
        except ImportError as error:
            raise MissingExtra("using Google's application default credentials", "google") from error

        try:
            return self._google()
        except google.auth.exceptions.DefaultCredentialsError as error:
            raise SignInFailed(f"there are no application default credentials of Google: {error}") from error
        except google.auth.exceptions.TransportError as error:
            raise Unreachable(f"Google's sign-in does not answer: {error}") from error
        except google.auth.exceptions.GoogleAuthError as error:
            raise SignInFailed(f"Google does not issue a token: {error}") from error

    def _google(self) -> Issued:
        import google.auth
        from google.auth.transport.requests import Request

        request = Request()
        credentials = _of_gcloud() or google.auth.default(scopes=list(_SCOPES), request=request)[0]
        if self._token_type == "access_token":
            credentials.refresh(request)
            return _issued(str(credentials.token), credentials.expiry)
        if hasattr(credentials, "id_token"):
            credentials.refresh(request)
            if credentials.id_token:
                return _issued(credentials.id_token, None)
        return self._id_token(request)

    def _id_token(self, request: Any) -> Issued:
        from google.oauth2 import id_token

        credentials = id_token.fetch_id_token_credentials(self._audience, request=request)
        credentials.refresh(request)
        return _issued(credentials.token, credentials.expiry)


def _issued(token: str, expiry: Any) -> Issued:
    """Return a token with its life: what is left of it by its expiry in UTC, or by its claims."""
    if expiry is not None:
        left = expiry.replace(tzinfo=UTC) - datetime.now(UTC)
        return Issued.now(token, max(1.0, left.total_seconds()))
    claims = tokens.claims_of(token)
    return Issued.now(token, max(1.0, float(claims["exp"]) - float(claims["iat"])))


def _of_gcloud() -> Any:
    """Return the credentials of somebody who uses gcloud, or None.

    Google's library can do so, too, but runs gcloud to learn its project: that takes seconds.
    """
    path = environment.google_credentials() or environment.gcloud_credentials()
    if not path.exists() or kind_of(path) != "authorized_user":
        return None
    from google.oauth2.credentials import Credentials

    try:
        return Credentials.from_authorized_user_file(str(path), list(_SCOPES))
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}; run `gcloud auth application-default login`") from error


def kind_of(path: Path) -> str:
    """Return the type of a file of Google's credentials, such as `service_account`. Raises InvalidInput."""
    try:
        document = json.loads(path.read_bytes()[:1_000_000])
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; Google's credentials should be there") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON; Google's credentials should be there") from error
    return str(document.get("type")) if isinstance(document, dict) else ""
