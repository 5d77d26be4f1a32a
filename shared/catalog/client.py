"""The client of Firestore, whose calls obey the deadline of a request (shared/deadlines.py)."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import grpc
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import client as firestore_client
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from grpc.experimental import ChannelOptions

from shared.deadlines import limited

# Seconds, for calls to which the client library gives no limit.
_LIMIT_SECONDS = 60
# Seconds between attempts, at most; the client library's own go up to 60. It does not look at the deadline of
# the request before it pauses: so long a request may last beyond it.
LONGEST_PAUSE = 1.0
# All reads are streams. By default gRPC starts a thread for each: a quarter of the processor time of a read.
_ONE_THREAD = (ChannelOptions.SingleThreadedUnaryStream, 1)
# Answers of any size, as the client library has them from the real Firestore.
_ANY_SIZE = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


def open_client(project: str, database: str) -> firestore.Client:
    """Return a client for a database of Firestore, or for the emulator that FIRESTORE_EMULATOR_HOST names.

    Each attempt of each call ends at the deadline of its request: the client library starts some streams
    again and again, and gives its transactions no limit. None begins later, and pauses between attempts
    are short.
    """
    client = _Client(project=project, database=database)
    # The client makes its transport here, at its first use, and has no other way to be given one.
    client._firestore_api_helper(_Transport, firestore_client.FirestoreClient, firestore_client)  # noqa: SLF001
    return client


class _Client(firestore.Client):
    def _emulator_channel(self, _: object) -> grpc.Channel:
        return grpc.insecure_channel(self._emulator_host, options=[_ONE_THREAD, *_ANY_SIZE])


class _Transport(FirestoreGrpcTransport):
    def __init__(self, *, channel: grpc.Channel, **options: Any) -> None:
        super().__init__(channel=grpc.intercept_channel(channel, _Limit()), **options)
        # Without the deadline, for those who see to it themselves: shared/catalog/reads.py.
        self.plain_channel = channel

    def _prep_wrapped_messages(self, client_info: Any) -> None:
        super()._prep_wrapped_messages(client_info)  # type: ignore[no-untyped-call] # no types
        # The client's methods take their defaults from here, and have no other setting for them.
        calls: Iterable[Any] = self._wrapped_methods.values()
        for call in calls:
            if call._retry:  # noqa: SLF001
                call._retry = call._retry.with_delay(maximum=LONGEST_PAUSE)  # noqa: SLF001

    @classmethod
    def create_channel(cls, *arguments: Any, options: Iterable[tuple[str, Any]] = (), **named: Any) -> Any:
        return super().create_channel(*arguments, options=[*options, _ONE_THREAD], **named)


class _Call(NamedTuple):
    """What grpc.ClientCallDetails has."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Limit(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc] # no types
    def intercept_unary_unary(self, continuation: Callable[..., Any], call: Any, request: Any) -> Any:
        limit = limited(call.timeout or _LIMIT_SECONDS)
        return continuation(
            _Call(call.method, limit, call.metadata, call.credentials, call.wait_for_ready, call.compression),
            request,
        )

    intercept_unary_stream = intercept_unary_unary
