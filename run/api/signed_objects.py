"""Objects of stores that serve none themselves: what the clouds do behind the signed URLs of theirs."""

import io

from flask import Flask, Response, request
from werkzeug.wsgi import FileWrapper

from shared.errors import ObjectNotFound
from shared.replicas import Replicas
from shared.stores.base import Reader, StoredObject
from shared.stores.plain import PlainStore

# Bytes that are in memory of one answer.
_BLOCK = 256 * 1024


def install(app: Flask, replicas: Replicas) -> None:
    """Add `/objects/{bucket}/{key}`, where a replica is in such a store; else nothing.

    Answers GET and HEAD, with ranges and conditions, to whoever has a URL that `sign_get` made: 403 to all
    others. Raises ValueError where two stores have buckets of one name.
    """
    stores: dict[str, PlainStore] = {}
    for replica in replicas:
        if isinstance(replica.store, PlainStore):
            for bucket in (replica.bucket, replica.checkout_bucket):
                if stores.setdefault(bucket, replica.store) is not replica.store:
                    raise ValueError(f"replica {replica.name}: another store has a bucket {bucket!r} too")

    def serve(bucket: str, key: str) -> Response:
        if bucket not in stores:
            raise ObjectNotFound(f"{bucket}/{key}: there is no such bucket")
        return _answer(stores[bucket], bucket, key)

    if stores:
        app.add_url_rule("/objects/<bucket>/<path:key>", "signed_objects", serve, methods=["GET"])


def _answer(store: PlainStore, bucket: str, key: str) -> Response:
    store.urls.verify(bucket, key, request.args)
    found = store.stat(bucket, key)
    file = io.BufferedReader(_Object(store, found), _BLOCK)  # type: ignore[type-var] # typed for `read` alone
    # Not the server's own wrapper: gunicorn's cannot seek, and reads all that comes before a range.
    response = Response(FileWrapper(file, _BLOCK), direct_passthrough=True)
    response.call_on_close(file.close)
    response.headers["Content-Type"] = found.content_type
    response.content_length = found.size
    response.set_etag(found.revision)
    if "disposition" in request.args:
        response.headers["Content-Disposition"] = request.args["disposition"]
    # Whatever an object holds, in a browser it is not a page of this service.
    response.headers["Content-Security-Policy"] = "sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request, accept_ranges=True, complete_length=found.size)
    return response


class _Object(io.RawIOBase):
    """An object as a file, of which its store is asked only when something is read."""

    def __init__(self, store: PlainStore, found: StoredObject) -> None:
        self._store = store
        self._found = found
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
            raise io.UnsupportedOperation("positions are counted from the start")
        self._let_go()
        self._position = offset
        return offset

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override] # it says Buffer
        if self._reader is None:
            rest = self._found.size - self._position
            self._reader = self._store.read(self._found, self._position, rest)
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
