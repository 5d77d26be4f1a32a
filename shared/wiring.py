"""Make the real dependencies from settings; no other module opens clients of clouds."""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import google.auth
import google.auth.credentials
import requests
from google.auth import iam
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account

from shared.api_path import API_PATH
from shared.catalog import Catalog, Database
from shared.catalog.client import open_client
from shared.clock import SystemClock
from shared.config import Settings
from shared.executions import CloudWorkflows
from shared.explore.base import CatalogueStore, NoCatalogues
from shared.faults import FaultPoints
from shared.messages import PullSubscription
from shared.plugins import chosen
from shared.pubsub import PubSub, PubSubSubscription
from shared.replicas import Replica, Replicas
from shared.search.base import IndexBackend
from shared.setting_values import ReplicaSetting
from shared.stores.base import ObjectStore
from shared.stores.posix import PosixDirectory
from shared.stores.signed_urls import SignedUrls
from shared.system import Dss
from shared.tracing import Tracer

if TYPE_CHECKING:
    # Each store is imported when it is opened.
    from shared.stores.gcs.signing import UrlSigner

# Beyond as many connections, URLs that IAM signs are signed by connections of one use.
_SIGNING_CONNECTIONS = 64


def open_system(settings: Settings, *, late_stores: bool = False) -> Dss:
    """Return the dependencies of a process, connected according to the settings.

    With `late_stores` the object stores are opened when they are first used, and imported then.

    Call it once a process, after a server has forked: clients of gRPC do not survive a fork.
    """
    clock = SystemClock()
    replicas = open_replicas(settings, late=late_stores)
    client = open_client(settings.project, settings.firestore_database)
    catalog = Catalog(Database(client, replicas=replicas.names, clock=clock))
    return Dss(
        settings=settings,
        replicas=replicas,
        catalog=catalog,
        index=open_index(settings, catalog),
        publisher=open_publisher(settings),
        workflows=CloudWorkflows(
            project=settings.project,
            location=settings.workflows_location,
            prefix=settings.workflows_prefix,
            emulator_host=settings.workflows_emulator_host,
        ),
        clock=clock,
        faults=FaultPoints(settings.fault_point),
        catalogues=open_catalogues(settings),
        tracer=open_tracer(settings),
    )


# Google's own OTLP, of which Cloud Trace has the spans; roles/cloudtrace.agent suffices.
# https://cloud.google.com/iam/docs/roles-permissions/cloudtrace
_CLOUD_TRACES = "https://telemetry.googleapis.com/v1/traces"


def open_tracer(settings: Settings) -> Tracer:
    """Return what traces the work of this process, and exports it by OTLP over HTTP as DSS_TRACES says."""

    def exporter() -> Any:
        # With the first span: who traces nothing needs none of this.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        if settings.traces != "cloud":
            return OTLPSpanExporter(endpoint=settings.traces, timeout=5)
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        return OTLPSpanExporter(endpoint=_CLOUD_TRACES, session=AuthorizedSession(credentials), timeout=5)

    share = settings.trace_percent / 100
    return Tracer(
        settings.project,
        share,
        None if settings.traces == "none" else exporter,
        service=settings.trace_service,
    )


# The index back ends of this package.
INDEX_GROUP = "dss.index"
INDEX_BACKENDS: Mapping[str, str] = {
    "firestore": "shared.search.firestore.backend:open_index",
    "postgresql": "shared.search.postgresql.backend:open_index",
}


def open_index(settings: Settings, catalog: Catalog) -> IndexBackend:
    """Return the index back end that DSS_INDEX names, from this package or an entry point of another.

    Raises ValueError, with the known names, if there is no such back end.
    """
    backend = chosen(INDEX_GROUP, INDEX_BACKENDS, settings.index, "DSS_INDEX: there is no back end")
    opened: IndexBackend = backend.load()(settings, catalog)
    return opened


def open_catalogues(settings: Settings) -> CatalogueStore:
    """Return the catalogues that DSS_CATALOGUES lists."""
    if not settings.catalogues:
        return NoCatalogues()
    # Only processes that have catalogues need the driver of PostgreSQL.
    from shared.explore.postgresql.store import PostgreSqlCatalogues

    host = urlsplit(settings.public_url).netloc
    endpoint = f"{settings.public_url.rstrip('/')}{API_PATH}"
    return PostgreSqlCatalogues(settings.postgresql_dsn, settings.catalogues, endpoint=endpoint, host=host)


def open_publisher(settings: Settings) -> PubSub:
    """Return what publishes to the topics of this deployment; it connects at its first use."""
    return PubSub(settings.project, settings.pubsub_prefix)


def open_subscription(settings: Settings, name: str) -> PullSubscription:
    """Return a subscription of the project, for operators; it connects at its first use."""
    return PubSubSubscription(settings.project, name, settings.pubsub_prefix)


def _google(settings: Settings) -> ObjectStore:
    from shared.stores import gcs

    return gcs.GoogleCloudStorage(gcs.open_client(settings.project), gcs_signer(settings))


def _amazon(
    settings: Settings, *, region: str = "", endpoint_url: str = "", profile: str = ""
) -> ObjectStore:
    import boto3

    from shared.stores import s3
    from shared.stores.s3.session import open_session

    session = (
        boto3.Session(profile_name=profile)
        if profile
        else open_session(
            role_arn=settings.aws_role_arn,
            audience=settings.aws_role_audience,
            signed_url_seconds=settings.signed_url_seconds,
        )
    )
    return s3.S3(s3.open_client(session, region=region, endpoint_url=endpoint_url))


def _directory(settings: Settings, *, root: str, signing_key_file: str, url: str = "") -> ObjectStore:
    base = url or settings.public_url
    if not base:
        raise ValueError("url: missing; set it, or DSS_PUBLIC_URL")
    key = Path(signing_key_file).read_bytes().strip()
    urls = SignedUrls(base=f"{base.rstrip('/')}/objects", key=key, clock=SystemClock())
    return PosixDirectory(Path(root), urls)


# How to open stores, by the scheme of their URLs; the keywords are the options of a replica.
STORES: Mapping[str, Callable[..., ObjectStore]] = {
    "gs": _google,
    "s3": _amazon,
    "file": _directory,
}


def open_replicas(settings: Settings, *, late: bool = False) -> Replicas:
    """Return the replicas of the settings, `gcp` first; with `late`, open their stores when they are used.

    Replicas with the same scheme and options share one store, which copies within itself. Raises ValueError
    if a scheme or option is unknown or missing.
    """
    openers: dict[tuple[str, frozenset[tuple[str, str]]], Callable[[], ObjectStore]] = {}

    regions = {"gcp": settings.gs_region, "aws": settings.s3_region}

    def replica_of(setting: ReplicaSetting) -> Replica:
        key = setting.scheme, frozenset(setting.options.items())
        if key not in openers:
            openers[key] = cache(_opener(settings, setting))
        return Replica(
            name=setting.name,
            open_store=openers[key],
            bucket=setting.bucket,
            checkout_bucket=setting.checkout_bucket,
            region=regions.get(setting.name, ""),
        )

    first = (
        ReplicaSetting(
            name="gcp",
            scheme="gs",
            bucket=settings.gs_bucket,
            checkout_bucket=settings.gs_checkout_bucket,
        ),
        ReplicaSetting(
            name="aws",
            scheme="s3",
            bucket=settings.s3_bucket,
            checkout_bucket=settings.s3_checkout_bucket,
        ),
    )
    replicas = Replicas(*map(replica_of, (*first, *settings.extra_replicas)))
    if not late:
        for opener in openers.values():
            opener()
    return replicas


def _opener(settings: Settings, replica: ReplicaSetting) -> Callable[[], ObjectStore]:
    try:
        opener = STORES[replica.scheme]
    except KeyError:
        raise ValueError(
            f"replica {replica.name}: scheme {replica.scheme!r} is none of {', '.join(STORES)}"
        ) from None
    try:
        inspect.signature(opener).bind(settings, **replica.options)
    except TypeError as error:
        raise ValueError(f"replica {replica.name}: {error}") from error
    return partial(opener, settings, **replica.options)


def gcs_signer(settings: Settings) -> "UrlSigner":
    """Return what signs URLs of GCS: the configured key, of either kind, or this service account by IAM."""
    from shared.stores.gcs.signing import AccountSigner, HmacSigner

    if settings.gs_signing_key_file:
        key = json.loads(Path(settings.gs_signing_key_file).read_bytes())
        if "private_key" not in key:
            return HmacSigner.parse(key)
        return AccountSigner(service_account.Credentials.from_service_account_info(key))
    own, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    # As many connections as URLs are signed at once (run/api/urls.py), of some requests.
    session = requests.Session()
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=_SIGNING_CONNECTIONS))
    request = Request(session)
    # On Cloud Run the e-mail is known after a request to the metadata server.
    own.refresh(request)
    email = str(getattr(own, "service_account_email", ""))
    return AccountSigner(IamSigningCredentials(iam.Signer(request, own, email), email), asks=True)


class IamSigningCredentials(google.auth.credentials.Signing):
    """Signs with the key of a service account that IAM holds; each signature is a network call."""

    def __init__(self, signer: iam.Signer, email: str) -> None:
        self._signer = signer
        self._email = email

    def sign_bytes(self, message: bytes) -> bytes:
        """Return the signature of the message, made by IAM's signBlob."""
        signature: bytes = self._signer.sign(message)
        return signature

    @property
    def signer_email(self) -> str:
        """The e-mail of the service account that signs."""
        return self._email

    @property
    def signer(self) -> iam.Signer:
        """The signer itself."""
        return self._signer
