"""Objects of replicas that are directories: what Google and Amazon do behind the signed URLs of theirs."""

from flask import Flask, Response, request
from werkzeug.wsgi import FileWrapper

from shared.errors import ObjectNotFound
from shared.replicas import Replicas
from shared.stores.posix import PosixDirectory

# Bytes that are in memory of one answer.
_BLOCK = 256 * 1024


def install(app: Flask, replicas: Replicas) -> None:
    """Add `/objects/{bucket}/{key}`, where a replica is a directory; else nothing.

    Answers GET and HEAD, with ranges and conditions, to whoever has a URL that `sign_get` made: 403 to all
    others. Raises ValueError where two directories have buckets of one name.
    """
    stores: dict[str, PosixDirectory] = {}
    for replica in replicas:
        if isinstance(replica.store, PosixDirectory):
            for bucket in (replica.bucket, replica.checkout_bucket):
                if stores.setdefault(bucket, replica.store) is not replica.store:
                    raise ValueError(f"replica {replica.name}: another directory has a bucket {bucket!r} too")

    def serve(bucket: str, key: str) -> Response:
        if bucket not in stores:
            raise ObjectNotFound(f"file://{bucket}/{key}: there is no such bucket")
        return _answer(stores[bucket], bucket, key)

    if stores:
        app.add_url_rule("/objects/<bucket>/<path:key>", "posix_objects", serve, methods=["GET"])


def _answer(store: PosixDirectory, bucket: str, key: str) -> Response:
    store.urls.verify(bucket, key, request.args)
    file, found = store.open(bucket, key)
    try:
        # Not the server's own wrapper: gunicorn's cannot seek, and reads all that comes before a range.
        response = Response(FileWrapper(file, _BLOCK), direct_passthrough=True)
        response.call_on_close(file.close)
        response.headers["Content-Type"] = found.content_type
        response.content_length = found.size
        response.set_etag(found.revision)
        if "disposition" in request.args:
            response.headers["Content-Disposition"] = request.args["disposition"]
        # Whatever a file holds, in a browser it is not a page of this service.
        response.headers["Content-Security-Policy"] = "sandbox"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.make_conditional(request, accept_ranges=True, complete_length=found.size)
    except BaseException:
        file.close()
        raise
    return response
