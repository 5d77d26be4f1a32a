"""Serves objects by signed URL for stores that have no server of their own, as the clouds do for theirs."""

from flask import Flask, Response, request

from run.api.object_files import object_answer
from shared.errors import ObjectNotFound
from shared.replicas import Replicas
from shared.stores.plain import PlainStore


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
    response = object_answer(
        store,
        stored,
        [(0, stored.size)],
        content_type=request.args.get("type") or stored.content_type,
        tag=stored.revision,
    )
    if "disposition" in request.args:
        response.headers["Content-Disposition"] = request.args["disposition"]
    return response
