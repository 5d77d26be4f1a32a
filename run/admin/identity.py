"""Who runs a command: the identity of an operator."""

import getpass
from dataclasses import dataclass
from functools import cache
from typing import Any

import google.auth
import google.auth.transport.requests
import requests
from google.auth.exceptions import GoogleAuthError

from shared.config import Settings

GOOGLE = "https://accounts.google.com"
# OpenID Connect: who the owner of an access token is. Google's discovery document names it.
_USER_INFO = "https://openidconnect.googleapis.com/v1/userinfo"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# Seconds.
_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Who runs a command, and who says so: Google, or this machine ("os")."""

    name: str
    issuer: str


def operator_of(settings: Settings) -> Operator:
    """Return who runs this command, for the audit log and for what is kept of a change.

    If the audit log is a file, or Google does not tell, it is the user of this machine. Google is asked once
    in each process. Raise GoogleAuthError without credentials.
    """
    email = "" if settings.audit_log else _google_email()
    return Operator(name=email, issuer=GOOGLE) if email else Operator(name=getpass.getuser(), issuer="os")


@cache
def google_session() -> requests.Session:
    """Return a session with the operator's Google credentials. Raise GoogleAuthError without any."""
    return google.auth.transport.requests.AuthorizedSession(_google_credentials())


def email_of(session: requests.Session, credentials: Any, url: str = _USER_INFO) -> str:
    """Return the e-mail of Google credentials; empty if they don't tell. Raise requests' errors."""
    own = getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "")
    # Before its first request, a machine's account is called so.
    if own and own != "default":
        return str(own)
    answer = session.get(url, timeout=_TIMEOUT_SECONDS)
    return str(answer.json().get("email", "")) if answer.ok else ""


@cache
def _google_credentials() -> Any:
    return google.auth.default(scopes=_SCOPES)[0]


@cache
def _google_email() -> str:
    session, credentials = google_session(), _google_credentials()
    try:
        return email_of(session, credentials)
    except (requests.RequestException, GoogleAuthError, ValueError):
        return ""
