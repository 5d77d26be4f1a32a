"""The start of every command of an operator: settings of the environment, errors as `dss` prints them."""

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import google.auth
import google.auth.transport.requests
import requests
from google.auth.exceptions import GoogleAuthError

from dss.errors import InvalidInput, OperationFailed, translated
from run.admin.commands_log import log_command
from shared.config import Settings
from shared.errors import DssError, IllegalArguments
from shared.replicas import Replica
from shared.system import Dss

# OpenID Connect: who the owner of an access token is. Google's discovery document names it.
_USER_INFO = "https://openidconnect.googleapis.com/v1/userinfo"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_TIMEOUT_SECONDS = 5


@contextmanager
def operator_settings() -> Iterator[Settings]:
    """Give the settings of the environment, and raise the service's errors as those of the command line.

    The command that asks for them leaves a line in the audit log.
    Raises InvalidInput if a setting, an argument or a credential is wrong, OperationFailed if a cloud fails.
    """
    with translated([(ValueError, lambda error: InvalidInput(str(error)))]):
        settings = Settings.from_environment()
    with translated(
        [
            (IllegalArguments, lambda error: InvalidInput(error.title)),
            (GoogleAuthError, lambda error: InvalidInput(f"no usable Google Cloud credentials: {error}")),
            (DssError, lambda error: OperationFailed(error.title)),
        ]
    ):
        log_command(settings)
        yield settings


def replicas_named(dss: Dss, names: Sequence[str]) -> list[Replica]:
    """Return the replicas with these names, or all of them. Raises IllegalArguments for an unknown name."""
    return [dss.replicas.named(name) for name in names] or list(dss.replicas)


def operator_name() -> str:
    """Return who runs this command, for what is kept of a change: the e-mail of the Google credentials.

    The name of the account of this machine if it works on emulators, or if the credentials name nobody.
    """
    # As the client of Firestore decides.
    if os.environ.get("FIRESTORE_EMULATOR_HOST"):
        return getpass.getuser()
    credentials, _ = google.auth.default(scopes=_SCOPES)
    credentials.refresh(google.auth.transport.requests.Request())
    own = getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "")
    return str(own or _owner_of(str(credentials.token)) or getpass.getuser())


def _owner_of(token: str) -> str:
    """Return the e-mail of the owner of an access token; empty if Google doesn't tell."""
    header = {"Authorization": f"Bearer {token}"}
    try:
        answer = requests.get(_USER_INFO, headers=header, timeout=_TIMEOUT_SECONDS)
        return str(answer.json().get("email", "")) if answer.ok else ""
    except requests.RequestException:
        return ""
