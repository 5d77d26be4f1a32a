"""The JSON API of uploads: content alone, content with metadata (multipart), and resumable."""

import re
from collections.abc import Iterator
from email.message import Message

from gcs_server.datafiles import DataFiles
from gcs_server.errors import BadRequest, Unsupported
from gcs_server.multipart import Multipart
from gcs_server.objects import Objects, check_name
from gcs_server.preconditions import OF_TARGET, Preconditions, whole_number
from gcs_server.resources import Json, ObjectRecord, split_object
from gcs_server.routing import Route, RoutedRequest, parse_json
from gcs_server.uploads import Chunk, UploadRequest, Uploads
from gcs_server.wire import Response

_PATH = "/upload/storage/v1/b/{bucket}/o"
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_DEFAULT_TYPE = "application/octet-stream"


class UploadRoutes:
    """Handlers for uploads."""

    def __init__(self, files: DataFiles, objects: Objects, uploads: Uploads) -> None:
        self._files = files
        self._objects = objects
        self._uploads = uploads

    def routes(self) -> list[Route]:
        """Return the routes, for the router."""
        inserting = ("uploadType", "upload_id", "name", "projection", *OF_TARGET)
        resuming = ("uploadType", "upload_id")
        return [
            Route("POST", _PATH, self.insert, inserting, ("x-goog-hash",)),
            Route("PUT", _PATH, self.resume, resuming, ("x-goog-hash",)),
            Route("DELETE", _PATH, self.cancel, resuming),
        ]

    def insert(self, routed: RoutedRequest) -> Response:
        """POST: an object in one request, the beginning of a resumable upload, or a chunk of one.

        Google's client for Go, and so rclone, sends chunks by POST.
        """
        if "upload_id" in routed.parameters:
            return self.resume(routed)
        routed.choice("projection", "noAcl", "full")
        if "content-encoding" in routed.request.headers:
            raise Unsupported("header not served: content-encoding")
        kind = routed.text("uploadType")
        if kind == "resumable":
            return self._begin(routed)
        if kind == "multipart":
            return self._insert_multipart(routed)
        if kind == "media":
            given: Json = {"contentType": routed.request.headers.get("content-type", _DEFAULT_TYPE)}
            return self._insert(routed, given, routed.request.body.blocks())
        raise BadRequest(f"Invalid uploadType: '{kind}'")

    def resume(self, routed: RoutedRequest) -> Response:
        """PUT or POST: a chunk of a resumable upload, or a question about its progress."""
        identifier = _upload_id(routed)
        checksums = _header_checksums(routed)
        body = routed.request.body
        header = routed.request.headers.get("content-range")
        if header is None:
            outcome = self._uploads.add(identifier, Chunk(0, None, body.length), body, checksums)
            return self._progress(routed, outcome)
        match = _CONTENT_RANGE.fullmatch(header)
        if not match:
            raise BadRequest(f"Invalid Content-Range: {header}")
        first, last, total = match.groups()
        if first is not None:
            chunk = _chunk(int(first), int(last), total, body.length)
            outcome = self._uploads.add(identifier, chunk, body, checksums)
        elif total == "*":
            outcome = self._uploads.received(identifier)
        else:
            outcome = self._uploads.finish(identifier, int(total), checksums)
        return self._progress(routed, outcome)

    def cancel(self, routed: RoutedRequest) -> Response:
        """DELETE: cancel a resumable upload."""
        self._uploads.cancel(_upload_id(routed))
        # https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
        return Response(499)

    def _insert_multipart(self, routed: RoutedRequest) -> Response:
        body = Multipart(routed.request.body, _boundary(routed.request.headers.get("content-type", "")))
        headers, text = body.small_part()
        given = parse_json(text)
        headers = body.next_headers()
        given.setdefault("contentType", headers.get("content-type", _DEFAULT_TYPE))
        return self._insert(routed, given, body.blocks())

    def _insert(self, routed: RoutedRequest, given: Json, blocks: Iterator[bytes]) -> Response:
        name, settings, checksums = _split(routed, given)
        conditions = Preconditions.parse(routed.parameters)
        self._objects.check_target(routed.path["bucket"], name, conditions)
        content = self._files.receive(blocks)
        try:
            content.check({**checksums, **_header_checksums(routed)})
        except BadRequest:
            self._files.discard(content.file)
            raise
        return self._shown(
            routed, self._objects.create(routed.path["bucket"], name, settings, content, conditions)
        )

    def _begin(self, routed: RoutedRequest) -> Response:
        headers = routed.request.headers
        given = routed.json()
        given.setdefault("contentType", headers.get("x-upload-content-type", _DEFAULT_TYPE))
        name, settings, checksums = _split(routed, given)
        size = None
        if "x-upload-content-length" in headers:
            size = whole_number("X-Upload-Content-Length", headers["x-upload-content-length"])
        conditions = Preconditions.parse(routed.parameters)
        checksums = {**checksums, **_header_checksums(routed)}
        request = UploadRequest(
            routed.path["bucket"], name, settings, checksums, conditions, size, routed.address
        )
        identifier = self._uploads.start(request)
        path = _PATH.format(bucket=routed.path["bucket"])
        location = f"{routed.address}{path}?uploadType=resumable&upload_id={identifier}"
        return Response(200, [("Location", location), ("X-GUploader-UploadID", identifier)])

    def _progress(self, routed: RoutedRequest, outcome: int | Json) -> Response:
        if not isinstance(outcome, int):
            return routed.answer(outcome)
        headers = [("Range", f"bytes=0-{outcome - 1}")] if outcome else []
        if routed.request.headers.get("x-guploader-no-308") == "yes":
            # https://github.com/googleapis/google-api-go-client/blob/main/internal/gensupport/resumable.go
            return Response(200, [*headers, ("X-Http-Status-Code-Override", "308")])
        return Response(308, headers)

    def _shown(self, routed: RoutedRequest, stored: ObjectRecord) -> Response:
        return routed.answer(stored.resource(routed.address))


def parse_hash_header(header: str) -> dict[str, str]:
    """Parse an `X-Goog-Hash` header into checksums by their names in metadata. Raises BadRequest."""
    checksums = {}
    for entry in filter(None, (entry.strip() for entry in header.split(","))):
        kind, _, value = entry.partition("=")
        if kind not in ("crc32c", "md5") or not value:
            raise BadRequest(f"Invalid X-Goog-Hash: {header}")
        checksums["md5Hash" if kind == "md5" else kind] = value
    return checksums


def _header_checksums(routed: RoutedRequest) -> dict[str, str]:
    return parse_hash_header(routed.request.headers.get("x-goog-hash", ""))


def _split(routed: RoutedRequest, given: Json) -> tuple[str, Json, dict[str, str]]:
    bucket = given.pop("bucket", routed.path["bucket"])
    name = routed.text("name") or str(given.get("name") or "")
    if bucket != routed.path["bucket"]:
        raise BadRequest(f"The bucket in the metadata isn't the bucket of the request: {bucket}")
    if given.get("name", name) != name:
        raise BadRequest(f"The name in the metadata isn't the name in the request: {given['name']}")
    check_name(name)
    settings, checksums = split_object(given)
    return name, settings, checksums


def _upload_id(routed: RoutedRequest) -> str:
    if "upload_id" not in routed.parameters:
        raise BadRequest("Required parameter: upload_id")
    routed.choice("uploadType", "resumable")
    return routed.parameters["upload_id"]


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
    # apitools, the library of gcloud, sends it in single quotes.
    return boundary.removeprefix("'").removesuffix("'").encode("latin-1")
