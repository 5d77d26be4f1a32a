"""Settings: one table (name, type, default, help), read from the environment once.

`make settings` writes `docs/settings.md` from this table.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from shared.bucket_rules import BucketRule, check_whole_buckets
from shared.explore.settings import CatalogueSetting
from shared.issuer_settings import IssuerSetting, check_distinct, check_token_info
from shared.mail_settings import check_mail
from shared.network_settings import check_networks, check_origins
from shared.observation_settings import check_observation
from shared.setting_values import CacheCriterion, ReplicaSetting, parse_value
from shared.sign_in_settings import SignInClient, check_clients
from shared.signed_url_settings import check_signed_urls
from shared.visa_settings import PassportIssuer, VisaGrant, check_consistent


def _setting(name: str, help_text: str, *, default: Any = MISSING) -> Any:
    metadata = {"name": name, "help": help_text}
    if default is MISSING:
        return field(metadata=metadata)
    if isinstance(default, dict):
        return field(metadata=metadata, default_factory=lambda: dict(default))
    return field(metadata=metadata, default=default)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The configuration of a process; a field without a default is required."""

    project: str = _setting("GOOGLE_CLOUD_PROJECT", "Google Cloud project that holds Firestore and Pub/Sub.")
    gs_bucket: str = _setting("DSS_GS_BUCKET", "Main bucket of replica `gcp`.")
    s3_bucket: str = _setting("DSS_S3_BUCKET", "Main bucket of replica `aws`.")
    gs_checkout_bucket: str = _setting("DSS_GS_CHECKOUT_BUCKET", "Checkout bucket of replica `gcp`.")
    s3_checkout_bucket: str = _setting("DSS_S3_CHECKOUT_BUCKET", "Checkout bucket of replica `aws`.")
    gs_region: str = _setting("DSS_GS_REGION", "Location of the GCS buckets, for clients of DRS.", default="")
    s3_region: str = _setting("DSS_S3_REGION", "Region of the S3 buckets, for clients of DRS.", default="")
    gs_staging_bucket: str = _setting(
        "DSS_GS_STAGING_BUCKET",
        "GCS bucket, or `bucket/prefix`, from which everybody who may write puts files.",
        default="",
    )
    s3_staging_bucket: str = _setting(
        "DSS_S3_STAGING_BUCKET",
        "S3 bucket, or `bucket/prefix`, from which everybody who may write puts files.",
        default="",
    )
    sources: tuple[BucketRule, ...] = _setting(
        "DSS_SOURCES",
        "Further places from which members of groups put files, as a JSON list of `{url, groups}`: "
        "`gs://bucket`, `s3://bucket/prefix/`, with `*` for any characters; `signed-in` is everybody.",
        default=(),
    )
    destinations: tuple[BucketRule, ...] = _setting(
        "DSS_DESTINATIONS",
        "Buckets into which members of groups check out without a proof in them, as a JSON list of "
        "`{url, groups}`: `gs://bucket`, with `*` for any characters.",
        default=(),
    )
    firestore_database: str = _setting(
        "DSS_FIRESTORE_DATABASE",
        "Firestore database of the catalog; a backup is restored into a new one.",
        default="(default)",
    )
    pubsub_prefix: str = _setting("DSS_PUBSUB_PREFIX", "Before names of topics, subscriptions.", default="")
    extra_replicas: tuple[ReplicaSetting, ...] = _setting(
        "DSS_EXTRA_REPLICAS",
        "More replicas than `gcp` and `aws`, as a JSON list of objects; `docs/stores.md` describes them.",
        default=(),
    )
    gs_signing_key_file: str = _setting(
        "DSS_GS_SIGNING_KEY_FILE",
        "File (JSON) with the key that signs URLs of GCS: that of a service account, or an HMAC key, which "
        "takes a tenth of the time; without it IAM signs, one call per URL.",
        default="",
    )
    secrets_key_file: str = _setting(
        "DSS_SECRETS_KEY_FILE",
        "File with the keys that encrypt secrets of subscriptions, tokens of journals and sessions of pages, "
        "one per line, the newest first; without it there are no signed notifications, no streams of parts "
        "of journals, and no sign-in to pages.",
        default="",
    )
    aws_role_arn: str = _setting(
        "DSS_AWS_ROLE_ARN",
        "AWS role to assume with the Google identity of this service; without it boto3 finds credentials.",
        default="",
    )
    aws_role_audience: str = _setting(
        "DSS_AWS_ROLE_AUDIENCE",
        "Audience of the Google identity token that assumes the AWS role.",
        default="sts.amazonaws.com",
    )
    signed_url_seconds: int = _setting(
        "DSS_SIGNED_URL_SECONDS",
        "Seconds a signed URL lives; at most 604,800, without keys 39,600.",
        default=3600,
    )
    inline_copy_seconds: int = _setting(
        "DSS_INLINE_COPY_SECONDS",
        "Time limit for copying a blob within a request, in seconds. Clients give up after 40.",
        default=25,
    )
    inline_copy_bytes: int = _setting(
        "DSS_INLINE_COPY_BYTES",
        "Largest object in bytes that one call of a function copies between clouds; the copy workflow copies "
        "larger ones.",
        default=1024 * 1024 * 1024,
    )
    inline_verify_bytes: int = _setting(
        "DSS_INLINE_VERIFY_BYTES",
        "Largest source object in bytes whose checksums a PUT computes while the request runs; the copy "
        "workflow verifies larger ones.",
        default=16 * 1024 * 1024,
    )
    checkout_days: int = _setting(
        "DSS_BLOB_TTL_DAYS",
        "Days that a checkout bucket keeps an object after its last use; its lifecycle rules say the same.",
        default=14,
    )
    checkout_public_days: int = _setting(
        "DSS_BLOB_PUBLIC_TTL_DAYS",
        "Days after its last use that a checkout is returned without renewal; an older one is renewed first.",
        default=7,
    )
    checkout_cache_criteria: tuple[CacheCriterion, ...] = _setting(
        "CHECKOUT_CACHE_CRITERIA",
        "Files that checkout buckets never delete: a JSON list of `{type, max_size}`, media type and bytes.",
        default=(),
    )
    smtp_host: str = _setting(
        "DSS_SMTP_HOST", "Mail server for reports of checkouts; without it no mail is sent.", default=""
    )
    smtp_port: int = _setting("DSS_SMTP_PORT", "Port of the mail server.", default=587)
    smtp_tls: str = _setting(
        "DSS_SMTP_TLS", "Encryption to the mail server: `starttls`, `tls` or `none`.", default="starttls"
    )
    smtp_user: str = _setting(
        "DSS_SMTP_USER", "User name for the mail server; without it there is no sign-in.", default=""
    )
    smtp_password: str = _setting("DSS_SMTP_PASSWORD", "Password for the mail server.", default="")
    smtp_sender: str = _setting(
        "DSS_SMTP_SENDER", "Sender address of mails; required with DSS_SMTP_HOST.", default=""
    )
    mails_a_day: int = _setting("DSS_MAILS_A_DAY", "Mails to one address per day (UTC), at most.", default=20)
    checkouts_at_once: int = _setting(
        "DSS_CHECKOUTS_AT_ONCE",
        "Checkouts in progress at once, of all callers together; one more is answered by 503.",
        default=100,
    )
    checkouts_per_client: int = _setting(
        "DSS_CHECKOUTS_PER_CLIENT",
        "Checkouts in progress at once that one caller, or one IP address, has begun.",
        default=10,
    )
    workflows_location: str = _setting(
        "DSS_WORKFLOWS_LOCATION", "Region of the workflows.", default="us-east1"
    )
    workflows_prefix: str = _setting(
        "DSS_WORKFLOWS_PREFIX", "Prefix of the names of the workflows.", default="dss-"
    )
    workflows_emulator_host: str = _setting(
        "DSS_WORKFLOWS_EMULATOR_HOST",
        "Address of a local server of the Executions API (host:port, gRPC without TLS).",
        default="",
    )
    push_emulator_host: str = _setting(
        "DSS_PUSH_EMULATOR_HOST", "Address of a local server for `dss admin stop` (host:port).", default=""
    )
    reports_bucket: str = _setting(
        "DSS_REPORTS_BUCKET", "GCS bucket for the reports of admin jobs.", default=""
    )
    file_wait_seconds: int = _setting(
        "DSS_FILE_WAIT_SECONDS",
        "Time in seconds that a write waits until the files or bundles that it names are replicated.",
        default=20,
    )
    version_ahead_seconds: int = _setting(
        "DSS_VERSION_AHEAD_SECONDS",
        "Time in seconds that the version of a write may be ahead of the clock of the API.",
        default=600,
    )
    max_body_bytes: int = _setting(
        "DSS_MAX_BODY_BYTES", "Largest request body that the API accepts, in bytes.", default=8 * 1024 * 1024
    )
    request_seconds: int = _setting(
        "DSS_REQUEST_SECONDS",
        "Time limit of the API for a request in seconds, without its body; then calls to back ends end, and "
        "the answer is 503. Clients give up after 40.",
        default=30,
    )
    client_seconds: int = _setting(
        "DSS_CLIENT_SECONDS",
        "Time limit of the API for a client in seconds: to send the head of a request, to send its body, and "
        "to receive each 64 KiB of the answer.",
        default=20,
    )
    api_memory_bytes: int = _setting(
        "DSS_API_MEMORY_BYTES",
        "Memory that a process of the API may use, in bytes; large requests wait until enough of it is free, "
        "or are answered by 503.",
        default=1024 * 1024 * 1024,
    )
    sweep_seconds: int = _setting(
        "DSS_SWEEP_SECONDS",
        "Age in seconds at which the sweep republishes the event of an object that a replica still lacks.",
        default=600,
    )
    unstarted_seconds: int = _setting(
        "DSS_UNSTARTED_SECONDS", "Age in seconds of a job that the sweep starts if nobody has.", default=300
    )
    journal_seconds: int = _setting(
        "DSS_JOURNAL_SECONDS",
        "Age in seconds of the oldest event at which a journal is written although it is not full.",
        default=86_400,
    )
    index: str = _setting(
        "DSS_INDEX",
        "Back end of the search index: `firestore`, `postgresql`, or one that another package adds; see "
        "`docs/search.md`.",
        default="firestore",
    )
    catalogues: tuple[CatalogueSetting, ...] = _setting(
        "DSS_CATALOGUES",
        "Catalogues in the database of DSS_POSTGRESQL_DSN, as a JSON list; see `docs/explore-plugins.md`.",
        default=(),
    )
    postgresql_dsn: str = _setting(
        "DSS_POSTGRESQL_DSN",
        "Connection string of libpq for the back end `postgresql` and catalogues; the rest is in `PGHOST` ….",
        default="",
    )
    upload_seconds: int = _setting(
        "DSS_UPLOAD_SECONDS",
        "Age in seconds at which a multipart upload without a copy job is aborted; no copy may take longer.",
        # A repair has a day for one object (shared/maintenance/repair.py), all other copies less.
        default=25 * 3600,
    )
    sns_topics: tuple[str, ...] = _setting(
        "DSS_SNS_TOPICS", "ARNs of the SNS topics with the events of S3 objects; comma-separated.", default=()
    )
    sns_signatures: bool = _setting(
        "DSS_SNS_SIGNATURES",
        "Require signatures of SNS messages; switch it off on emulators only, which do not sign.",
        default=True,
    )
    callback_networks: tuple[str, ...] = _setting(
        "DSS_CALLBACK_NETWORKS",
        "Networks (as 10.1.0.0/16) with addresses that callbacks may have although they are not public; "
        "comma-separated.",
        default=(),
    )
    public_url: str = _setting(
        "DSS_PUBLIC_URL",
        "URL by which clients reach the API, by default that of requests; browsers keep to one of https.",
        default="",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "DSS_TRUSTED_PROXIES",
        "Networks (as 169.254.0.0/16) of proxies whose `X-Forwarded-Proto`, `-Host` and `-For` count; "
        "comma-separated.",
        default=(),
    )
    principal_units: int = _setting(
        "DSS_PRINCIPAL_UNITS",
        "Cost units a minute that a caller who has signed in may spend in each process of the API; 0 is no "
        "limit. `docs/operations.md` says what operations cost.",
        # A fifth of what a process on one CPU can do, at 2 ms a unit. `dss upload` with its eight files at
        # once stays below: in the cloud a PUT of a small file takes some 0.4 s, and it costs 4.
        default=6_000,
    )
    address_units: int = _setting(
        "DSS_ADDRESS_UNITS",
        "Cost units a minute that an IP address, or an IPv6 network of 64 bits, may spend in each process of "
        "the API by requests whose token is not verified; 0 is no limit.",
        default=6_000,
    )
    unlimited_networks: tuple[str, ...] = _setting(
        "DSS_UNLIMITED_NETWORKS",
        "Networks (as 10.1.0.0/16) whose requests are not limited, as those of admins; comma-separated.",
        default=(),
    )
    cors_origins: tuple[str, ...] = _setting(
        "DSS_CORS_ORIGINS",
        "Origins (`https://notebooks.example.org`) whose pages in browsers may call the API; `*` is any, and "
        "`none` is none; comma-separated. Buckets have rules of their own.",
        default=("*",),
    )
    read_only_mode: bool = _setting("DSS_READ_ONLY_MODE", "Answer every write by 503.", default=False)
    debug: int = _setting(
        "DSS_DEBUG",
        "0: warnings of libraries are logged; 1: what is of use to developers too, and error answers have "
        "stack traces; 2: everything, tokens included, so never where others read the log.",
        default=0,
    )
    traces: str = _setting(
        "DSS_TRACES",
        "Where spans are exported: `none`, `cloud` (Cloud Trace), or the URL of a collector of OTLP over "
        "HTTP, as `http://localhost:4318/v1/traces`.",
        default="none",
    )
    trace_percent: int = _setting(
        "DSS_TRACE_PERCENT", "Percent of the traces that are exported, chosen by their ids.", default=100
    )
    trace_service: str = _setting(
        "OTEL_SERVICE_NAME", "Name of this process in traces, as `dss-sync`.", default="dss"
    )
    oidc_issuer: str = _setting("OIDC_ISSUER", "URL of the OpenID provider whose tokens are accepted.")
    oidc_audience: tuple[str, ...] = _setting(
        "OIDC_AUDIENCE", "Accepted audiences, one of which a token must have; comma-separated."
    )
    oidc_email_claim: tuple[str, ...] = _setting(
        "OIDC_EMAIL_CLAIM",
        "Claims with the caller's e-mail; the first that is present counts; comma-separated. "
        "`email_verified`, if present, must be true.",
        default=("email",),
    )
    oidc_group_claim: tuple[str, ...] = _setting(
        "OIDC_GROUP_CLAIM",
        "Claims with the caller's groups; the first that is present counts; comma-separated.",
        default=("group",),
    )
    oidc_issuers: tuple[IssuerSetting, ...] = _setting(
        "OIDC_ISSUERS",
        "More OpenID providers than OIDC_ISSUER, as a JSON list of objects; `docs/deploy.md` describes them.",
        default=(),
    )
    sign_in_clients: tuple[SignInClient, ...] = _setting(
        "DSS_SIGN_IN_CLIENTS",
        "OAuth clients by which people sign in to the pages, as a JSON list of `{issuer, client_id, "
        "client_secret, audience, label}`; `docs/deploy.md` describes them. It needs DSS_SECRETS_KEY_FILE.",
        default=(),
    )
    token_info_url: str = _setting(
        "DSS_TOKEN_INFO_URL",
        "URL that tells whose an opaque access token is, as `https://oauth2.googleapis.com/tokeninfo` does; "
        "without it such tokens are not accepted.",
        default="",
    )
    token_info_clients: tuple[str, ...] = _setting(
        "DSS_TOKEN_INFO_CLIENTS",
        "OAuth clients (`aud` or `azp`) whose access tokens are accepted; comma-separated. Those of service "
        "accounts of DSS_TRUSTED_PROJECTS are accepted as well.",
        default=(),
    )
    passport_issuers: tuple[PassportIssuer, ...] = _setting(
        "DSS_PASSPORT_ISSUERS",
        "Brokers whose GA4GH Passports count in DRS, as a JSON list of `{issuer, jwks_url, audiences}`; "
        "`docs/access.md` describes them.",
        default=(),
    )
    visa_grants: tuple[VisaGrant, ...] = _setting(
        "DSS_VISA_GRANTS",
        "Groups that `ControlledAccessGrants` visas in passports give, for reading, as a JSON list of "
        "`{issuer, value, groups, source, by, jwks_url}`.",
        default=(),
    )
    secured: tuple[str, ...] = _setting(
        "DSS_SECURED",
        "Operations of the contract (`files.get`) that need sign-in beside those that always do, or `all`; "
        "comma-separated.",
        default=(),
    )
    write_groups: tuple[str, ...] = _setting(
        "DSS_WRITE_GROUPS", "Groups whose members may write; comma-separated.", default=("dss", "hca")
    )
    default_access: str = _setting(
        "DSS_DEFAULT_ACCESS",
        "Who may read what is bound to no group: `public`, `signed-in`, or the name of a group.",
        default="public",
    )
    hide_managed: bool = _setting(
        "DSS_HIDE_MANAGED",
        "Answer 404 for managed data, as if they weren't there, to those who may not read them.",
        default=False,
    )
    purge_grace_hours: int = _setting(
        "DSS_PURGE_GRACE_HOURS",
        "Hours for which what is to be removed for good is only withheld, and the purge can be undone.",
        default=72,
    )
    organization_name: str = _setting(
        "DSS_ORGANIZATION_NAME", "Who runs this service, for clients of DRS.", default="Data Storage System"
    )
    organization_url: str = _setting(
        "DSS_ORGANIZATION_URL",
        "Website of those who run this service; without it the URL by which clients reach the API.",
        default="",
    )
    access_contact: str = _setting(
        "DSS_ACCESS_CONTACT", "Whom to ask for access to managed data: an address or a URL.", default=""
    )
    audit_log: str = _setting(
        "DSS_AUDIT_LOG",
        "File to which the audit log is appended, and which `dss admin who` reads; without it the API prints "
        "the lines, and `dss admin` writes and reads them in Cloud Logging.",
        default="",
    )
    audit_log_bucket: str = _setting(
        "DSS_AUDIT_LOG_BUCKET",
        "Log bucket that keeps the audit log, `projects/…/locations/…/buckets/…`, for `dss admin who`; "
        "without it that reads all logs of the project.",
        default="",
    )
    subscription_days: int = _setting(
        "DSS_SUBSCRIPTION_DAYS",
        "Days without a sign-in of its owner after which a subscription pauses; 0: it never does.",
        default=90,
    )
    owner_group: str = _setting(
        "DSS_OWNER_GROUP",
        "Group that owns the new bundles whose PUT names no `owner_group`: only its members may write them.",
        default="",
    )
    admin_user_emails: tuple[str, ...] = _setting(
        "ADMIN_USER_EMAILS", "E-mails of admins, who may do everything; comma-separated.", default=()
    )
    trusted_projects: tuple[str, ...] = _setting(
        "DSS_TRUSTED_PROJECTS",
        "Google Cloud projects whose service accounts may sign their own tokens; comma-separated.",
        default=(),
    )
    service_account_jwks_url: str = _setting(
        "DSS_SERVICE_ACCOUNT_JWKS_URL",
        "URL of the public keys of a service account; `{email}` stands for its e-mail.",
        default="https://www.googleapis.com/service_accounts/v1/jwk/{email}",
    )
    application_secrets: dict[str, Any] = _setting(
        "DSS_APPLICATION_SECRETS",
        "OAuth client for command lines, as JSON: the value of `installed`.",
        default={},
    )
    fault_point: str = _setting(
        "DSS_FAULT_POINT",
        "Fault point of `shared/faults.py` at which the process kills itself; for emulators only.",
        default="",
    )

    @property
    def issuers(self) -> tuple[IssuerSetting, ...]:
        """All issuers of tokens; the first is that of OIDC_ISSUER."""
        first = IssuerSetting(
            issuer=self.oidc_issuer,
            audiences=self.oidc_audience,
            email_claims=self.oidc_email_claim,
            group_claims=self.oidc_group_claim,
        )
        return (first, *self.oidc_issuers)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings of an environment, by default that of this process.

        Raise ValueError, which names the variable, if one is missing or malformed.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for row in fields(cls):
            name = row.metadata["name"]
            if environment.get(name):
                values[row.name] = parse_value(row.type, name, environment[name])
            elif row.default is MISSING and row.default_factory is MISSING:
                raise ValueError(f"{name} is not set: {row.metadata['help']}")
        settings = cls(**values)
        if settings.fault_point and not environment.get("FIRESTORE_EMULATOR_HOST"):
            raise ValueError("DSS_FAULT_POINT: allowed on emulators only; unset it")
        if not settings.sns_signatures and not environment.get("AWS_ENDPOINT_URL"):
            raise ValueError("DSS_SNS_SIGNATURES: false is allowed on emulators only; unset it")
        check_observation(settings.traces, settings.trace_percent, settings.debug)
        if not 0 < settings.checkout_public_days < settings.checkout_days:
            raise ValueError("DSS_BLOB_PUBLIC_TTL_DAYS must be at least 1 and less than DSS_BLOB_TTL_DAYS")
        check_whole_buckets("DSS_DESTINATIONS", settings.destinations)
        check_mail(settings.smtp_host, settings.smtp_sender, settings.smtp_tls, settings.mails_a_day)
        _check_sign_in(settings)
        check_origins(settings.cors_origins)
        check_networks("DSS_CALLBACK_NETWORKS", settings.callback_networks)
        check_networks("DSS_TRUSTED_PROXIES", settings.trusted_proxies)
        check_networks("DSS_UNLIMITED_NETWORKS", settings.unlimited_networks)
        check_signed_urls(settings.signed_url_seconds, settings.gs_signing_key_file, settings.aws_role_arn)
        return settings


def _check_sign_in(settings: Settings) -> None:
    check_distinct("OIDC_ISSUERS", settings.issuers)
    check_consistent(settings.passport_issuers, settings.visa_grants)
    has_key = bool(settings.secrets_key_file)
    check_clients("DSS_SIGN_IN_CLIENTS", settings.sign_in_clients, settings.issuers, has_key=has_key)
    if settings.token_info_url:
        has_clients = bool(settings.token_info_clients or settings.trusted_projects)
        check_token_info(settings.token_info_url, has_clients=has_clients)


def pubsub_emulator() -> str:
    """Return HOST:PORT of Pub/Sub's emulator, if any. One of Google's clients does not look for it itself."""
    return os.environ.get("PUBSUB_EMULATOR_HOST", "")
