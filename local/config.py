"""The configuration of a stack, fixed before anything starts: directory, ports, keys, names."""

import contextlib
import dataclasses
import fcntl
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cryptography.fernet import Fernet

from local.errors import DataDirectoryInUse
from local.issuer.claims import AUDIENCE, ISSUER_KEY_FILE, SERVICE_ACCOUNT_KEY_FILE, sign, token_claims
from local.issuer.keys import Key, write_service_account
from local.issuer.kinds import sign_in_settings
from local.machine import Emulators, find_emulators
from local.source_tree import python_path
from local.supervisor.ports import HOST, Ports
from shared.config import Settings

PROJECT = "dss-local"
# Subscribers on this machine may be called.
LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"
WRITE_GROUP = "dss"
ADMIN_EMAIL = "admin@example.org"
WRITER_EMAIL = "writer@example.org"
# Seconds that a component may take to start, on a machine that is busy with other work too.
PATIENCE = 180.0
# Written to a data directory, so that only a directory made by `dss local` is ever emptied.
OWN_FILE = ".dss-local"
# Of those whose signed URLs GCS serves: the API, and the service account of a user.
SIGNER_CERTIFICATES = ("gcs-signer.pem", "service-account.pem")
OWN_PARTS = ("gcs", "keys", "logs", "mail", "postgresql", "workflows")


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """The configuration of one stack. `caller` is the environment of the process that starts it."""

    data: Path
    ports: Ports
    caller: Mapping[str, str]
    emulators: Emulators
    issuer_key: Key
    api_app: str
    api_workers: int
    patience: float
    suffix: str

    def url(self, name: str) -> str:
        """Return the URL of a component that this stack runs."""
        return f"http://{HOST}:{self.ports.of(name)}"

    @property
    def keys(self) -> Path:
        """The directory of the keys."""
        return self.data / "keys"

    @property
    def audit_log(self) -> Path:
        """The file of the audit log."""
        return self.data / "logs" / "audit.log"

    @property
    def foreign_gcs(self) -> str:
        """URL of the GCS server that the caller names; empty if the stack runs its own."""
        return foreign_gcs(self.caller)

    def buckets(self, cloud: str) -> dict[str, str]:
        """Return the buckets of `GS` or `S3`, by the name of their setting."""
        parts = {"": "main", "CHECKOUT_": "checkout", "STAGING_": "staging"}
        buckets = {
            f"DSS_{cloud}_{part}BUCKET": f"{PROJECT}-{cloud.lower()}-{name}{self.suffix}"
            for part, name in parts.items()
        }
        # Reports go to one cloud only.
        reports = {"DSS_REPORTS_BUCKET": f"{PROJECT}-gs-reports{self.suffix}"} if cloud == "GS" else {}
        return buckets | reports

    def token(self, email: str, group: str) -> str:
        """Return a token of the issuer."""
        return sign(self.issuer_key, token_claims(self.url("token issuer"), email, group))

    def passed_on(self) -> dict[str, str]:
        """Return the settings of the API in the caller's environment."""
        return {name: self.caller[name] for name in setting_names() if name in self.caller}


def foreign_gcs(caller: Mapping[str, str]) -> str:
    """Return the URL of the GCS server named by STORAGE_EMULATOR_HOST, with its scheme, or "".

    A shell that sourced the environment file of an earlier run names that run's own server: it doesn't count.
    """
    address = caller.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    if not address or address == caller.get("DSS_LOCAL_GCS_URL"):
        return ""
    return address if "://" in address else f"http://{address}"


def setting_names() -> list[str]:
    """Return the names of all settings of the system."""
    return [row.metadata["name"] for row in dataclasses.fields(Settings)]


def base_environment(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for children: the caller's, without any variable that leads to a real cloud."""
    settings = set(setting_names())
    environment = {
        name: value
        for name, value in caller.items()
        if name not in settings
        and not name.startswith(("AWS_", "GOOGLE_", "DSS_"))
        and not name.endswith("_EMULATOR_HOST")
        and name != "GUNICORN_CMD_ARGS"
    }
    # The code of this checkout, installed or not.
    environment["PYTHONPATH"] = python_path(caller.get("PYTHONPATH", ""))
    environment["PYTHONUNBUFFERED"] = "1"
    environment["NO_PROXY"] = environment["no_proxy"] = f"{HOST},localhost"
    # Without these the SDKs spend seconds looking for the clouds' metadata servers.
    environment["AWS_EC2_METADATA_DISABLED"] = "true"
    environment["NO_GCE_CHECK"] = "true"
    return environment


@contextlib.contextmanager
def configured(
    *,
    data: Path | None,
    scratch: Path,
    caller: Mapping[str, str],
    api_app: str,
    api_port: int,
    api_workers: int,
    patience: float = PATIENCE,
) -> Iterator[StackConfig]:
    """Make the configuration, and hold its ports and data directory until the end.

    Without `data` the directory is `scratch`, which the caller makes and removes.
    Raises MissingRequirements, PortInUse, DataDirectoryInUse.
    """
    ports = Ports()
    with contextlib.ExitStack() as stack:
        stack.callback(ports.release)
        # First, because it is cheap: report a taken port at once.
        ports.of("api", api_port)
        emulators = find_emulators(caller)
        directory = scratch if data is None else data.absolute()
        if data is not None:
            stack.enter_context(_own(directory))
        for part in OWN_PARTS:
            (directory / part).mkdir(mode=0o700)
        config = StackConfig(
            data=directory,
            ports=ports,
            caller=caller,
            emulators=emulators,
            issuer_key=Key.new(),
            api_app=api_app,
            api_workers=api_workers,
            patience=patience,
            # A server that outlives us may hold objects of an earlier run.
            suffix=f"-{secrets.token_hex(4)}" if foreign_gcs(caller) else "",
        )
        _write_keys(config)
        yield config


@contextlib.contextmanager
def _own(directory: Path) -> Iterator[None]:
    """Lock a data directory, and remove what an earlier run left in it.

    S3 and Firestore are in memory only, so the objects of GCS alone would be half a state.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / OWN_FILE).exists() and any(directory.iterdir()):
        raise DataDirectoryInUse(f"{directory} is neither empty nor a data directory of `dss local`.")
    with (directory / OWN_FILE).open("a") as lock:
        _lock(lock, directory)
        for part in OWN_PARTS:
            shutil.rmtree(directory / part, ignore_errors=True)
        yield


def _lock(lock: IO[str], directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataDirectoryInUse(f"{directory} is in use by another `dss local`.") from error


def _write_keys(config: StackConfig) -> None:
    token_url = f"{config.url('token issuer')}/token"
    signer, user = Key.new(), Key.new()
    files = {
        ISSUER_KEY_FILE: (config.issuer_key, "issuer"),
        SERVICE_ACCOUNT_KEY_FILE: (user, "ingest"),
        "gcs-signer.json": (signer, "signer"),
    }
    for name, (key, account) in files.items():
        email = f"{account}@{PROJECT}.iam.gserviceaccount.com"
        write_service_account(config.keys / name, key, email=email, project=PROJECT, token_url=token_url)
    (config.keys / "subscription-secrets.key").write_bytes(Fernet.generate_key())
    # Users sign URLs of their own buckets, too.
    for name, key in zip(SIGNER_CERTIFICATES, (signer, user), strict=True):
        (config.keys / name).write_text(key.certificate(f"signer@{PROJECT}.iam.gserviceaccount.com"))


def api_settings(config: StackConfig) -> dict[str, str]:
    """Return the API's settings for sign-in and for signed URLs."""
    issuer = config.url("token issuer")
    further = sign_in_settings(issuer)
    client: dict[str, Any] = {
        "client_id": AUDIENCE,
        "client_secret": "no-secret",
        "project_id": PROJECT,
        "auth_uri": f"{issuer}/authorize",
        "token_uri": f"{issuer}/token",
        "redirect_uris": ["http://localhost"],
    }
    return {
        "OIDC_ISSUER": issuer,
        "OIDC_AUDIENCE": AUDIENCE,
        "OIDC_EMAIL_CLAIM": "email",
        "OIDC_GROUP_CLAIM": "group",
        **further,
        "OIDC_ISSUERS": json.dumps(further["OIDC_ISSUERS"]),
        "DSS_WRITE_GROUPS": WRITE_GROUP,
        "ADMIN_USER_EMAILS": ADMIN_EMAIL,
        "DSS_TRUSTED_PROJECTS": PROJECT,
        "DSS_SERVICE_ACCOUNT_JWKS_URL": f"{issuer}/service_accounts/v1/jwk/{{email}}",
        "DSS_APPLICATION_SECRETS": json.dumps(client),
        "DSS_SIGN_IN_CLIENTS": json.dumps([{"issuer": issuer, "client_id": AUDIENCE, "label": "local"}]),
        "DSS_GS_SIGNING_KEY_FILE": str(config.keys / "gcs-signer.json"),
        "DSS_SECRETS_KEY_FILE": str(config.keys / "subscription-secrets.key"),
    }
