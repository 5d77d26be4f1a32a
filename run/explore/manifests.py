"""Manifests of a catalogue's files: start one, ask whether it is ready, and where it is.

A manifest is of what the caller may read, and is found by others only if they may read all of that. A key in
place of a token is all that a `curl` manifest needs: a download of weeks outlives its caller's sign-in.
"""

import hmac
import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, request

from run.api.call import Call
from run.api.pagination import answer
from run.api.urls import attachment
from run.explore.access import sought
from run.explore.arguments import FILTERED, Arguments
from run.explore.command_lines import as_text, to_download, to_download_files
from run.explore.manifest_tokens import ManifestKey, ManifestToken, parse_token
from shared.catalog import JobState, ManifestJob, ManifestOrder
from shared.catalogue_manifests.jobs import find_ready, request_manifest
from shared.catalogue_manifests.places import is_there
from shared.catalogue_manifests.selections import FILES, encode_query
from shared.errors import BadRequest, Forbidden, Gone, IllegalArguments, ManifestFailed
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.manifests.formats import DEFAULT, FORMATS, open_format
from shared.explore.query import Query, Sought

OF_MANIFEST = FILTERED | {"format"}
_CURL = "curl"
# Seconds to wait before asking again, the last one for ever.
_RETRY_AFTER = (1, 1, 4, 6, 10)
# The facet that names a manifest of a single project.
_PROJECT = "project"
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f<>:\"/\\|?*]")


def put_manifest(call: Call, body: Mapping[str, Any], *, fetch: bool) -> Response:
    """Start a manifest, or find it, and answer where to ask for it, or where it is."""
    return _state(call, begin_manifest(call, body), 0, fetch=fetch)


def begin_manifest(call: Call, body: Mapping[str, Any]) -> ManifestJob:
    """Return the job of a manifest, which has begun or ended. Raises IllegalArguments, NotFound, ReadOnly."""
    arguments = Arguments.of(call.query, body, OF_MANIFEST)
    a_format = arguments.text("format", DEFAULT)
    if a_format not in FORMATS:
        known = ", ".join(map(repr, FORMATS))
        raise IllegalArguments(f"Unknown manifest format {a_format[:100]!r}. Must be one of {{{known}}}.")
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    if FILES not in catalogue.plugin.entity_types:
        raise IllegalArguments(f"Catalog {catalogue.name!r} has no files, of which a manifest could be made.")
    query = replace(arguments.query(catalogue, FILES), facets=())
    order = _order(call, catalogue, query, a_format)
    return find_ready(call.dss, order) or _requested(call, catalogue, query, order)


def get_manifest(call: Call, token: str, *, fetch: bool) -> Response:
    """Answer where to ask for a manifest again, or where it is. Raises Gone once it has expired."""
    job, asked = find_manifest(call, token)
    return _state(call, job, asked, fetch=fetch)


def find_manifest(call: Call, token: str) -> tuple[ManifestJob, int]:
    """Return the job of a token, and how often its holder has asked for it, this time included.

    Raises IllegalArguments for other texts, Gone once it has expired, and Forbidden if it has what the
    caller may not read.
    """
    parsed = parse_token(token)
    if isinstance(parsed, ManifestKey):
        if request.headers.get("Authorization"):
            raise BadRequest("This link needs no sign-in: send it without a token in `Authorization`")
        job = _found(call, parsed.job_id)
        if not hmac.compare_digest(job.secret, parsed.secret):
            # That of an earlier manifest of the same selection.
            raise _gone()
        return job, 0
    job = _found(call, parsed.job_id)
    if not _may_have(job.order.labels, sought(call)):
        raise Forbidden("This manifest was made for others, who may read more; PUT /manifest/files anew")
    return job, parsed.asked + 1


def _may_have(labels: Sought, reader: Sought) -> bool:
    return reader is None or (labels is not None and labels <= reader)


def _order(call: Call, catalogue: Catalogue, query: Query, a_format: str) -> ManifestOrder:
    store = call.dss.catalogues
    labels = store.labels(sought(call))
    selection = encode_query(query)
    key = (
        *(catalogue.number, catalogue.name, store.revision(catalogue)),
        # What another release makes may be another text.
        *(importlib.metadata.version("dss-service"), a_format, call.base_url),
        *(labels if labels is None else sorted(labels), selection),
    )
    return ManifestOrder(
        key=json.dumps(key),
        catalogue=catalogue.name,
        format=a_format,
        base_url=call.base_url,
        labels=labels,
        selection=selection,
    )


def _requested(call: Call, catalogue: Catalogue, query: Query, order: ManifestOrder) -> ManifestJob:
    call.dss.switches.check_writes(what="a manifest")
    call.writes()
    facets = [each for name, each in catalogue.fields.items() if name == _PROJECT]
    counted = replace(query, facets=facets)
    files, counts = call.dss.catalogues.counts(catalogue, sought(call), counted)
    projects = [term for term, _ in counts[_PROJECT].terms] if facets else []
    # A facet is counted as if its own field had no filter.
    for each in query.filters:
        if each.field in facets:
            projects = [term for term in projects if term in each.values]
    made = open_format(order.format)
    now = call.dss.clock.now()
    if not made.has_file_name:
        name = ""
    elif len(projects) == 1 and projects[0]:
        name = f"{projects[0]} {now:%Y-%m-%d %H.%M}.{made.extension}"
    else:
        name = f"{catalogue.name}-manifest-{order.job_id}.{catalogue.source['id']}.{made.extension}"
    described = replace(order, files=files, name=_NOT_IN_A_NAME.sub("_", name))
    with call.memory.collections.reserve(memory_of(files)):
        return request_manifest(call.dss, described, requester=call.requester())


def memory_of(files: int) -> int:
    """Return the bytes of memory that a request may take for a manifest of some files, if it makes it."""
    # 10 KB each, and a page of their documents.
    return (16 << 20) + 10_000 * min(files, 1000)


def _found(call: Call, job_id: str) -> ManifestJob:
    job = call.dss.catalog.manifests.get(job_id)
    if job is None:
        raise _gone()
    return job


def _gone() -> Gone:
    return Gone("The manifest has expired; PUT /manifest/files makes it anew")


def _state(call: Call, job: ManifestJob, asked: int, *, fetch: bool) -> Response:
    """Answer the state of a manifest to somebody who has asked for it before."""
    if is_made(call, job):
        return _ready(call, job, fetch=fetch)
    url = _url(call, ManifestToken(job.id, asked), fetch=fetch)
    seconds = _RETRY_AFTER[min(asked, len(_RETRY_AFTER) - 1)]
    if not fetch:
        return Response(status=301, headers={"Location": url, "Retry-After": str(seconds)})
    progress: dict[str, Json] = {"files": job.order.files, "filesDone": job.files_done}
    return answer({"Status": 301, "Location": url, "Retry-After": seconds, "Progress": progress})


def is_made(call: Call, job: ManifestJob) -> bool:
    """Return whether a manifest is made. Raises ManifestFailed, and Gone."""
    call.is_about(job.id)
    if job.state is JobState.FAILED:
        raise ManifestFailed(f"The manifest could not be made: {job.cause}; PUT /manifest/files tries again")
    if job.state is not JobState.SUCCEEDED:
        return False
    if call.dss.clock.now() >= job.expires() or not is_there(call.dss, job.key):
        raise _gone()
    return True


@dataclass(frozen=True, kw_only=True)
class HandedOut:
    """Where a manifest that is made is: by a signed URL, and by one that needs no sign-in for its week.

    `location` is the one of them that a client should keep; `lines` are command lines by shell.
    """

    signed: str
    location: str
    lines: Mapping[str, str]


def hand_out(call: Call, job: ManifestJob) -> HandedOut:
    """Return where a manifest is that is made, and note that the caller was told."""
    name = job.order.name
    replica = call.dss.replicas.primary
    signed = replica.store.sign_get(
        replica.bucket,
        job.key,
        lifetime=call.hands_out(job.id),
        disposition=attachment(name) if name else None,
    )
    lasting = _url(call, ManifestKey(job.id, job.secret), fetch=False)
    is_config = job.order.format == _CURL
    return HandedOut(
        signed=signed,
        # A download of files takes longer than a signed URL lives.
        location=lasting if is_config else signed,
        lines=to_download_files(lasting) if is_config else to_download(signed, name),
    )


def _ready(call: Call, job: ManifestJob, *, fetch: bool) -> Response:
    """Answer where a manifest is."""
    made = hand_out(call, job)
    if fetch:
        return answer({"Status": 302, "Location": made.location, "CommandLine": made.lines})
    return Response(as_text(made.lines), 302, {"Location": made.signed}, mimetype="text/plain")


def _url(call: Call, token: ManifestToken | ManifestKey, *, fetch: bool) -> str:
    return f"{call.base_url}{'/fetch' if fetch else ''}/manifest/files/{token}"
