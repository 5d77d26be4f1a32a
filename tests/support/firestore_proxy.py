"""A proxy for Firestore's gRPC that counts documents read, writes and queries.

It stands between the API and the emulator. Messages are passed on as the bytes that they are.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.firestore_v1 import types

_SERVICE = "google.firestore.v1.Firestore"
_STREAMED = {"BatchGetDocuments", "RunQuery", "RunAggregationQuery"}
_BOTH_WAYS = {"Listen", "Write"}
# gRPC sets these itself for the connection to the emulator.
_OF_THE_CONNECTION = ("user-agent", "grpc-", "te", "content-type", ":")
_SWITCHES = b"/operation/switches"
_LARGEST = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(kw_only=True)
class FirestoreCall:
    """A request to Firestore, and its price: documents read, and documents written or deleted.

    `checks` are deletions on condition that there is no document: they change nothing, ever. `code` is that
    of the answer, None while there is none.
    """

    method: str
    reads: int = 0
    writes: int = 0
    checks: int = 0
    queries: list[types.StructuredQuery] = field(default_factory=list)
    code: grpc.StatusCode | None = None
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(kw_only=True)
class CallFault:
    """A fault of the next `times` calls of a method: a delay in seconds, then `code` instead of an answer.

    With `lose_answer` the call has its effect all the same.
    """

    method: str
    times: int = 1
    delay: float = 0.0
    code: grpc.StatusCode | None = None
    lose_answer: bool = False


@dataclass
class FirestoreProxy:
    """`with FirestoreProxy(address) as proxy:` serves the emulator at host:port under `proxy.address`."""

    target: str
    calls: list[FirestoreCall] = field(default_factory=list)
    _harms: list[CallFault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "FirestoreProxy":
        self.channel = grpc.insecure_channel(self.target, options=_LARGEST)
        self._server = grpc.server(ThreadPoolExecutor(64), options=_LARGEST)
        self._server.add_generic_rpc_handlers([_Relay(self)])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=0).wait()
        self.channel.close()

    def inflict(self, harm: CallFault) -> None:
        """Inject a fault into calls to come."""
        with self._lock:
            self._harms.append(harm)

    def forget(self) -> None:
        """Forget all calls and faults."""
        with self._lock:
            self.calls.clear()
            self._harms.clear()

    def begin(self, method: str) -> tuple[FirestoreCall, CallFault | None]:
        """Record a call, and return its fault, if any."""
        call = FirestoreCall(method=method)
        with self._lock:
            self.calls.append(call)
            for harm in self._harms:
                if harm.method == method and harm.times > 0:
                    harm.times -= 1
                    return call, harm
        return call, None


class _Relay(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Makes a handler for any method; without serializers gRPC hands out bytes."""

    def __init__(self, proxy: FirestoreProxy) -> None:
        self._proxy = proxy

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        method = details.method.rpartition("/")[2]
        if method in _BOTH_WAYS:
            upstream = self._proxy.channel.stream_stream(details.method)
            return grpc.stream_stream_rpc_method_handler(self._passing(upstream, method))
        if method in _STREAMED:
            upstream = self._proxy.channel.unary_stream(details.method)
            return grpc.unary_stream_rpc_method_handler(self._streaming(upstream, method))
        upstream = self._proxy.channel.unary_unary(details.method)
        return grpc.unary_unary_rpc_method_handler(self._single(upstream, method))

    def _begin(self, method: str, request: bytes) -> tuple[FirestoreCall, CallFault | None]:
        if _SWITCHES in request:
            # Every two seconds, asked or not: no part of a request, nor of its price.
            return FirestoreCall(method=method), None
        return self._proxy.begin(method)

    def _single(self, upstream: Any, method: str) -> Callable[[bytes, Any], bytes]:
        def answer(request: bytes, context: Any) -> bytes:
            call, harm = self._begin(method, request)
            _read_request(call, request)
            _delay_or_refuse(harm, call, context)
            try:
                response: bytes = upstream(request, **_passed_on(context))
            except grpc.RpcError as error:
                _abort(call, context, error)
            _lose(harm, call, context)
            _end(call, grpc.StatusCode.OK)
            return response

        return answer

    def _streaming(self, upstream: Any, method: str) -> Callable[[bytes, Any], Iterator[bytes]]:
        def answer(request: bytes, context: Any) -> Iterator[bytes]:
            call, harm = self._begin(method, request)
            # A client that has all it needs may cancel before the end.
            context.add_callback(lambda: call.ended.is_set() or _end(call, grpc.StatusCode.CANCELLED))
            _read_request(call, request)
            _delay_or_refuse(harm, call, context)
            try:
                for response in upstream(request, **_passed_on(context)):
                    _read_response(call, response)
                    yield response
            except grpc.RpcError as error:
                _abort(call, context, error)
            if not call.reads:
                # Firestore: a query that finds nothing is billed as one read.
                call.reads = 1
            _end(call, grpc.StatusCode.OK)

        return answer

    def _passing(self, upstream: Any, method: str) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
        def answer(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            call, _ = self._proxy.begin(method)
            try:
                yield from upstream(requests, **_passed_on(context))
                _end(call, grpc.StatusCode.OK)
            except grpc.RpcError as error:
                _abort(call, context, error)

        return answer


def _passed_on(context: Any) -> dict[str, Any]:
    metadata = [pair for pair in context.invocation_metadata() if not pair[0].startswith(_OF_THE_CONNECTION)]
    return {"metadata": metadata, "timeout": context.time_remaining()}


def _end(call: FirestoreCall, code: grpc.StatusCode) -> None:
    call.code = code
    call.ended.set()


def _abort(call: FirestoreCall, context: Any, error: Any) -> None:
    # That there is no such document is an answer as any other.
    is_answer = call.method == "GetDocument" and error.code() is grpc.StatusCode.NOT_FOUND
    _end(call, grpc.StatusCode.OK if is_answer else error.code())
    context.set_trailing_metadata(error.trailing_metadata() or ())
    context.abort(error.code(), error.details())


def _delay_or_refuse(harm: CallFault | None, call: FirestoreCall, context: Any) -> None:
    if harm:
        time.sleep(harm.delay)
        if harm.code and not harm.lose_answer:
            _end(call, harm.code)
            context.abort(harm.code, "a test wants it so")


def _lose(harm: CallFault | None, call: FirestoreCall, context: Any) -> None:
    if harm and harm.lose_answer:
        _end(call, harm.code or grpc.StatusCode.UNAVAILABLE)
        context.abort(call.code, "a test wants it so, after the effect")


def _read_request(call: FirestoreCall, request: bytes) -> None:
    if call.method == "Commit":
        for write in types.CommitRequest.deserialize(request).writes:
            # `exists` is False if it is not set, too: only the raw message distinguishes these.
            condition = types.Write.pb(write).current_document
            must_not_exist = condition.HasField("exists") and not condition.exists
            if "delete" in write and must_not_exist:
                call.checks += 1
            else:
                call.writes += 1
    elif call.method == "GetDocument":
        call.reads += 1
    elif call.method == "RunQuery":
        call.queries.append(types.RunQueryRequest.deserialize(request).structured_query)
    elif call.method == "RunAggregationQuery":
        aggregation = types.RunAggregationQueryRequest.deserialize(request).structured_aggregation_query
        call.queries.append(aggregation.structured_query)


def _read_response(call: FirestoreCall, response: bytes) -> None:
    if call.method == "BatchGetDocuments":
        answer = types.BatchGetDocumentsResponse.deserialize(response)
        call.reads += "found" in answer or "missing" in answer
    elif call.method == "RunQuery":
        call.reads += "document" in types.RunQueryResponse.deserialize(response)
    elif call.method == "RunAggregationQuery":
        counted = types.RunAggregationQueryResponse.deserialize(response).result.aggregate_fields
        # Firestore: a read for each thousand index entries that were counted.
        call.reads += sum(math.ceil(value.integer_value / 1000) for value in counted.values())
