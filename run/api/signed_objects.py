"""Serves objects by signed URL for stores that have no server of their own, as the clouds do for theirs."""

import io

from flask import Flask, Response, request
from werkzeug.wsgi import FileWrapper

from shared.errors import ObjectNotFound
from shared.replicas import Replicas
from shared.stores.base import Reader, StoredObject
from shared.stores.plain import PlainStore

# Bytes of an answer that are in memory at once.
_BLOCK = 256 * 1024


def install(app: Flask, replicas: Replicas) -> None:
    """Add `/objects/{bucket}/{key}` if a replica is in such a store; else nothing.

    Answer GET and HEAD, with ranges and conditions, for URLs that `sign_get` made; 403 for all others. Raise
    ValueError if two stores have buckets of one name.
    """
    stores: dict[str, PlainStore] = {}
    for replica in replicas:
        if isinstance(replica.store, PlainStore):
            for bucket in (replica.bucket, replica.checkout_bucket):
                if stores.setdefault(bucket, replica.store) is not replica.store:
                    raise ValueError(
                        f"replica {replica.name}: another store has a bucket {bucket!r} too; rename one"
                    )

    def serve(bucket: str, key: str) -> Response:
        if bucket not in stores:
            raise ObjectNotFound(f"{bucket}/{key}: no such bucket")
        return _answer(stores[bucket], bucket, key)

    if stores:
        app.add_url_rule("/objects/<bucket>/<path:key>", "signed_objects", serve, methods=["GET"])


def _answer(store: PlainStore, bucket: str, key: str) -> Response:
    store.urls.verify(bucket, key, request.args)
    stored = store.stat(bucket, key)
    file = io.BufferedReader(_Object(store, stored), _BLOCK)  # type: ignore[type-var] # typed for `read` alone
    # Not the server's own wrapper: gunicorn's cannot seek, and reads everything before a range.
    response = Response(FileWrapper(file, _BLOCK), direct_passthrough=True)
    response.call_on_close(file.close)
    response.headers["Content-Type"] = request.args.get("type") or stored.content_type
    response.content_length = stored.size
    response.set_etag(stored.revision)
    if "disposition" in request.args:
        response.headers["Content-Disposition"] = request.args["disposition"]
    # In a browser an object must never act as a page of this service.
    response.headers["Content-Security-Policy"] = "sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request, accept_ranges=True, complete_length=stored.size)
    return response


class _Object(io.RawIOBase):
    """An object as a file that is read from its store on demand."""

    def __init__(self, store: PlainStore, stored: StoredObject) -> None:
        self._store = store
        self._stored = stored
        self._position = 0
        self._reader: Reader | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only positions from the start are supported")
        self._close_reader()
        self._position = offset
        return offset

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override] # typed as Buffer
        if self._reader is None:
            rest = self._stored.size - self._position
            self._reader = self._store.read(self._stored, self._position, rest)
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._close_reader()
        super().close()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
