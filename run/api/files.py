"""Files: HEAD, GET and PUT of `/files/{uuid}`, and POST of many to `/files/batch`."""

from typing import Any

from flask import Response

from run.api.call import Call
from run.api.costs import FILE_OF_MANY
from run.api.direct_urls import check_token, checkout_first
from run.api.errors import status_of
from run.api.new_files import check_items, contents_of, fqid_of, new_file
from run.api.pagination import answer
from run.api.urls import signed_url
from shared.access import Action, Resource
from shared.bindings import bound_resource
from shared.catalog import CheckoutOrder, FileRecord
from shared.checkouts.objects import copy_of_file
from shared.copying.large import copy_order, job_at_work, progress_of_file, request_copy
from shared.errors import CopyTakesLonger, DssError, InvalidChecksum, NotFound
from shared.file_batches import write_files
from shared.files import file_record, write_file
from shared.identifiers import Fqid, Kind
from shared.sources import find_source, source_at


def head(call: Call, *, uuid: str, replica: str, version: str | None) -> Response:
    """Describe a file version, or the newest, in headers."""
    record = find_file(call, uuid, replica, version)
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
    record = find_file(call, uuid, replica, version)
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
    call.require(Action.WRITE, bound_resource(Kind.FILE, uuid, binding, version))
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


def put_many(call: Call, *, replica: str, json_request_body: dict[str, Any]) -> Response:
    """Create many small file versions from their content; the answer says of each what has become of it."""
    items = json_request_body["files"]
    ahead = call.dss.settings.version_ahead_seconds
    check_items(items, call.dss.clock, version_ahead_seconds=ahead)
    call.charge(FILE_OF_MANY * len(items))
    bindings = call.dss.catalog.bindings.current_many(item["uuid"] for item in items)
    with call.memory.contents.reserve(sum(len(item["content"]) for item in items)):
        outcomes: dict[Fqid, bool | DssError] = {}
        files = []
        # All are decoded before the first refusal: a malformed list is refused as a whole.
        for item, content in zip(items, contents_of(items), strict=True):
            name = fqid_of(item)
            what = bound_resource(Kind.FILE, name.uuid, bindings.get(name.uuid), name.version)
            if refusal := call.refusal(Action.WRITE, what, name):
                outcomes[name] = refusal
                continue
            try:
                files.append(new_file(item, content))
            except InvalidChecksum as error:
                outcomes[name] = error
        # Noted before it is done: a write that breaks off may have written some.
        call.writes_many(file.fqid for file in files)
        outcomes |= write_files(call.dss, replica, files, bindings)
    call.writes_many(name for name, outcome in outcomes.items() if _may_be_written(outcome))
    return answer({"files": [_outcome(fqid_of(item), outcomes[fqid_of(item)]) for item in items]})


def _may_be_written(outcome: bool | DssError) -> bool:
    return not isinstance(outcome, DssError) or status_of(outcome) >= 500


def _outcome(name: Fqid, outcome: bool | DssError) -> dict[str, Any]:
    row: dict[str, Any] = {"uuid": name.uuid, "version": name.version}
    if isinstance(outcome, DssError):
        return {**row, "status": status_of(outcome), "code": outcome.code, "title": outcome.title}
    return {**row, "status": 201 if outcome else 200}


def find_file(call: Call, uuid: str, replica: str, version: str | None) -> FileRecord:
    """Return a file version, or the newest, that the caller may read.

    Raise NotFound, Unauthorized, Forbidden or Gone.
    """
    files = call.dss.catalog.files
    record = files.get(Fqid(uuid, version)) if version else files.newest(uuid, replica)
    name = f"{uuid}.{version}" if version else uuid
    if not call.sees(
        _resource(record)
        if record and not record.purged
        else call.resource(Kind.FILE, uuid, version, absent=True)
    ):
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
