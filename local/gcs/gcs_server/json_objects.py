"""The JSON API of objects: metadata, content, listing, compose, rewrite, copy."""

from gcs_server.copying import Copying, Part, Source, Target
from gcs_server.database import Database
from gcs_server.errors import BadRequest, NotServed
from gcs_server.listing import PAGE_LIMIT, Selection, list_objects
from gcs_server.media import hash_values, media
from gcs_server.objects import Objects
from gcs_server.preconditions import OF_SOURCE, OF_TARGET, Preconditions, whole_number
from gcs_server.resources import Json, StoredObject, merged, split_object
from gcs_server.routing import Call, Route
from gcs_server.wire import Response

_OBJECTS = "/storage/v1/b/{bucket}/o"
_OBJECT = _OBJECTS + "/{name}"
_TARGET = "/b/{target_bucket}/o/{target_name}"
_ONE = ("generation", *OF_TARGET)
_COPY = ("sourceGeneration", "projection", *OF_TARGET, *OF_SOURCE)
_LIST = [
    "delimiter",
    "endOffset",
    "includeTrailingDelimiter",
    "maxResults",
    "pageToken",
    "prefix",
    "projection",
    "startOffset",
    "versions",
]


class ObjectRoutes:
    """Handlers of everything about objects but their upload."""

    def __init__(self, database: Database, objects: Objects, copying: Copying) -> None:
        self._database = database
        self._objects = objects
        self._copying = copying

    def routes(self) -> list[Route]:
        """The routes, for the router."""
        with_projection = (*_ONE, "projection")
        rewriting = ("rewriteToken", "maxBytesRewrittenPerCall", *_COPY)
        return [
            Route("GET", _OBJECT, self.get, with_projection),
            Route("GET", "/download" + _OBJECT, self.get, with_projection),
            Route("GET", _OBJECTS, self.list, _LIST),
            Route("DELETE", _OBJECT, self.delete, _ONE),
            Route("PATCH", _OBJECT, self.patch, with_projection),
            Route("PUT", _OBJECT, self.update, with_projection),
            Route("POST", _OBJECT + "/compose", self.compose, OF_TARGET),
            Route("POST", _OBJECT + "/rewriteTo" + _TARGET, self.rewrite, rewriting),
            Route("POST", _OBJECT + "/copyTo" + _TARGET, self.copy, _COPY),
        ]

    def get(self, call: Call) -> Response:
        """GET /b/{bucket}/o/{name}, with `alt=media` its content."""
        call.choice("projection", "noAcl", "full")
        asked = (*_named(call), call.number("generation"), Preconditions.parse(call.parameters))
        if call.choice("alt", "json", "media") == "json":
            return self._shown(call, self._objects.get(*asked))
        stored, file = self._objects.open(*asked)
        headers = [
            ("Content-Type", stored.attributes.get("contentType", "application/octet-stream")),
            ("X-Goog-Hash", ",".join(hash_values(stored))),
        ]
        if "contentDisposition" in stored.attributes:
            headers.append(("Content-Disposition", stored.attributes["contentDisposition"]))
        return media(call.request, stored, file, headers)

    def list(self, call: Call) -> Response:
        """GET /b/{bucket}/o"""
        call.choice("projection", "noAcl", "full")
        if call.flag("versions"):
            raise NotServed("versions=true is not served")
        selection = Selection(
            prefix=call.text("prefix"),
            delimiter=call.text("delimiter"),
            start=call.text("startOffset"),
            end=call.text("endOffset"),
            trailing=call.flag("includeTrailingDelimiter"),
            limit=min(call.number("maxResults") or PAGE_LIMIT, PAGE_LIMIT),
        )
        page = list_objects(self._database, call.path["bucket"], selection, call.text("pageToken"))
        answer: Json = {"kind": "storage#objects"}
        if page.items:
            answer["items"] = [stored.resource(self._objects.address) for stored in page.items]
        if page.prefixes:
            answer["prefixes"] = page.prefixes
        if page.token:
            answer["nextPageToken"] = page.token
        return call.answer(answer)

    def delete(self, call: Call) -> Response:
        """DELETE /b/{bucket}/o/{name}"""
        conditions = Preconditions.parse(call.parameters)
        self._objects.delete(*_named(call), call.number("generation"), conditions)
        return Response(204)

    def patch(self, call: Call) -> Response:
        """PATCH /b/{bucket}/o/{name}: what isn't named stays, null unsets."""
        return self._change(call, whole=False)

    def update(self, call: Call) -> Response:
        """PUT /b/{bucket}/o/{name}: what isn't named is unset."""
        return self._change(call, whole=True)

    def compose(self, call: Call) -> Response:
        """POST /b/{bucket}/o/{name}/compose"""
        body = call.json()
        parts = [_part(entry) for entry in body.pop("sourceObjects", [])]
        # Checksums here are what a client was given of an earlier generation: output, not claims.
        settings, _ = split_object(body.pop("destination", {}))
        body.pop("kind", None)
        _refuse_rest(body, "compose property")
        conditions = Preconditions.parse(call.parameters)
        return self._shown(call, self._copying.compose(*_named(call), parts, settings, conditions))

    def rewrite(self, call: Call) -> Response:
        """POST /b/{bucket}/o/{name}/rewriteTo/b/{target_bucket}/o/{target_name}"""
        source, target = _source(call), _target(call)
        limit = call.number("maxBytesRewrittenPerCall")
        progress = self._copying.rewrite(source, target, call.parameters.get("rewriteToken"), limit)
        answer: Json = {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(progress.rewritten),
            "objectSize": str(progress.size),
            "done": progress.created is not None,
        }
        if progress.token:
            answer["rewriteToken"] = progress.token
        if progress.created:
            answer["resource"] = progress.created.resource(self._objects.address)
        return call.answer(answer)

    def copy(self, call: Call) -> Response:
        """POST /b/{bucket}/o/{name}/copyTo/b/{target_bucket}/o/{target_name}"""
        return self._shown(call, self._copying.copy(_source(call), _target(call)))

    def _change(self, call: Call, *, whole: bool) -> Response:
        call.choice("projection", "full", "noAcl")
        changes, _ = split_object(call.json())
        changed = self._objects.change(
            *_named(call),
            call.number("generation"),
            Preconditions.parse(call.parameters),
            lambda attributes: merged(attributes, changes, whole=whole),
        )
        return self._shown(call, changed)

    def _shown(self, call: Call, stored: StoredObject) -> Response:
        return call.answer(stored.resource(self._objects.address))


def _named(call: Call) -> tuple[str, str]:
    return call.path["bucket"], call.path["name"]


def _source(call: Call) -> Source:
    conditions = Preconditions.parse(call.parameters, "ifSource")
    return Source(*_named(call), call.number("sourceGeneration"), conditions)


def _target(call: Call) -> Target:
    call.choice("projection", "noAcl", "full")
    settings, _ = split_object(call.json())
    conditions = Preconditions.parse(call.parameters)
    return Target(call.path["target_bucket"], call.path["target_name"], settings, conditions)


def _part(entry: Json) -> Part:
    rest = dict(entry)
    name, generation = rest.pop("name", None), rest.pop("generation", None)
    conditions = dict(rest.pop("objectPreconditions", None) or {})
    match = conditions.pop("ifGenerationMatch", None)
    _refuse_rest({**rest, **conditions}, "compose source property")
    if not isinstance(name, str):
        raise BadRequest(f"A source object has no name: {name!r}")
    return Part(name, _integer("generation", generation), _generation_is(match))


def _generation_is(match: object) -> Preconditions:
    return Preconditions(generation_match=_integer("ifGenerationMatch", match))


def _integer(name: str, value: object) -> int | None:
    return None if value is None else whole_number(name, str(value))


def _refuse_rest(rest: Json, kind: str) -> None:
    for name in rest:
        raise NotServed(f"{kind} not served: {name}")
