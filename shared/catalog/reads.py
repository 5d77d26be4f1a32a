"""Reads of Firestore, from the messages themselves: a field is decoded when it is asked for.

The client library wraps each message and each value in an object of its own, and copies each document twice:
half the processor time of a read. What is sent, retried and limited is as the library does it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

import grpc
from google.api_core import exceptions, retry
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud import firestore
from google.cloud.firestore_v1.base_collection import BaseCollectionReference
from google.cloud.firestore_v1.base_document import DocumentSnapshot
from google.cloud.firestore_v1.document import DocumentReference
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    Document,
    GetDocumentRequest,
    RunQueryRequest,
    RunQueryResponse,
    StructuredQuery,
)

from shared.catalog.client import LONGEST_PAUSE
from shared.deadlines import limited

_T = TypeVar("_T")

_SERVICE = "/google.firestore.v1.Firestore"
# As the client library retries these calls, but with shorter pauses.
_RETRIED = retry.Retry(
    predicate=retry.if_exception_type(
        exceptions.DeadlineExceeded, exceptions.InternalServerError, exceptions.ServiceUnavailable
    ),
    initial=0.1,
    maximum=LONGEST_PAUSE,
    multiplier=1.3,
    timeout=300.0,
)
# The library has no types for these.
_precise: Any = DatetimeWithNanoseconds.from_timestamp_pb
_error_of: Any = exceptions.from_grpc_error
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Snapshot(DocumentSnapshot[Any]):
    """A document as it was read, whether it exists or not.

    What it returns belongs to the caller: each call decodes anew. Queries take it as a position.
    """

    def __init__(
        self, client: firestore.Client, name: str, document: Any = None, read_time: Any = None
    ) -> None:
        """`name` is the full one, and `document` the message, None if there is no document.

        `read_time` is when it was read, by Firestore's clock, if Firestore has said that.
        """
        self._owner = client
        self._name = name
        self._document = document
        self._read_time = read_time

    @property
    def exists(self) -> bool:
        """Whether there is a document."""
        return self._document is not None

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self._name.rpartition("/")[2]

    @cached_property
    def _reference(self) -> DocumentReference:
        return self._owner.document(self._name.partition("/documents/")[2])

    @property
    def update_time(self) -> DatetimeWithNanoseconds:
        """When the document last changed."""
        moment: DatetimeWithNanoseconds = _precise(self._document.update_time)
        return moment

    @property
    def age(self) -> timedelta:
        """For how long the document has not changed, by Firestore's clock alone; only `get_many` can tell."""
        changed = self._document.update_time
        seconds = self._read_time.seconds - changed.seconds
        return timedelta(seconds=seconds, microseconds=(self._read_time.nanos - changed.nanos) / 1000)

    @property
    def _data(self) -> dict[str, Any] | None:
        return self.to_dict()

    def to_dict(self) -> dict[str, Any] | None:
        """Return all fields; None if there is no document."""
        return None if self._document is None else _members(self._document.fields)

    def get(self, field: str) -> Any:
        """Return a field; None if there is no document. Raises KeyError if it has no such field."""
        if self._document is None:
            return None
        fields = self._document.fields
        if field not in fields:
            raise KeyError(f"{self._name} has no field {field}")
        return _decoded(fields[field])


def _members(fields: Any) -> dict[str, Any]:
    return {name: _decoded(value) for name, value in fields.items()}


def _decoded(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    decode = _DECODERS.get(kind)
    return decode(value) if decode else getattr(value, kind)


def _moment(value: Any) -> datetime:
    # Firestore keeps microseconds.
    moment = value.timestamp_value
    return _EPOCH + timedelta(seconds=moment.seconds, microseconds=moment.nanos // 1000)


# The kinds of values whose attribute is not the value. The catalog has neither references nor places.
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "null_value": lambda _: None,
    "timestamp_value": _moment,
    "array_value": lambda value: [*map(_decoded, value.array_value.values)],
    "map_value": lambda value: _members(value.map_value.fields),
}


class Reads:
    """Reads by one client. Threads share it."""

    def __init__(self, client: firestore.Client) -> None:
        self._client = client
        self._has_answered = False

    def get(self, reference: Any, timeout: float) -> Snapshot:
        """Return the snapshot of a document, whether it exists or not."""
        name = self._name(reference)
        request = GetDocumentRequest.pb()(name=name)
        try:
            found = self._ask(self._get_document, request, f"name={name}", timeout)
        except exceptions.NotFound:
            # The answer is the same if there is no database: once a process, that is told apart.
            if not self._has_answered:
                self.get_many([reference], (), timeout)
            found = None
        self._has_answered = True
        return Snapshot(self._client, name, found)

    def get_many(
        self, references: Sequence[Any], fields: Iterable[str] | None, timeout: float
    ) -> list[Snapshot]:
        """Return the snapshots of documents, in no order; `fields` limits what is read of them.

        A document that is asked for twice is returned once.
        """
        request = BatchGetDocumentsRequest.pb()(
            database=self._database,
            documents=[*map(self._name, references)],
            mask=None if fields is None else {"field_paths": fields},
        )
        return [
            Snapshot(self._client, answer.found.name, answer.found, answer.read_time)
            if answer.HasField("found")
            else Snapshot(self._client, answer.missing)
            for answer in self._ask_all(self._batch_get, request, f"database={self._database}", timeout)
            if answer.HasField("found") or answer.missing
        ]

    def query(self, query: Any, timeout: float) -> list[Snapshot]:
        """Return the snapshots of the documents that a query finds, in its order."""
        if isinstance(query, BaseCollectionReference):
            query = query.order_by("__name__")
        # The library builds the message when it sends the query, and has no other way to be asked for it.
        parent, _ = query._parent._parent_info()  # noqa: SLF001
        structured = StructuredQuery.pb(query._to_protobuf())  # noqa: SLF001
        request = RunQueryRequest.pb()(parent=parent, structured_query=structured)
        return [
            Snapshot(self._client, answer.document.name, answer.document)
            for answer in self._ask_all(self._run_query, request, f"parent={parent}", timeout)
            if answer.HasField("document")
        ]

    def _ask_all(self, call: Any, request: Any, routed_by: str, timeout: float) -> list[Any]:
        """Return the whole of an answer that comes in parts: if it breaks off, it is asked for again."""
        return self._ask(lambda *sent, **how: list(call(*sent, **how)), request, routed_by, timeout)

    def _ask(self, call: Callable[..., _T], request: Any, routed_by: str, timeout: float) -> _T:
        metadata = (*self._metadata, ("x-goog-request-params", routed_by))

        def attempt() -> _T:
            try:
                return call(request, timeout=limited(timeout), metadata=metadata)
            except grpc.RpcError as error:
                raise _error_of(error) from error

        return _RETRIED(attempt)()

    def _name(self, reference: Any) -> str:
        return f"{self._database}/documents/{reference.path}"

    @cached_property
    def _database(self) -> str:
        return str(self._client._database_string)  # noqa: SLF001

    @cached_property
    def _metadata(self) -> Sequence[tuple[str, str]]:
        return tuple(self._client._rpc_metadata)  # noqa: SLF001

    @cached_property
    def _get_document(self) -> Any:
        return self._channel.unary_unary(f"{_SERVICE}/GetDocument", **_messages(Document))

    @cached_property
    def _batch_get(self) -> Any:
        messages = _messages(BatchGetDocumentsResponse)
        return self._channel.unary_stream(f"{_SERVICE}/BatchGetDocuments", **messages)

    @cached_property
    def _run_query(self) -> Any:
        return self._channel.unary_stream(f"{_SERVICE}/RunQuery", **_messages(RunQueryResponse))

    @cached_property
    def _channel(self) -> grpc.Channel:
        transport = self._client._firestore_api.transport  # noqa: SLF001
        # Calls get their deadline here.
        return getattr(transport, "plain_channel", transport.grpc_channel)


def _messages(answer: Any) -> dict[str, Callable[[Any], Any]]:
    return {
        "request_serializer": lambda request: request.SerializeToString(),
        "response_deserializer": answer.pb().FromString,
    }
