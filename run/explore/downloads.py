"""Downloads of files of a catalogue: where their content is."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from flask import Response, request

from run.api import files
from run.api.call import Call
from run.api.urls import attachment
from run.explore.access import sought
from run.explore.arguments import Arguments
from run.explore.pages import stored_files
from shared.errors import IllegalArguments, NotFound
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.filters import Filter, Relation
from shared.explore.links import file_url
from shared.explore.query import PageOrder, Query
from shared.identifiers import check_uuid, check_version

# `wait`, which is checked, `requestIndex` and `token` are the predecessor's own, without effect: nothing is
# waited for. `drsUri` is of files that are no entities.
OF_FILE = frozenset(("catalog", "version", "fileName", "replica", "wait", "requestIndex", "drsUri", "token"))
OF_DATA_OBJECT = frozenset(("catalog", "version"))
_FILES, _UUID, _VERSION = "files", "fileId", "fileVersion"
# Of one file, in bundles of which each is the newest version.
_MOST_VERSIONS = 100
_DESCRIBED = frozenset(("name", "size", "sha256"))
# The answer to those who have all bytes.
_complete = partial(Response, status=206, mimetype="application/octet-stream")
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)(?:,[ 0-9,-]*)?", re.IGNORECASE)


def redirect(call: Call, file_uuid: str) -> Response:
    """Return the redirect to the content of a file: the version that is asked for, or else the indexed one.

    A request for the bytes behind the last one, as of a download that is complete, is answered 206, with
    none. Raises what `run.api.files.get` raises, and NotFound for a file that is not in the catalogue.
    """
    arguments = Arguments.of(call.query, None, OF_FILE)
    arguments.choice("wait", ("0", "1"), "0")
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    replica = arguments.choice("replica", call.dss.replicas.names, catalogue.setting.replica)
    uuid, version = _named(arguments, file_uuid)
    name = arguments.text("fileName")
    start = _start_of_range()
    if version and arguments.text("drsUri"):
        # A member of a zarr store, as manifests name it: the catalogue has but the one that stands for all.
        found = _content(call, uuid, replica, version, name or uuid)
        is_whole = start is not None and str(start) == found.headers.get("X-DSS-SIZE")
        return _complete() if is_whole else found
    file = _indexed(call, catalogue, uuid, version)
    if start is not None and version in (None, file["version"]) and start == file.get("size"):
        return _complete()
    return _content(call, uuid, replica, version or file["version"], name or file.get("name", uuid))


def _content(call: Call, uuid: str, replica: str, version: str, name: str) -> Response:
    return files.get(
        call,
        uuid=uuid,
        replica=replica,
        version=version,
        token=None,
        directurl=None,
        content_disposition=attachment(name),
    )


def data_object(call: Call, uuid: str) -> dict[str, Json]:
    """Return what GA4GH's Data Object Service, the predecessor of DRS, says of a file of a catalogue."""
    arguments = Arguments.of(call.query, None, OF_DATA_OBJECT)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    uuid, version = _named(arguments, uuid)
    file = _indexed(call, catalogue, uuid, version)
    if version not in (None, file["version"]) or not file.keys() >= _DESCRIBED:
        raise _not_found(uuid, version)
    # Decided, and noted in the audit log, as every read of a file is.
    files.head(call, uuid=uuid, replica=catalogue.setting.replica, version=file["version"])
    return {
        "data_object": {
            "id": file["uuid"],
            "urls": [{"url": file_url(call.base_url, catalogue.name, file)}],
            "size": str(file["size"]),
            "checksums": [{"checksum": file["sha256"], "type": "sha256"}],
            "aliases": [file["name"], *file.get("aliases", ())],
            "version": file["version"],
            "name": file["name"],
        }
    }


def _named(arguments: Arguments, file_uuid: str) -> tuple[str, str | None]:
    version = arguments.given.get("version")
    return check_uuid(file_uuid, "file_uuid"), version if version is None else check_version(version)


def _indexed(call: Call, catalogue: Catalogue, uuid: str, version: str | None) -> Mapping[str, Any]:
    """Return a file of a catalogue. Raise as v1 does if the caller may not read it, or else NotFound."""
    found = list(_files(call, catalogue, uuid))
    if not found:
        # Refused for the reason that v1 has, if there is one.
        files.head(call, uuid=uuid, replica=catalogue.setting.replica, version=version)
        raise _not_found(uuid, version)
    return next((each for each in found if each["version"] == version), found[0])


def _files(call: Call, catalogue: Catalogue, uuid: str) -> Iterator[Mapping[str, Any]]:
    """Yield what the catalogue has of a file, the newest version first."""
    fields = catalogue.fields
    if _FILES not in catalogue.plugin.entity_types or not {_UUID, _VERSION} <= fields.keys():
        return
    query = Query(entity_type=_FILES, filters=[Filter(fields[_UUID], Relation.IS, (uuid,))], facets=())
    order = PageOrder(sort=fields[_VERSION], descending=True, size=_MOST_VERSIONS)
    for each in call.dss.catalogues.page(catalogue, sought(call), query, order).found:
        yield from islice(stored_files(catalogue.plugin.hit(_FILES, each.document)), 1)


def _not_found(uuid: str, version: str | None) -> NotFound:
    named = f"{uuid}, version {version}" if version else uuid
    return NotFound(f"Unable to find file {named!r} in this catalog")


def _start_of_range() -> int | None:
    """Return where the range begins that a request asks for, if that is all it says."""
    header = request.headers.get("Range")
    if header is None:
        return None
    match = _RANGE.fullmatch(header)
    if match is None or not any(match.groups()):
        raise IllegalArguments(f"Range: {header[:80]!r} is not a range of bytes")
    first, last = match.groups()
    return None if last or not first else int(first[:20])
