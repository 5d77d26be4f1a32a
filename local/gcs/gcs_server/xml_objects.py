"""The XML API, as far as signed URLs use it: one object read, asked about, or written."""

import base64
import binascii

from gcs_server.datafiles import DataFiles
from gcs_server.errors import BadRequest, NotServed
from gcs_server.json_uploads import hash_claims
from gcs_server.media import hash_values, media
from gcs_server.objects import Objects, check_name
from gcs_server.preconditions import Preconditions
from gcs_server.resources import Json, split_object
from gcs_server.routing import Call, Route
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
    """Handlers that first check who signed."""

    def __init__(self, files: DataFiles, objects: Objects, signatures: Signatures) -> None:
        self._files = files
        self._objects = objects
        self._signatures = signatures

    def routes(self) -> list[Route]:
        """The routes, for the router."""
        reading = (*PARAMETERS, "generation", "response-content-disposition", "response-content-type")
        return [
            Route("GET", _OBJECT, self.get, reading, (*_SIGNED, *_CONDITIONS)),
            Route("HEAD", _OBJECT, self.get, reading, (*_SIGNED, *_CONDITIONS)),
            Route("PUT", _OBJECT, self.put, PARAMETERS, _WRITING),
        ]

    def get(self, call: Call) -> Response:
        """GET and HEAD: the content, under the type and disposition that the URL says, or its own."""
        self._signatures.verify(call.request)
        bucket, name = call.path["bucket"], call.path["name"]
        stored, file = self._objects.open(bucket, name, call.number("generation"), _conditions(call))
        values = stored.attributes
        kind = values.get("contentType", "application/octet-stream")
        headers = [("Content-Type", call.text("response-content-type", kind))]
        disposition = call.text("response-content-disposition", values.get("contentDisposition", ""))
        if disposition:
            headers.append(("Content-Disposition", disposition))
        headers += [("x-goog-hash", value) for value in hash_values(stored)]
        for key, text in values.get("metadata", {}).items():
            headers.append((_META + key, text))
        if "componentCount" in values:
            headers.append(("x-goog-component-count", str(values["componentCount"])))
        return media(call.request, stored, file, headers)

    def put(self, call: Call) -> Response:
        """PUT: a new object of the body, verified by what the headers claim of it."""
        self._signatures.verify(call.request)
        headers = call.request.headers
        if "content-range" in headers:
            raise NotServed("header not served: content-range")
        bucket, name = call.path["bucket"], call.path["name"]
        check_name(name)
        settings, conditions = _settings(headers), _conditions(call)
        self._objects.check_target(bucket, name, conditions)
        content = self._files.receive(call.request.body.blocks())
        try:
            content.check(_claims(headers))
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


def _conditions(call: Call) -> Preconditions:
    headers = call.request.headers
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


def _claims(headers: dict[str, str]) -> dict[str, str]:
    claims = hash_claims(headers.get("x-goog-hash", ""))
    if "content-md5" in headers:
        claims["md5Hash"] = headers["content-md5"]
    for name, value in claims.items():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise BadRequest(f"Invalid {name}: {value}") from error
    return claims
