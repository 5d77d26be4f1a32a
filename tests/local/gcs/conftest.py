"""Servers as processes, real clients, and what tests wait with."""

import json
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2 import service_account

from local.components import emulators
from local.stack import Stack
from local.supervisor.processes import with_default_signals

ROOT = Path(__file__).parents[3]
DEADLINE = 60  # seconds


class RunningServer:
    """A server process, and ways to end it."""

    def __init__(self, data: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "gcs_server", "--data", str(data), *arguments]
        self.process = subprocess.Popen(
            with_default_signals(command), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the server didn't start"
        self.address = line.split()[-1]
        self.port = int(self.address.rpartition(":")[2])

    def client(self) -> storage.Client:
        return storage.Client(
            project="dss-local",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.address},
        )

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        assert self.process.stdout
        self.process.stdout.close()
        return code


class Signer:
    """A service account of its own, and the certificate of its key."""

    def __init__(self, directory: Path) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = {
            "client_email": "signer@dss-local.iam.gserviceaccount.com",
            "token_uri": "http://127.0.0.1:9/token",
            "private_key": pem.decode(),
        }
        self.credentials = service_account.Credentials.from_service_account_info(info)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        ).sign(key, hashes.SHA256())
        self.certificate = directory / "certificate.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.public_key = directory / "public.pem"
        self.public_key.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="session")
def second_signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("second-signer"))


@pytest.fixture(scope="session")
def hmac_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with an HMAC key, as GCS describes a new one."""
    file = tmp_path_factory.mktemp("hmac") / "key.json"
    file.write_text(json.dumps({"metadata": {"accessId": "GOOG1EXAMPLE"}, "secret": str(uuid.uuid4())}))
    return file


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, signer: Signer, second_signer: Signer, hmac_key: Path
) -> Iterator[RunningServer]:
    running = RunningServer(
        tmp_path_factory.mktemp("gcs"),
        *("--signing-cert", str(signer.certificate), "--signing-cert", str(second_signer.public_key)),
        *("--signing-cert", str(hmac_key)),
        *("--rewrite-bytes-per-call", str(1024 * 1024)),
    )
    yield running
    assert running.end() == 0


@pytest.fixture(scope="session")
def client(server: RunningServer) -> storage.Client:
    return server.client()


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    return client.create_bucket(f"bucket-{uuid.uuid4()}")


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Return a function that starts a server on the test's own directory; it is killed at the end."""
    started: list[RunningServer] = []

    def start(*arguments: str) -> RunningServer:
        started.append(RunningServer(tmp_path / "data", *arguments))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], object]:
    """Return a function that waits for a true result and returns it; it fails after DEADLINE."""

    def wait(condition: Callable[[], object]) -> object:
        end = time.monotonic() + DEADLINE
        while not (result := condition()):
            assert time.monotonic() < end, "it didn't happen in time"
            time.sleep(0.02)
        return result

    return wait


@pytest.fixture(scope="session")
def server_class() -> type[RunningServer]:
    return RunningServer


@pytest.fixture
def free_port() -> int:
    return _free_port()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PubSub:
    """The Pub/Sub emulator, over REST."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.address = f"http://{host}/v1"

    def subscribed_topic(self) -> tuple[str, str]:
        number = uuid.uuid4().hex
        topic, subscription = (
            f"projects/dss-local/topics/t{number}",
            f"projects/dss-local/subscriptions/s{number}",
        )
        requests.put(f"{self.address}/{topic}", timeout=DEADLINE).raise_for_status()
        requests.put(
            f"{self.address}/{subscription}", json={"topic": topic}, timeout=DEADLINE
        ).raise_for_status()
        return topic, subscription

    def pull(self, subscription: str) -> list[dict]:
        path = f"{self.address}/{subscription}"
        asked = {"maxMessages": 1000, "returnImmediately": True}
        answer = requests.post(f"{path}:pull", json=asked, timeout=DEADLINE)
        received = answer.json().get("receivedMessages", [])
        if received:
            acks = {"ackIds": [message["ackId"] for message in received]}
            requests.post(f"{path}:acknowledge", json=acks, timeout=DEADLINE)
        return [message["message"] for message in received]


@pytest.fixture(scope="session")
def pubsub() -> Iterator[PubSub]:
    with Stack(table=(emulators.pubsub,)).running() as env:
        yield PubSub(env["PUBSUB_EMULATOR_HOST"])
