"""Credentials of Google: a service account's key, and application default credentials."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from dss import tokens
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
        credentials, _ = google.auth.default(scopes=list(_SCOPES), request=request)
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


def is_service_account_key(path: Path) -> bool:
    """Return whether a file of Google's credentials is a service account's key. Raises InvalidInput."""
    try:
        document = json.loads(path.read_bytes()[:1_000_000])
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; GOOGLE_APPLICATION_CREDENTIALS names it") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON; GOOGLE_APPLICATION_CREDENTIALS names it") from error
    return isinstance(document, dict) and document.get("type") == "service_account"
