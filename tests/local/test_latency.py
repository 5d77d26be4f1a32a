"""The latency proxy delays every request, and requests that don't wait for each other overlap."""

import io
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, storage

from local.components import API_TABLE
from local.components.latency import delayed
from local.config import base_environment
from local.stack import Stack
from local.supervisor import forkserver
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Processes
from tests.support.waiting import wait_until

SECONDS = 0.25
# So many requests, one after the other, would take much longer than all at once, also on a busy machine.
MANY = 40


class Echo:
    """A server that sends back what it gets, and records when each line came."""

    def __init__(self):
        self.came = []
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                self.came.append(time.monotonic())
                connection.sendall(line)

    def close(self):
        self._listener.close()


@pytest.fixture(scope="module")
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture(scope="module")
def proxy(echo):
    """The port of a proxy in front of the echo server."""
    with reserve() as reservation, Processes() as processes:
        port = reservation.getsockname()[1]
        command = (sys.executable, "-m", "local.servers.latency", f"{SECONDS * 1000:g}")
        forkserver.start(
            processes,
            "latency",
            (*command, f"{port}={HOST}:{echo.port}"),
            base_environment(os.environ),
            log=processes.scratch / "log",
            directory=processes.scratch,
        )
        wait_until(lambda: listens(port), "the proxy listens", 120)
        yield port


def listens(port):
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def connect(port):
    return socket.create_connection((HOST, port), timeout=60)


def test_a_request_reaches_the_server_after_the_delay(echo, proxy):
    with connect(proxy) as client, client.makefile("rb") as answers:
        for number in range(2):
            sent = time.monotonic()
            client.sendall(b"%d\n" % number)
            assert answers.readline() == b"%d\n" % number
            assert echo.came[-1] - sent >= SECONDS


def test_requests_on_one_connection_overlap(proxy):
    began = time.monotonic()
    with connect(proxy) as client, client.makefile("rb") as answers:
        for number in range(MANY):
            client.sendall(b"%d\n" % number)
        assert [answers.readline() for _ in range(MANY)] == [b"%d\n" % number for number in range(MANY)]
    assert time.monotonic() - began < MANY * SECONDS


def test_bytes_keep_their_order_and_the_end_of_the_stream_comes_last(proxy):
    content = os.urandom(3_000_000).replace(b"\n", b" ") + b"\n"
    with connect(proxy) as client, client.makefile("rb") as answers:
        sending = threading.Thread(target=lambda: (client.sendall(content), client.shutdown(socket.SHUT_WR)))
        sending.start()
        assert answers.read() == content
        sending.join(60)


def test_a_server_that_is_not_there_closes_the_connection():
    with reserve() as reservation, reserve() as nobody, Processes() as processes:
        port, target = reservation.getsockname()[1], nobody.getsockname()[1]
        forkserver.start(
            processes,
            "latency",
            (sys.executable, "-m", "local.servers.latency", "0", f"{port}={HOST}:{target}"),
            base_environment(os.environ),
            log=processes.scratch / "log",
            directory=processes.scratch,
        )
        wait_until(lambda: listens(port), "the proxy listens", 120)
        with connect(port) as client:
            assert client.recv(1) == b""


@pytest.fixture(scope="module")
def env():
    """The emulators, with the delay."""
    table = tuple(row for row in API_TABLE if row.__name__ in ("firestore", "pubsub", "gcs", "s3"))
    with Stack(table=delayed(table, SECONDS * 1000)).running() as env:
        yield env


def seconds_of(call):
    """Return the seconds that a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_requests_to_gcs_are_delayed_also_those_by_its_links(env):
    client = storage.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": env["STORAGE_EMULATOR_HOST"]},
    )
    blob = client.bucket(env["DSS_GS_BUCKET"]).blob("object", chunk_size=256 * 1024)

    # Beginning the upload, and two chunks, at the address that the server says.
    assert seconds_of(lambda: blob.upload_from_file(io.BytesIO(bytes(300 * 1024)))) >= 3 * SECONDS
    assert blob.media_link.startswith(env["STORAGE_EMULATOR_HOST"])
    # One request a chunk.
    assert seconds_of(lambda: blob.download_as_bytes()) >= 2 * SECONDS


def test_requests_to_s3_are_delayed(env):
    client = boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
        region_name="us-east-1",
    )

    put = seconds_of(lambda: client.put_object(Bucket=env["DSS_S3_BUCKET"], Key="key", Body=b"content"))

    assert put >= SECONDS
    assert client.get_object(Bucket=env["DSS_S3_BUCKET"], Key="key")["Body"].read() == b"content"


def test_calls_of_firestore_are_delayed_and_overlap_on_one_channel(env, monkeypatch):
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", env["FIRESTORE_EMULATOR_HOST"])
    client = firestore.Client(project="latency")
    document = client.document("documents/one")
    assert seconds_of(lambda: document.set({"a": 1})) >= SECONDS

    began = time.monotonic()
    with ThreadPoolExecutor(MANY) as threads:
        each = list(threads.map(lambda _: seconds_of(document.get), range(MANY)))

    assert min(each) >= SECONDS
    assert time.monotonic() - began < MANY * SECONDS
