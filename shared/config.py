"""Settings: one table (name, type, default, help), read from the environment once.

`docs/settings.md` lists the same table, and a test compares the two.
"""

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

# It stands in queries of the API, in documents of the catalog, and in attributes of messages.
_REPLICA_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


def _setting(name: str, help_text: str, *, default: Any = MISSING) -> Any:
    metadata = {"name": name, "help": help_text}
    if default is MISSING:
        return field(metadata=metadata)
    if isinstance(default, dict):
        return field(metadata=metadata, default_factory=lambda: dict(default))
    return field(metadata=metadata, default=default)


@dataclass(frozen=True, kw_only=True)
class ReplicaSetting:
    """A replica to open; `options` are what its kind of store wants, see `STORES` of `shared/wiring.py`."""

    name: str
    scheme: str
    bucket: str
    checkout_bucket: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CacheCriterion:
    """Files of a content type, of `max_size` bytes at most."""

    type: str
    max_size: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a process of the system has to know from outside; a field without a default is required."""

    project: str = _setting("GOOGLE_CLOUD_PROJECT", "Google Cloud project that holds Firestore and Pub/Sub.")
    gs_bucket: str = _setting("DSS_GS_BUCKET", "Main bucket of replica `gcp`.")
    s3_bucket: str = _setting("DSS_S3_BUCKET", "Main bucket of replica `aws`.")
    gs_checkout_bucket: str = _setting("DSS_GS_CHECKOUT_BUCKET", "Checkout bucket of replica `gcp`.")
    s3_checkout_bucket: str = _setting("DSS_S3_CHECKOUT_BUCKET", "Checkout bucket of replica `aws`.")
    extra_replicas: tuple[ReplicaSetting, ...] = _setting(
        "DSS_EXTRA_REPLICAS",
        "Replicas beside `gcp` and `aws`, as a JSON list of objects; `docs/stores.md` has their members.",
        default=(),
    )
    gs_signing_key_file: str = _setting(
        "DSS_GS_SIGNING_KEY_FILE",
        "Service account key (JSON) that signs URLs of GCS; without it IAM signs, one network call a URL.",
        default="",
    )
    aws_role_arn: str = _setting(
        "DSS_AWS_ROLE_ARN",
        "AWS role assumed with this service's Google identity; without it boto3 finds credentials itself.",
        default="",
    )
    aws_role_audience: str = _setting(
        "DSS_AWS_ROLE_AUDIENCE",
        "Audience of the Google identity token with which the AWS role is assumed.",
        default="sts.amazonaws.com",
    )
    signed_url_seconds: int = _setting(
        "DSS_SIGNED_URL_SECONDS", "How long a signed URL lives, in seconds; 604,800 at most.", default=3600
    )
    inline_copy_seconds: int = _setting(
        "DSS_INLINE_COPY_SECONDS",
        "How long a request may spend on copying a blob, in seconds. Clients give up after 40.",
        default=25,
    )
    inline_copy_bytes: int = _setting(
        "DSS_INLINE_COPY_BYTES",
        "Largest object that is copied between clouds within one call of a function, in bytes; what is "
        "larger goes to the copy workflow.",
        default=1024 * 1024 * 1024,
    )
    checkout_days: int = _setting(
        "DSS_BLOB_TTL_DAYS",
        "Days after its last use that a checkout bucket keeps an object; its life cycle rules say the same.",
        default=14,
    )
    checkout_public_days: int = _setting(
        "DSS_BLOB_PUBLIC_TTL_DAYS",
        "Days after its last use that a checkout is handed out as it is; then it is renewed before that.",
        default=7,
    )
    checkout_cache_criteria: tuple[CacheCriterion, ...] = _setting(
        "CHECKOUT_CACHE_CRITERIA",
        "What checkout buckets keep for good: a JSON list of `{type, max_size}`, a content type and bytes.",
        default=(),
    )
    smtp_host: str = _setting(
        "DSS_SMTP_HOST", "Mail server that tells how checkouts ended; without it nobody is told.", default=""
    )
    smtp_port: int = _setting("DSS_SMTP_PORT", "Port of the mail server.", default=587)
    smtp_tls: str = _setting(
        "DSS_SMTP_TLS",
        "How the mail server is spoken to: `starttls`, `tls` from the beginning on, or `none`.",
        default="starttls",
    )
    smtp_user: str = _setting(
        "DSS_SMTP_USER", "Who signs in to the mail server; without it nobody does.", default=""
    )
    smtp_password: str = _setting("DSS_SMTP_PASSWORD", "Password of who signs in to it.", default="")
    smtp_sender: str = _setting(
        "DSS_SMTP_SENDER", "Address that the mails come from; needed with DSS_SMTP_HOST.", default=""
    )
    mails_a_day: int = _setting(
        "DSS_MAILS_A_DAY", "Mails that one address gets in a day (UTC) at most.", default=20
    )
    checkouts_at_once: int = _setting(
        "DSS_CHECKOUTS_AT_ONCE",
        "Checkouts that are under way at once, whoever asked for them; what comes beyond that is 503.",
        default=100,
    )
    workflows_location: str = _setting(
        "DSS_WORKFLOWS_LOCATION", "Region in which the workflows are deployed.", default="us-east1"
    )
    workflows_prefix: str = _setting(
        "DSS_WORKFLOWS_PREFIX", "What the names of the deployed workflows begin with.", default="dss-"
    )
    workflows_emulator_host: str = _setting(
        "DSS_WORKFLOWS_EMULATOR_HOST",
        "Where a local server of the Executions API listens (host:port, gRPC without TLS).",
        default="",
    )
    reports_bucket: str = _setting(
        "DSS_REPORTS_BUCKET", "GCS bucket for the reports of administrative runs.", default=""
    )
    file_wait_seconds: int = _setting(
        "DSS_FILE_WAIT_SECONDS",
        "How long a write waits for what it names and is on its way from another replica, in seconds.",
        default=20,
    )
    max_body_bytes: int = _setting(
        "DSS_MAX_BODY_BYTES", "Largest request body that the API takes, in bytes.", default=8 * 1024 * 1024
    )
    api_memory_bytes: int = _setting(
        "DSS_API_MEMORY_BYTES",
        "Memory that a process of the API may take, in bytes; large requests wait for room in it, and are "
        "503 where there is none.",
        default=1024 * 1024 * 1024,
    )
    delivery_attempts: int = _setting(
        "DSS_DELIVERY_ATTEMPTS",
        "After how many attempts a message that cannot be handled becomes a dead letter.",
        default=30,
    )
    sweep_seconds: int = _setting(
        "DSS_SWEEP_SECONDS",
        "After how long the sweep brings to mind what a replica still lacks, in seconds.",
        default=600,
    )
    journal_seconds: int = _setting(
        "DSS_JOURNAL_SECONDS",
        "How old the oldest event must be before a journal is made that is not full, in seconds.",
        default=86_400,
    )
    index: str = _setting(
        "DSS_INDEX",
        "Back end that holds the index of POST /search: `firestore`, `postgresql`, or one that a package "
        "adds; `docs/search.md` has them.",
        default="firestore",
    )
    postgresql_dsn: str = _setting(
        "DSS_POSTGRESQL_DSN",
        "Database of the index back end `postgresql`, as libpq takes it (a URL, or words); what it leaves "
        "out, libpq takes from `PGHOST`, `PGPASSWORD` and so on.",
        default="",
    )
    upload_seconds: int = _setting(
        "DSS_UPLOAD_SECONDS",
        "After how long an upload in parts that no copy job works on is aborted, in seconds; "
        "no copy may take longer.",
        # A repair gives one object a day (shared/maintenance/repair.py), all other copies less.
        default=25 * 3600,
    )
    sns_topics: tuple[str, ...] = _setting(
        "DSS_SNS_TOPICS", "ARNs of the SNS topics that tell of S3 objects; comma-separated.", default=()
    )
    sns_signatures: bool = _setting(
        "DSS_SNS_SIGNATURES",
        "Whether messages of SNS must be signed; to be switched off on emulators only, which sign nothing.",
        default=True,
    )
    callback_networks: tuple[str, ...] = _setting(
        "DSS_CALLBACK_NETWORKS",
        "Networks (as 10.1.0.0/16) whose addresses subscribers may have although they are not public; "
        "comma-separated.",
        default=(),
    )
    public_url: str = _setting(
        "DSS_PUBLIC_URL",
        "URL by which clients reach the API; without it the request tells (`X-Forwarded-Proto`, `-Host`).",
        default="",
    )
    read_only_mode: bool = _setting("DSS_READ_ONLY_MODE", "Refuse every write with 503.", default=False)
    debug: bool = _setting("DSS_DEBUG", "Put stack traces into error answers.", default=False)
    oidc_issuer: str = _setting("OIDC_ISSUER", "URL of the OpenID provider whose tokens are accepted.")
    oidc_audience: tuple[str, ...] = _setting(
        "OIDC_AUDIENCE", "Audiences of which a token must have one; comma-separated."
    )
    oidc_email_claim: tuple[str, ...] = _setting(
        "OIDC_EMAIL_CLAIM",
        "Claims that may hold the caller's e-mail, the first present counts; comma-separated. "
        "`email_verified`, if there, has to be true.",
        default=("email",),
    )
    oidc_group_claim: tuple[str, ...] = _setting(
        "OIDC_GROUP_CLAIM",
        "Claims that may hold the caller's groups, the first present counts; comma-separated.",
        default=("group",),
    )
    write_groups: tuple[str, ...] = _setting(
        "DSS_WRITE_GROUPS", "Groups whose members may write; comma-separated.", default=("dss", "hca")
    )
    admin_user_emails: tuple[str, ...] = _setting(
        "ADMIN_USER_EMAILS", "E-mails of those who may do everything; comma-separated.", default=()
    )
    trusted_projects: tuple[str, ...] = _setting(
        "DSS_TRUSTED_PROJECTS",
        "Google Cloud projects whose service accounts may sign their own tokens; comma-separated.",
        default=(),
    )
    service_account_jwks_url: str = _setting(
        "DSS_SERVICE_ACCOUNT_JWKS_URL",
        "Where the public keys of a service account are; `{email}` stands for its e-mail.",
        default="https://www.googleapis.com/service_accounts/v1/jwk/{email}",
    )
    application_secrets: dict[str, Any] = _setting(
        "DSS_APPLICATION_SECRETS",
        "OAuth client that command lines sign in with, as JSON: the value of `installed`.",
        default={},
    )
    fault_point: str = _setting(
        "DSS_FAULT_POINT",
        "Point of `shared/faults.py` at which the process kills itself; for emulators only.",
        default="",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings that an environment holds (this process's, unless given).

        Raises ValueError, naming the variable, where one is missing or is not of its type.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for row in fields(cls):
            name = row.metadata["name"]
            if environment.get(name):
                values[row.name] = _parsed(row, environment[name])
            elif row.default is MISSING and row.default_factory is MISSING:
                raise ValueError(f"{name} is not set: {row.metadata['help']}")
        settings = cls(**values)
        if settings.fault_point and not environment.get("FIRESTORE_EMULATOR_HOST"):
            raise ValueError("DSS_FAULT_POINT is for tests on emulators only")
        if not settings.sns_signatures and not environment.get("AWS_ENDPOINT_URL"):
            raise ValueError("DSS_SNS_SIGNATURES must not be switched off in a deployment")
        if not 0 < settings.checkout_public_days < settings.checkout_days:
            raise ValueError("DSS_BLOB_PUBLIC_TTL_DAYS must lie between 1 and DSS_BLOB_TTL_DAYS")
        _check_mail(settings)
        _check_networks("DSS_CALLBACK_NETWORKS", settings.callback_networks)
        # S3 and GCS: a signed URL lives seven days at most.
        if not 0 < settings.signed_url_seconds <= 604_800:
            raise ValueError("DSS_SIGNED_URL_SECONDS must lie between 1 and 604800")
        return settings


def _check_mail(settings: Settings) -> None:
    if settings.smtp_host and not settings.smtp_sender:
        raise ValueError("DSS_SMTP_SENDER is not set, and DSS_SMTP_HOST is")
    if settings.smtp_tls not in ("starttls", "tls", "none"):
        raise ValueError("DSS_SMTP_TLS must be starttls, tls or none")
    # Each is noted in one document of Firestore.
    if not 0 < settings.mails_a_day <= 1000:
        raise ValueError("DSS_MAILS_A_DAY must lie between 1 and 1000")


def _check_networks(name: str, networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _parsed(row: "Field[Any]", text: str) -> Any:
    name = row.metadata["name"]
    if row.type is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(f"{name}: {text!r} is neither true nor false")
        return text.lower() in ("true", "1")
    if row.type is int:
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"{name}: {text!r} is not a whole number")
        return int(text)
    if row.type == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if row.type == dict[str, Any]:
        parsed = _json(name, text)
        if not isinstance(parsed, dict):
            raise ValueError(f"{name}: a JSON object is wanted")
        return parsed
    if row.type == tuple[ReplicaSetting, ...]:
        return _extra_replicas(name, _json(name, text))
    if row.type == tuple[CacheCriterion, ...]:
        return _cache_criteria(name, _json(name, text))
    return text


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: not JSON: {error}") from error


def _cache_criteria(name: str, parsed: Any) -> tuple[CacheCriterion, ...]:
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: a JSON list is wanted")
    for number, members in enumerate(parsed):
        known = {"type": str, "max_size": int}
        if not isinstance(members, dict) or {key: type(value) for key, value in members.items()} != known:
            raise ValueError(f"{name}[{number}]: `type`, a text, and `max_size`, in bytes, are wanted")
    return tuple(CacheCriterion(**members) for members in parsed)


def _extra_replicas(name: str, parsed: Any) -> tuple[ReplicaSetting, ...]:
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: a JSON list is wanted")
    names = {"gcp", "aws"}
    replicas = []
    for number, members in enumerate(parsed):
        where = f"{name}[{number}]"
        if not isinstance(members, dict) or not all(isinstance(value, str) for value in members.values()):
            raise ValueError(f"{where}: a JSON object with values that are text is wanted")
        own = {key: members.pop(key, "") for key in ("name", "scheme", "bucket", "checkout_bucket")}
        missing = [key for key, value in own.items() if not value]
        if missing:
            raise ValueError(f"{where}.{missing[0]}: missing")
        if own["name"] in names or not _REPLICA_NAME.fullmatch(own["name"]):
            raise ValueError(f"{where}.name: {own['name']!r} is taken, or is not of the form [a-z][a-z0-9-]*")
        names.add(own["name"])
        replicas.append(ReplicaSetting(**own, options=members))
    return tuple(replicas)
