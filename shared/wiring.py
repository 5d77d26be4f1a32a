"""Where the real dependencies are made, from settings: the one place that opens clients of both clouds."""

import google.auth
import google.auth.credentials
from google.auth import iam
from google.auth.transport.requests import Request
from google.cloud import firestore
from google.oauth2 import service_account

from shared.catalog import Catalog, Database
from shared.clock import SystemClock
from shared.config import Settings
from shared.faults import FaultPoints
from shared.replicas import Replica, Replicas
from shared.stores import gcs, s3
from shared.stores.aws_session import open_session
from shared.system import Dss


def open_system(settings: Settings) -> Dss:
    """Return the dependencies of a process of the system, connected as the settings say.

    To be called once a process, after a server has forked: clients of gRPC do not survive a fork.
    """
    clock = SystemClock()
    replicas = Replicas(
        Replica(
            name="gcp",
            store=gcs.GoogleCloudStorage(gcs.open_client(settings.project), signing_credentials(settings)),
            bucket=settings.gs_bucket,
            checkout_bucket=settings.gs_checkout_bucket,
        ),
        Replica(
            name="aws",
            store=s3.S3(
                s3.open_client(
                    open_session(
                        role_arn=settings.aws_role_arn,
                        audience=settings.aws_role_audience,
                        signed_url_seconds=settings.signed_url_seconds,
                    )
                )
            ),
            bucket=settings.s3_bucket,
            checkout_bucket=settings.s3_checkout_bucket,
        ),
    )
    database = Database(firestore.Client(project=settings.project), replicas=replicas.names, clock=clock)
    return Dss(
        settings=settings,
        replicas=replicas,
        catalog=Catalog(database),
        clock=clock,
        faults=FaultPoints(settings.fault_point),
    )


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
