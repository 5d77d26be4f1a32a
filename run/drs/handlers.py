"""The operations of DRS, and the one of v1: `/objects/{object_id}`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response

from run.api.call import Call
from run.api.pagination import answer
from run.drs.access_methods import signed_url_of
from run.drs.authorizations import authorizations_of
from run.drs.bulk import admit, bulk_form, note_reads, note_refusals
from run.drs.contents import memory_of, read_contents, units_of
from run.drs.forms import Forms
from run.drs.needs_token import OF_MANY, OF_ONE
from run.drs.passports import with_passports
from run.drs.resolving import resolve, resolve_many
from run.drs.service_info import service_info_form
from shared.drs.contents import Contents
from shared.drs.objects import Container, DataObject, FileObject
from shared.drs.totals import CollectionTotals
from shared.errors import DssError, Forbidden, Gone, NotFound, RequestTooLarge, Unauthorized

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
    return _object(
        with_passports(call, json_request_body), object_id, expand=json_request_body.get("expand", False)
    )


def get_access(call: Call, *, object_id: str, access_id: str, userProject: str | None) -> Response:  # noqa: N803 # DRS has this name
    """Return a signed URL of a file."""
    return _access(call, object_id, access_id, userProject)


def post_access(
    call: Call,
    *,
    object_id: str,
    access_id: str,
    userProject: str | None,  # noqa: N803 # DRS has this name
    json_request_body: dict[str, Any],
) -> Response:
    """Return a signed URL of a file, for a request with a body."""
    return _access(with_passports(call, json_request_body), object_id, access_id, userProject)


def options_object(call: Call, *, object_id: str) -> Response:
    """Say how a request for an object can be authorized."""
    outcome = authorizations_of(call, [object_id], OF_ONE)[object_id]
    if isinstance(outcome, DssError):
        raise outcome
    return answer(outcome)


def post_objects(call: Call, *, expand: bool, json_request_body: dict[str, Any]) -> Response:
    """Describe many objects."""
    ids = _bulk_ids(call, json_request_body)
    call = with_passports(call, json_request_body)
    found = resolve_many(call, ids)
    note_reads(found)
    with _forms(call, found.values(), expand=expand) as forms:
        outcomes = {text: _outcome(forms, one) for text, one in found.items()}
        return answer(bulk_form("resolved_drs_object", list(zip(ids, ids, strict=True)), outcomes))


def options_objects(call: Call, *, json_request_body: dict[str, Any]) -> Response:
    """Say how requests for many objects can be authorized."""
    ids = _bulk_ids(call, json_request_body)
    outcomes = authorizations_of(call, ids, OF_MANY)
    note_refusals(outcomes)
    return answer(bulk_form("resolved_drs_object", list(zip(ids, ids, strict=True)), outcomes))


def post_accesses(
    call: Call,
    *,
    userProject: str | None,  # noqa: N803 # DRS has this name
    json_request_body: dict[str, Any],
) -> Response:
    """Return signed URLs of many files."""
    pairs = [
        (item["bulk_object_id"], access_id)
        for item in json_request_body["bulk_object_access_ids"]
        for access_id in item["bulk_access_ids"]
    ]
    ids = list(dict.fromkeys(object_id for object_id, _ in pairs))
    admit(call, "bulk_object_access_ids", ids, urls=len(pairs))
    call = with_passports(call, json_request_body)
    found = resolve_many(call, ids)
    note_reads(found)
    outcomes = {pair: _signed(call, pair, found[pair[0]], userProject) for pair in pairs}
    asked = [(pair[0], pair) for pair in outcomes]
    return answer(bulk_form("resolved_drs_object_access_urls", asked, outcomes))


def _bulk_ids(call: Call, body: dict[str, Any]) -> list[str]:
    ids: list[str] = body["bulk_object_ids"]
    admit(call, "bulk_object_ids", ids)
    # Once each: what a bundle lists is long.
    return list(dict.fromkeys(ids))


def _signed(
    call: Call, pair: tuple[str, str], found: DataObject | DssError, user_project: str | None
) -> dict[str, Any] | DssError:
    object_id, access_id = pair
    try:
        url = _url(call, found, access_id, user_project)
    except (Forbidden, Gone, NotFound, Unauthorized) as error:
        return error
    return {"drs_object_id": object_id, "drs_access_id": access_id, "url": url}


def _outcome(forms: Forms, found: DataObject | DssError) -> dict[str, Any] | DssError:
    if isinstance(found, DssError):
        return found
    try:
        return forms.of(found)
    except RequestTooLarge as error:
        return error


def _object(call: Call, object_id: str, *, expand: bool, first: str | None = None) -> Response:
    try:
        found = resolve(call, object_id)
    except NotFound as error:
        if error.replica_state == "pending":
            return Response(status=202, headers={"Retry-After": str(_LATER)}, mimetype="application/json")
        raise
    with _forms(call, [found], expand=expand, first=first) as forms:
        return answer(forms.of(found))


@contextmanager
def _forms(
    call: Call, found: Iterable[DataObject | DssError], *, expand: bool, first: str | None = None
) -> Iterator[Forms]:
    """Yield the forms of objects, with their contents; the memory for these is held meanwhile."""
    containers = [one for one in found if isinstance(one, Container)]
    with call.memory.collections.reserve(memory_of(containers, expand=expand)):
        contents = read_contents(call, containers, expand=expand) if containers else Contents()
        yield Forms(
            dss=call.dss,
            base_url=call.base_url,
            contents=contents,
            totals=CollectionTotals(call.dss, contents, lambda objects: call.charge(units_of(objects))),
            expand=expand,
            first=first,
        )


def _access(call: Call, object_id: str, access_id: str, user_project: str | None) -> Response:
    return answer({"url": _url(call, resolve(call, object_id), access_id, user_project)})


def _url(call: Call, found: DataObject | DssError, access_id: str, user_project: str | None) -> str:
    """Return a signed URL of what was resolved. Raise its error, or NotFound if it has none."""
    if isinstance(found, DssError):
        raise found
    if not isinstance(found, FileObject):
        raise NotFound(f"{found.fqid}: has no access methods; ask for those of the files in it")
    return signed_url_of(call, found.record, access_id, user_project)
