"""The XML API, as far as signed URLs use it: GET, HEAD and PUT of an object, and OPTIONS before them."""

import base64
import binascii

from gcs_server.datafiles import DataFiles
from gcs_server.errors import BadRequest, Unsupported
from gcs_server.json_uploads import parse_hash_header
from gcs_server.media import hash_values, media
from gcs_server.objects import Objects, check_name
from gcs_server.preconditions import Preconditions
from gcs_server.resources import Json, split_object
from gcs_server.routing import Route, RoutedRequest
from gcs_server.signatures import PARAMETERS, Signatures
from gcs_server.wire import Response

_OBJECT = "/{bucket}/{+name}"
_SIGNED = ("x-goog-content-sha256",)
_CONDITIONS = {
    "x-goog-if-generation-match": "ifGenerationMatch",
    "x-goog-if-metageneration-match": "ifMetagenerationMatch",
}
_SETTINGS = {
    "content-type": "contentType",
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
}
_META = "x-goog-meta-"
_WRITING = (*_SIGNED, *_CONDITIONS, _META, "x-goog-hash")


class SignedRoutes:
    """Handlers for signed URLs."""

    def __init__(self, files: DataFiles, objects: Objects, signatures: Signatures) -> None:
        self._files = files
        self._objects = objects
        self._signatures = signatures

    def routes(self) -> list[Route]:
        """Return the routes, for the router."""
        # Nobody pays here, but who signs a project as the payer may read.
        reading = (
            *(*PARAMETERS, "generation", "userProject"),
            *("response-content-disposition", "response-content-type"),
        )
        return [
            Route("GET", _OBJECT, self.get, reading, (*_SIGNED, *_CONDITIONS)),
            Route("HEAD", _OBJECT, self.get, reading, (*_SIGNED, *_CONDITIONS)),
            Route("PUT", _OBJECT, self.put, PARAMETERS, _WRITING),
            Route("OPTIONS", _OBJECT, self.options, reading),
        ]

    def options(self, routed: RoutedRequest) -> Response:
        """OPTIONS: nothing but the headers that the bucket's CORS rules add."""
        return Response(200)

    def get(self, routed: RoutedRequest) -> Response:
        """GET and HEAD: the content, with the type and disposition of the URL, or its own."""
        self._signatures.verify(routed.request)
        bucket, name = routed.path["bucket"], routed.path["name"]
        stored, file = self._objects.open(bucket, name, routed.number("generation"), _conditions(routed))
        values = stored.attributes
        kind = values.get("contentType", "application/octet-stream")
        headers = [("Content-Type", routed.text("response-content-type", kind))]
        disposition = routed.text("response-content-disposition", values.get("contentDisposition", ""))
        if disposition:
            headers.append(("Content-Disposition", disposition))
        headers += [("x-goog-hash", value) for value in hash_values(stored)]
        for key, text in values.get("metadata", {}).items():
            headers.append((_META + key, text))
        if "componentCount" in values:
            headers.append(("x-goog-component-count", str(values["componentCount"])))
        return media(routed.request, stored, file, headers)

    def put(self, routed: RoutedRequest) -> Response:
        """PUT: create an object of the body, checked against the checksums of the headers."""
        self._signatures.verify(routed.request)
        headers = routed.request.headers
        if "content-range" in headers:
            raise Unsupported("header not served: content-range")
        bucket, name = routed.path["bucket"], routed.path["name"]
        check_name(name)
        settings, conditions = _settings(headers), _conditions(routed)
        self._objects.check_target(bucket, name, conditions)
        content = self._files.receive(routed.request.body.blocks())
        try:
            content.check(_expected_checksums(headers))
        except BadRequest:
            self._files.discard(content.file)
            raise
        stored = self._objects.create(bucket, name, settings, content, conditions)
        answer = [("x-goog-hash", value) for value in hash_values(stored)]
        answer += [
            ("x-goog-generation", str(stored.generation)),
            ("x-goog-metageneration", str(stored.metageneration)),
            ("ETag", f'"{base64.b64decode(stored.attributes["md5Hash"]).hex()}"'),
        ]
        return Response(200, answer)


def _conditions(routed: RoutedRequest) -> Preconditions:
    headers = routed.request.headers
    given = {name: headers[header] for header, name in _CONDITIONS.items() if header in headers}
    return Preconditions.parse(given)


def _settings(headers: dict[str, str]) -> Json:
    settings: Json = {name: headers[header] for header, name in _SETTINGS.items() if header in headers}
    metadata = {
        name[len(_META) :]: value.encode("latin-1").decode("utf-8", "replace")
        for name, value in headers.items()
        if name.startswith(_META)
    }
    return split_object({**settings, "metadata": metadata})[0]


def _expected_checksums(headers: dict[str, str]) -> dict[str, str]:
    checksums = parse_hash_header(headers.get("x-goog-hash", ""))
    if "content-md5" in headers:
        checksums["md5Hash"] = headers["content-md5"]
    for name, value in checksums.items():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise BadRequest(f"Invalid {name}: {value}") from error
    return checksums
