"""The operations on imports: list what would be imported, import it, see how far it is, and what failed."""

from typing import Any

from flask import Response

from run.api.bodies import BODY
from run.api.call import Call
from run.api.pagination import answer
from shared.access import Action, Resource, check_group
from shared.catalog import ImportJob, ImportOrder
from shared.errors import IllegalArguments
from shared.identifiers import check_uuid
from shared.imports.jobs import (
    cancel,
    check_source,
    find_import,
    folder_url,
    no_such_import,
    report_lines,
    request_import,
    request_list,
    status_of,
)

# Patterns of names, and the characters of one.
_MOST_PATTERNS, _LONGEST_PATTERN = 20, 200


def put(call: Call, *, uuid: str, json_request_body: dict[str, Any]) -> Response:
    """Begin to list what an import would do, or say how far that is; nothing is imported yet."""
    uuid = check_uuid(uuid)
    order = _order(call, json_request_body)
    existing = call.dss.catalog.imports.get(uuid)
    call.require(Action.WRITE, _resource(uuid, existing.order.email if existing else order.email))
    job = request_list(call.dss, uuid, order)
    return answer(status_of(call.dss, job), 200 if existing else 201)


def start(call: Call, *, uuid: str) -> Response:
    """Import what is listed, or go on after a failure; what is in is not done again."""
    job = _found(call, uuid)
    call.require(Action.WRITE, _resource(job.id, job.order.email))
    return answer(status_of(call.dss, request_import(call.dss, job)), 202)


def get(call: Call, *, uuid: str) -> Response:
    """Say how far an import is."""
    return answer(status_of(call.dss, _found(call, uuid)))


def delete(call: Call, *, uuid: str) -> Response:
    """Cancel an import that is running; what is in stays."""
    job = _found(call, uuid)
    call.require(Action.WRITE, _resource(job.id, job.order.email))
    return answer(status_of(call.dss, cancel(call.dss, job, call.signed_in.email)))


def report(call: Call, *, uuid: str, part: int) -> Response:
    """Return a part of the report on what did not go in, and the number of the next one."""
    job = _found(call, uuid)
    lines, following = report_lines(call.dss, job, part)
    return answer({"lines": lines, **({} if following is None else {"next": following})})


def _found(call: Call, uuid: str) -> ImportJob:
    """Return an import of the caller's. Raise NotFound, also if it is somebody else's."""
    job = find_import(call.dss, check_uuid(uuid))
    if not call.finds(_resource(job.id, job.order.email)):
        raise no_such_import(job.id)
    return job


def _resource(uuid: str, owner: str) -> Resource:
    return Resource(name=f"import {uuid}", owner=owner)


def _order(call: Call, body: dict[str, Any]) -> ImportOrder:
    """Return the order of a request. Raise IllegalArguments, UnknownSourceSchema or Forbidden."""
    source, table = body.get("source", ""), body.get("table", "")
    if bool(source) == bool(table):
        raise IllegalArguments(f"{BODY}: give either source, a folder, or table")
    who = call.identify()
    source = folder_url(source) if source else ""
    where = check_source(call.dss, who, source or table)
    replica = call.dss.replicas.named(body["replica"]).name if "replica" in body else where
    if source and replica != where:
        raise IllegalArguments(f"{BODY}.replica: the objects of {source} are in the cloud of replica {where}")
    patterns = body["metadata"]
    if len(patterns) > _MOST_PATTERNS or any(not 0 < len(one) <= _LONGEST_PATTERN for one in patterns):
        raise IllegalArguments(
            f"{BODY}.metadata: at most {_MOST_PATTERNS} patterns of 1 to {_LONGEST_PATTERN} characters"
        )
    owner_group = body.get("owner_group", "")
    return ImportOrder(
        email=call.signed_in.email,
        groups=tuple(sorted(who.groups)),
        replica=replica,
        source=source,
        table=table,
        depth=body["depth"],
        metadata=tuple(patterns),
        owner_group=check_group(owner_group, f"{BODY}.owner_group") if owner_group else "",
        creator_uid=body["creator_uid"],
        whole=body["whole"],
    )
