"""The JSON API of uploads: content alone, content with metadata (multipart), and resumable."""

import re
from collections.abc import Iterator
from email.message import Message

from gcs_server.datafiles import DataFiles
from gcs_server.errors import BadRequest, NotServed
from gcs_server.multipart import Multipart
from gcs_server.objects import Objects, check_name
from gcs_server.preconditions import OF_TARGET, Preconditions, whole_number
from gcs_server.resources import Json, StoredObject, split_object
from gcs_server.routing import Call, Route, parse_json
from gcs_server.uploads import Chunk, Plan, Uploads
from gcs_server.wire import Response

_PATH = "/upload/storage/v1/b/{bucket}/o"
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_DEFAULT_TYPE = "application/octet-stream"


class UploadRoutes:
    """Handlers of everything that brings content in."""

    def __init__(self, files: DataFiles, objects: Objects, uploads: Uploads) -> None:
        self._files = files
        self._objects = objects
        self._uploads = uploads

    def routes(self) -> list[Route]:
        """The routes, for the router."""
        inserting = ("uploadType", "name", "projection", *OF_TARGET)
        resuming = ("uploadType", "upload_id")
        return [
            Route("POST", _PATH, self.insert, inserting, ("x-goog-hash",)),
            Route("PUT", _PATH, self.resume, resuming, ("x-goog-hash",)),
            Route("DELETE", _PATH, self.cancel, resuming),
        ]

    def insert(self, call: Call) -> Response:
        """POST: an object in one request, or the beginning of a resumable upload."""
        call.choice("projection", "noAcl", "full")
        if "content-encoding" in call.request.headers:
            raise NotServed("header not served: content-encoding")
        kind = call.text("uploadType")
        if kind == "resumable":
            return self._begin(call)
        if kind == "multipart":
            return self._insert_multipart(call)
        if kind == "media":
            given: Json = {"contentType": call.request.headers.get("content-type", _DEFAULT_TYPE)}
            return self._insert(call, given, call.request.body.blocks())
        raise BadRequest(f"Invalid uploadType: '{kind}'")

    def resume(self, call: Call) -> Response:
        """PUT: a chunk of a resumable upload, or the question how much has arrived."""
        identifier = _upload_id(call)
        claims = _header_claims(call)
        body = call.request.body
        header = call.request.headers.get("content-range")
        if header is None:
            outcome = self._uploads.add(identifier, Chunk(0, None, body.length), body, claims)
            return self._progress(call, outcome)
        match = _CONTENT_RANGE.fullmatch(header)
        if not match:
            raise BadRequest(f"Invalid Content-Range: {header}")
        first, last, total = match.groups()
        if first is not None:
            chunk = _chunk(int(first), int(last), total, body.length)
            outcome = self._uploads.add(identifier, chunk, body, claims)
        elif total == "*":
            outcome = self._uploads.received(identifier)
        else:
            outcome = self._uploads.finish(identifier, int(total), claims)
        return self._progress(call, outcome)

    def cancel(self, call: Call) -> Response:
        """DELETE: the upload is over, and nothing came of it."""
        self._uploads.cancel(_upload_id(call))
        # https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
        return Response(499)

    def _insert_multipart(self, call: Call) -> Response:
        body = Multipart(call.request.body, _boundary(call.request.headers.get("content-type", "")))
        headers, text = body.small_part()
        given = parse_json(text)
        headers = body.next_headers()
        given.setdefault("contentType", headers.get("content-type", _DEFAULT_TYPE))
        return self._insert(call, given, body.blocks())

    def _insert(self, call: Call, given: Json, blocks: Iterator[bytes]) -> Response:
        name, settings, claims = _split(call, given)
        conditions = Preconditions.parse(call.parameters)
        self._objects.check_target(call.path["bucket"], name, conditions)
        content = self._files.receive(blocks)
        try:
            content.check({**claims, **_header_claims(call)})
        except BadRequest:
            self._files.discard(content.file)
            raise
        return self._shown(
            call, self._objects.create(call.path["bucket"], name, settings, content, conditions)
        )

    def _begin(self, call: Call) -> Response:
        headers = call.request.headers
        given = call.json()
        given.setdefault("contentType", headers.get("x-upload-content-type", _DEFAULT_TYPE))
        name, settings, claims = _split(call, given)
        size = None
        if "x-upload-content-length" in headers:
            size = whole_number("X-Upload-Content-Length", headers["x-upload-content-length"])
        conditions = Preconditions.parse(call.parameters)
        claims = {**claims, **_header_claims(call)}
        plan = Plan(call.path["bucket"], name, settings, claims, conditions, size)
        identifier = self._uploads.start(plan)
        path = _PATH.format(bucket=call.path["bucket"])
        location = f"{self._objects.address}{path}?uploadType=resumable&upload_id={identifier}"
        return Response(200, [("Location", location), ("X-GUploader-UploadID", identifier)])

    def _progress(self, call: Call, outcome: int | Json) -> Response:
        if not isinstance(outcome, int):
            return call.answer(outcome)
        headers = [("Range", f"bytes=0-{outcome - 1}")] if outcome else []
        return Response(308, headers)

    def _shown(self, call: Call, stored: StoredObject) -> Response:
        return call.answer(stored.resource(self._objects.address))


def hash_claims(header: str) -> dict[str, str]:
    """What an `X-Goog-Hash` header claims, by the names that metadata has for it; raises BadRequest."""
    claims = {}
    for entry in filter(None, (entry.strip() for entry in header.split(","))):
        kind, _, value = entry.partition("=")
        if kind not in ("crc32c", "md5") or not value:
            raise BadRequest(f"Invalid X-Goog-Hash: {header}")
        claims["md5Hash" if kind == "md5" else kind] = value
    return claims


def _header_claims(call: Call) -> dict[str, str]:
    return hash_claims(call.request.headers.get("x-goog-hash", ""))


def _split(call: Call, given: Json) -> tuple[str, Json, dict[str, str]]:
    bucket = given.pop("bucket", call.path["bucket"])
    name = call.text("name") or str(given.get("name") or "")
    if bucket != call.path["bucket"]:
        raise BadRequest(f"The bucket in the metadata isn't the bucket of the request: {bucket}")
    if given.get("name", name) != name:
        raise BadRequest(f"The name in the metadata isn't the name in the request: {given['name']}")
    check_name(name)
    settings, claims = split_object(given)
    return name, settings, claims


def _upload_id(call: Call) -> str:
    if "upload_id" not in call.parameters:
        raise BadRequest("Required parameter: upload_id")
    call.choice("uploadType", "resumable")
    return call.parameters["upload_id"]


def _chunk(first: int, last: int, total: str, length: int | None) -> Chunk:
    count = last - first + 1
    whole = None if total == "*" else int(total)
    if count < 1 or (whole is not None and last >= whole):
        raise BadRequest(f"Invalid Content-Range: bytes {first}-{last}/{total}")
    if length is not None and length != count:
        raise BadRequest(
            f"Invalid request. There were {length} byte(s) in the request body. There should have been "
            f"{count} byte(s) (starting at offset {first} and ending at offset {last}) according to the "
            "Content-Range header."
        )
    return Chunk(first, count, whole)


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str):
        raise BadRequest(f"Invalid multipart request with content type: {content_type}")
    return boundary.encode("latin-1")
