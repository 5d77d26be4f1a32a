"""The operations of DRS, and the one of v1: `/objects/{object_id}`."""

from typing import Any

from flask import Response

from run.api.call import Call
from run.api.pagination import answer
from run.drs.access_methods import signed_url_of
from run.drs.forms import file_form
from run.drs.resolving import resolve
from run.drs.service_info import service_info_form
from shared.drs.objects import FileObject
from shared.errors import NotFound

# Seconds after which a client asks again for a file that is being verified.
_LATER = 10


def service_info(call: Call) -> Response:
    """Describe the service."""
    return answer(service_info_form(call))


def get(call: Call, *, object_id: str, version: str | None, replica: str, expand: bool) -> Response:
    """Describe an object, as v1 has it: the version may be a parameter, and a replica comes first."""
    named = f"{object_id}.{version}" if version and "." not in object_id else object_id
    return _object(call, named, expand=expand, first=replica)


def get_object(call: Call, *, object_id: str, expand: bool) -> Response:
    """Describe an object."""
    return _object(call, object_id, expand=expand)


def post_object(call: Call, *, object_id: str, json_request_body: dict[str, Any]) -> Response:
    """Describe an object, for a request with a body."""
    return _object(call, object_id, expand=json_request_body.get("expand", False))


def get_access(call: Call, *, object_id: str, access_id: str, userProject: str | None) -> Response:  # noqa: N803 # DRS has this name
    """Return a signed URL of a file."""
    return _access(call, object_id, access_id, userProject)


def post_access(
    call: Call,
    *,
    object_id: str,
    access_id: str,
    userProject: str | None,  # noqa: N803 # DRS has this name
    **_: Any,
) -> Response:
    """Return a signed URL of a file, for a request with a body."""
    return _access(call, object_id, access_id, userProject)


def _object(call: Call, object_id: str, *, expand: bool, first: str | None = None) -> Response:
    try:
        found = resolve(call, object_id)
    except NotFound as error:
        if error.replica_state == "pending":
            return Response(status=202, headers={"Retry-After": str(_LATER)}, mimetype="application/json")
        raise
    if isinstance(found, FileObject):
        return answer(file_form(call.base_url, call.dss.replicas, found.record, first=first))
    raise NotFound(f"{object_id}: is no file")


def _access(call: Call, object_id: str, access_id: str, user_project: str | None) -> Response:
    found = resolve(call, object_id)
    if not isinstance(found, FileObject):
        raise NotFound(f"{object_id}: only files have access methods, not what contains others")
    return answer({"url": signed_url_of(call, found.record, access_id, user_project)})
