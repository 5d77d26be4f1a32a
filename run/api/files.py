"""Files: HEAD, GET and PUT of `/files/{uuid}`."""

from typing import Any

from flask import Response

from run.api.call import Call
from run.api.direct_urls import check_token, checkout_first
from run.api.pagination import answer
from run.api.urls import signed_url
from shared.access import Action, Resource
from shared.bindings import bound_resource
from shared.catalog import CheckoutOrder, FileRecord
from shared.checkouts.objects import copy_of_file
from shared.copying.large import copy_order, job_at_work, progress_of_file, request_copy
from shared.errors import CopyTakesLonger, NotFound
from shared.files import file_record, write_file
from shared.identifiers import Fqid, Kind
from shared.sources import find_source, source_at


def head(call: Call, *, uuid: str, replica: str, version: str | None) -> Response:
    """Describe a file version, or the newest, in headers."""
    record = _find(call, uuid, replica, version)
    return Response(status=200, headers=_headers(record), mimetype="application/json")


def get(
    call: Call,
    *,
    uuid: str,
    replica: str,
    version: str | None,
    token: str | None,
    directurl: bool | None,
    content_disposition: str | None,
) -> Response:
    """Redirect to the content of a file version, or of the newest."""
    check_token(token)
    record = _find(call, uuid, replica, version)
    if directurl:
        call.require(Action.SHARE, _resource(record))
        return _direct(call, replica, record, token)
    url = signed_url(
        call,
        replica,
        uuid,
        record.checksums,
        content_type=record.content_type,
        disposition=content_disposition,
    )
    return Response(status=302, headers={"Location": url, **_headers(record)}, mimetype="application/json")


def _direct(call: Call, replica_name: str, record: FileRecord, token: str | None) -> Response:
    replica = call.dss.replicas.named(replica_name)
    copy = copy_of_file(replica, replica.checkout_bucket, record)
    order = CheckoutOrder(kind=Kind.FILE, fqid=record.fqid, replica=replica_name, bucket=copy.bucket)
    redirect = Response(
        status=302, headers={"Location": copy.url, **_headers(record)}, mimetype="application/json"
    )
    return checkout_first(call, order, [copy], token) or redirect


def put(call: Call, *, uuid: str, version: str, json_request_body: dict[str, Any]) -> Response:
    """Create a file version from an object in a bucket of either cloud."""
    call.check_new_version(version)
    where = source_at(call.dss.replicas, json_request_body["source_url"])
    call.require_source(where.url)
    binding = call.dss.catalog.bindings.current(uuid)
    call.require(Action.WRITE, bound_resource(Kind.FILE, uuid, binding))
    source = find_source(where)
    record = file_record(Fqid(uuid, version), json_request_body["creator_uid"], source)
    order = copy_order(source.object, source.replica, source.replica, record, verify=True)
    job = job_at_work(call.dss, order)
    if job is None:
        held = source.object.size if source.object.size <= call.dss.settings.inline_verify_bytes else 0
        try:
            with call.memory.contents.reserve(held):
                created = write_file(call.dss, record, source, binding)
            return answer({"version": version}, 201 if created else 200)
        except CopyTakesLonger:
            job = request_copy(call.dss, order)
    return answer({"version": version, "task_id": job.id}, 202)


def _find(call: Call, uuid: str, replica: str, version: str | None) -> FileRecord:
    files = call.dss.catalog.files
    record = files.get(Fqid(uuid, version)) if version else files.newest(uuid, replica)
    name = f"{uuid}.{version}" if version else uuid
    if not call.sees(_resource(record) if record else call.resource(Kind.FILE, uuid)):
        raise NotFound(f"replica {replica} has no file {name}")
    progress = progress_of_file(call.dss, uuid, version, replica) if record is None else None
    if progress and progress.failure:
        raise progress.failure
    if record is None or replica not in record.available:
        is_pending = (progress and progress.under_way) or _is_elsewhere(call, uuid, replica, version, record)
        state = "pending" if is_pending else "absent"
        raise NotFound(f"replica {replica} has no file {name}", replica_state=state)
    call.is_about(uuid, record.fqid.version)
    return record


def _resource(record: FileRecord) -> Resource:
    return Resource(name=f"file {record.fqid.uuid}", readers=record.readers)


def _is_elsewhere(
    call: Call, uuid: str, replica: str, version: str | None, record: FileRecord | None
) -> bool:
    """Return whether another replica has a file that this one lacks."""
    if version:
        return bool(record and record.available)
    others = (name for name in call.dss.replicas.names if name != replica)
    return any(call.dss.catalog.files.newest(uuid, name) for name in others)


def _headers(record: FileRecord) -> dict[str, str]:
    return {
        "X-DSS-CREATOR-UID": str(record.creator_uid),
        "X-DSS-VERSION": record.fqid.version,
        "X-DSS-CONTENT-TYPE": record.content_type,
        "X-DSS-SIZE": str(record.size),
        "X-DSS-CRC32C": record.checksums.crc32c,
        "X-DSS-S3-ETAG": record.checksums.s3_etag,
        "X-DSS-SHA1": record.checksums.sha1,
        "X-DSS-SHA256": record.checksums.sha256,
    }
