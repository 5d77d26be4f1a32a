"""Where the real dependencies are made, from settings: the one place that opens clients of clouds."""

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import boto3
import google.auth
import google.auth.credentials
from google.auth import iam
from google.auth.transport.requests import Request
from google.cloud import firestore
from google.oauth2 import service_account

from shared.catalog import Catalog, Database
from shared.clock import SystemClock
from shared.config import ReplicaSetting, Settings
from shared.executions import CloudWorkflows
from shared.faults import FaultPoints
from shared.messages import PullSubscription
from shared.pubsub import PubSub, PubSubSubscription
from shared.replicas import Replica, Replicas
from shared.search.base import IndexBackend
from shared.stores import gcs, s3
from shared.stores.base import ObjectStore
from shared.stores.posix import PosixDirectory
from shared.stores.s3.session import open_session
from shared.stores.signed_urls import SignedUrls
from shared.system import Dss


def open_system(settings: Settings) -> Dss:
    """Return the dependencies of a process of the system, connected as the settings say.

    To be called once a process, after a server has forked: clients of gRPC do not survive a fork.
    """
    clock = SystemClock()
    replicas = open_replicas(settings)
    database = Database(firestore.Client(project=settings.project), replicas=replicas.names, clock=clock)
    catalog = Catalog(database)
    return Dss(
        settings=settings,
        replicas=replicas,
        catalog=catalog,
        index=open_index(settings, catalog),
        publisher=PubSub(settings.project),
        workflows=CloudWorkflows(
            project=settings.project,
            location=settings.workflows_location,
            prefix=settings.workflows_prefix,
            emulator_host=settings.workflows_emulator_host,
        ),
        clock=clock,
        faults=FaultPoints(settings.fault_point),
    )


# Back ends of the index that come with this package. Written as entry points are, so that only the one chosen
# is imported; in code, because what Cloud Functions run was not installed as a package, and has none.
INDEX_GROUP = "dss.index"
INDEX_BACKENDS: Mapping[str, str] = {
    "firestore": "shared.search.firestore.backend:open_index",
    "postgresql": "shared.search.postgresql.backend:open_index",
}


def open_index(settings: Settings, catalog: Catalog) -> IndexBackend:
    """Return the index back end that DSS_INDEX names, ours or that of another package's entry point.

    Raises ValueError, naming those that there are, where there is none of this name.
    """
    name = settings.index
    installed = entry_points(group=INDEX_GROUP)
    if name in INDEX_BACKENDS:
        chosen = EntryPoint(name, INDEX_BACKENDS[name], INDEX_GROUP)
    elif name in installed.names:
        chosen = installed[name]
    else:
        known = ", ".join(sorted({*INDEX_BACKENDS, *installed.names}))
        raise ValueError(f"DSS_INDEX: there is no back end {name!r}; there are: {known}")
    opened: IndexBackend = chosen.load()(settings, catalog)
    return opened


def open_subscription(settings: Settings, name: str) -> PullSubscription:
    """Return a subscription of the system's project, for operators; connected at its first use."""
    return PubSubSubscription(settings.project, name)


def _google(settings: Settings) -> ObjectStore:
    return gcs.GoogleCloudStorage(gcs.open_client(settings.project), signing_credentials(settings))


def _amazon(
    settings: Settings, *, region: str = "", endpoint_url: str = "", profile: str = ""
) -> ObjectStore:
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
        raise ValueError("url: missing, and DSS_PUBLIC_URL is not set either")
    key = Path(signing_key_file).read_bytes().strip()
    urls = SignedUrls(base=f"{base.rstrip('/')}/objects", key=key, clock=SystemClock())
    return PosixDirectory(Path(root), urls)


# Every kind of store: the scheme of its URLs, and what opens it; its keywords are the options of a replica.
STORES: Mapping[str, Callable[..., ObjectStore]] = {
    "gs": _google,
    "s3": _amazon,
    "file": _directory,
}


def open_replicas(settings: Settings) -> Replicas:
    """Return the replicas that the settings name, `gcp` first.

    Replicas of one scheme with the same options share one store: whatever is one store copies within itself.
    Raises ValueError for a scheme or an option that is not known, or is missing.
    """
    opened: dict[tuple[str, frozenset[tuple[str, str]]], ObjectStore] = {}

    def opened_as(wanted: ReplicaSetting) -> Replica:
        kind = wanted.scheme, frozenset(wanted.options.items())
        if kind not in opened:
            opened[kind] = _open_store(settings, wanted)
        return Replica(
            name=wanted.name,
            store=opened[kind],
            bucket=wanted.bucket,
            checkout_bucket=wanted.checkout_bucket,
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
    return Replicas(*map(opened_as, (*first, *settings.extra_replicas)))


def _open_store(settings: Settings, wanted: ReplicaSetting) -> ObjectStore:
    try:
        opener = STORES[wanted.scheme]
    except KeyError:
        raise ValueError(
            f"replica {wanted.name}: scheme {wanted.scheme!r} is none of {', '.join(STORES)}"
        ) from None
    try:
        inspect.signature(opener).bind(settings, **wanted.options)
    except TypeError as error:
        raise ValueError(f"replica {wanted.name}: {error}") from error
    return opener(settings, **wanted.options)


def signing_credentials(settings: Settings) -> google.auth.credentials.Signing:
    """Return what signs URLs of GCS: the configured key, or else IAM in the name of this service."""
    if settings.gs_signing_key_file:
        key: google.auth.credentials.Signing = service_account.Credentials.from_service_account_file(
            settings.gs_signing_key_file
        )
        return key
    own, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    request = Request()
    # On Cloud Run the e-mail is known only once the metadata server has been asked.
    own.refresh(request)
    email = str(getattr(own, "service_account_email", ""))
    return IamSigningCredentials(iam.Signer(request, own, email), email)


class IamSigningCredentials(google.auth.credentials.Signing):
    """Signs with a service account's key that IAM holds, one network call a signature."""

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
