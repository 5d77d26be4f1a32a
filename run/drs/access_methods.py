"""Access methods of files: where the bytes are, and signed URLs of them."""

import re
from typing import Any

from run.api.call import Call
from run.api.urls import attachment, signed_url
from shared.catalog import FileRecord
from shared.errors import IllegalArguments, NotFound
from shared.replicas import Replica, Replicas
from shared.stores.base import bucket_url

_HTTPS = "https"
# The schemes of stores that are types of access methods.
_TYPES = ("gs", "s3")
# Google Cloud: a project id, perhaps in a domain; or a project number.
_PROJECT = re.compile(r"([a-z0-9.-]{1,63}:)?[a-z0-9-]{1,63}")


def methods_of(replicas: Replicas, record: FileRecord, *, first: str | None = None) -> list[dict[str, Any]]:
    """Return the access methods of a file, one of each type, the preferred one first.

    That is the store of the primary replica, or of the replica `first`; then other stores, then `https`.
    """
    holders = sorted(replicas.among(record.available), key=lambda replica: replica.name != first)
    methods: dict[str, dict[str, Any]] = {}
    for replica in holders:
        kind = replica.store.scheme
        if kind in _TYPES and kind not in methods:
            url = bucket_url(replica.store, replica.bucket, record.checksums.blob_key)
            region = {"region": replica.region} if replica.region else {}
            methods[kind] = {
                "type": kind,
                "access_url": {"url": url},
                "access_id": _access_id(kind, replica),
                **region,
            }
    methods[_HTTPS] = {"type": _HTTPS, "access_id": _access_id(_HTTPS, holders[0])}
    return list(methods.values())


def signed_url_of(call: Call, record: FileRecord, access_id: str, user_project: str | None) -> str:
    """Return the signed URL of a file for one of its access ids.

    Raise NotFound if the file has no such access id, and IllegalArguments for a malformed project.
    """
    replica = next(
        (
            replica
            for replica in call.dss.replicas.among(record.available)
            if access_id in (_access_id(replica.store.scheme, replica), _access_id(_HTTPS, replica))
        ),
        None,
    )
    if replica is None:
        raise NotFound(f"access_id: {access_id[:80]!r} is none of object {record.fqid}; ask for it again")
    return signed_url(
        call,
        replica.name,
        record.fqid.uuid,
        record.checksums,
        content_type=record.content_type,
        disposition=attachment(record.fqid.uuid),
        user_project=_project(user_project or call.user_project),
    )


def _access_id(kind: str, replica: Replica) -> str:
    return f"{kind}.{replica.name}"


def _project(text: str) -> str:
    if text and not _PROJECT.fullmatch(text):
        raise IllegalArguments(f"x-user-project, userProject: {text[:80]!r} is not a Google Cloud project")
    return text
