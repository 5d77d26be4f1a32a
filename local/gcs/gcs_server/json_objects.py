"""The JSON API of objects: metadata, content, listing, compose, rewrite, copy."""

from gcs_server.copying import ComposeSource, Copying, CopySource, CopyTarget
from gcs_server.database import Database
from gcs_server.errors import BadRequest, Unsupported
from gcs_server.listing import PAGE_LIMIT, Selection, list_objects
from gcs_server.media import hash_values, media
from gcs_server.objects import Objects
from gcs_server.preconditions import OF_SOURCE, OF_TARGET, Preconditions, whole_number
from gcs_server.resources import Json, ObjectRecord, merged, split_object
from gcs_server.routing import Route, RoutedRequest
from gcs_server.wire import Response

_OBJECTS = "/storage/v1/b/{bucket}/o"
_OBJECT = _OBJECTS + "/{name}"
_TARGET = "/b/{target_bucket}/o/{target_name}"
_ONE = ("generation", *OF_TARGET)
_COPY = ("sourceGeneration", "projection", *OF_TARGET, *OF_SOURCE)
_LIST = [
    "delimiter",
    "endOffset",
    # Buckets here have no folders, which it would add.
    "includeFoldersAsPrefixes",
    "includeTrailingDelimiter",
    "maxResults",
    "pageToken",
    "prefix",
    "projection",
    "startOffset",
    "versions",
]


class ObjectRoutes:
    """Handlers for objects, except uploads."""

    def __init__(self, database: Database, objects: Objects, copying: Copying) -> None:
        self._database = database
        self._objects = objects
        self._copying = copying

    def routes(self) -> list[Route]:
        """Return the routes, for the router."""
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

    def get(self, routed: RoutedRequest) -> Response:
        """GET /b/{bucket}/o/{name}, with `alt=media` its content."""
        routed.choice("projection", "noAcl", "full")
        asked = (*_named(routed), routed.number("generation"), Preconditions.parse(routed.parameters))
        if routed.choice("alt", "json", "media") == "json":
            return self._shown(routed, self._objects.get(*asked))
        stored, file = self._objects.open(*asked)
        headers = [
            ("Content-Type", stored.attributes.get("contentType", "application/octet-stream")),
            ("X-Goog-Hash", ",".join(hash_values(stored))),
        ]
        if "contentDisposition" in stored.attributes:
            headers.append(("Content-Disposition", stored.attributes["contentDisposition"]))
        return media(routed.request, stored, file, headers)

    def list(self, routed: RoutedRequest) -> Response:
        """GET /b/{bucket}/o"""
        routed.choice("projection", "noAcl", "full")
        # Without versioning of buckets, which is not served, an object has no other generations.
        routed.flag("versions")
        selection = Selection(
            prefix=routed.text("prefix"),
            delimiter=routed.text("delimiter"),
            start=routed.text("startOffset"),
            end=routed.text("endOffset"),
            trailing=routed.flag("includeTrailingDelimiter"),
            limit=min(routed.number("maxResults") or PAGE_LIMIT, PAGE_LIMIT),
        )
        page = list_objects(self._database, routed.path["bucket"], selection, routed.text("pageToken"))
        answer: Json = {"kind": "storage#objects"}
        if page.items:
            answer["items"] = [stored.resource(routed.address) for stored in page.items]
        if page.prefixes:
            answer["prefixes"] = page.prefixes
        if page.token:
            answer["nextPageToken"] = page.token
        return routed.answer(answer)

    def delete(self, routed: RoutedRequest) -> Response:
        """DELETE /b/{bucket}/o/{name}"""
        conditions = Preconditions.parse(routed.parameters)
        self._objects.delete(*_named(routed), routed.number("generation"), conditions)
        return Response(204)

    def patch(self, routed: RoutedRequest) -> Response:
        """PATCH /b/{bucket}/o/{name}: change the given properties; null unsets."""
        return self._change(routed, whole=False)

    def update(self, routed: RoutedRequest) -> Response:
        """PUT /b/{bucket}/o/{name}: unset all other properties."""
        return self._change(routed, whole=True)

    def compose(self, routed: RoutedRequest) -> Response:
        """POST /b/{bucket}/o/{name}/compose"""
        body = routed.json()
        sources = [_compose_source(entry) for entry in body.pop("sourceObjects", [])]
        # Checksums here describe an earlier generation: they are output, and not checked.
        settings, _ = split_object(body.pop("destination", {}))
        body.pop("kind", None)
        _check_empty(body, "compose property")
        conditions = Preconditions.parse(routed.parameters)
        return self._shown(routed, self._copying.compose(*_named(routed), sources, settings, conditions))

    def rewrite(self, routed: RoutedRequest) -> Response:
        """POST /b/{bucket}/o/{name}/rewriteTo/b/{target_bucket}/o/{target_name}"""
        source, target = _source(routed), _target(routed)
        limit = routed.number("maxBytesRewrittenPerCall")
        progress = self._copying.rewrite(source, target, routed.parameters.get("rewriteToken"), limit)
        answer: Json = {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(progress.rewritten),
            "objectSize": str(progress.size),
            "done": progress.created is not None,
        }
        if progress.token:
            answer["rewriteToken"] = progress.token
        if progress.created:
            answer["resource"] = progress.created.resource(routed.address)
        return routed.answer(answer)

    def copy(self, routed: RoutedRequest) -> Response:
        """POST /b/{bucket}/o/{name}/copyTo/b/{target_bucket}/o/{target_name}"""
        return self._shown(routed, self._copying.copy(_source(routed), _target(routed)))

    def _change(self, routed: RoutedRequest, *, whole: bool) -> Response:
        routed.choice("projection", "full", "noAcl")
        changes, _ = split_object(routed.json())
        changed = self._objects.change(
            *_named(routed),
            routed.number("generation"),
            Preconditions.parse(routed.parameters),
            lambda attributes: merged(attributes, changes, whole=whole),
        )
        return self._shown(routed, changed)

    def _shown(self, routed: RoutedRequest, stored: ObjectRecord) -> Response:
        return routed.answer(stored.resource(routed.address))


def _named(routed: RoutedRequest) -> tuple[str, str]:
    return routed.path["bucket"], routed.path["name"]


def _source(routed: RoutedRequest) -> CopySource:
    conditions = Preconditions.parse(routed.parameters, "ifSource")
    return CopySource(*_named(routed), routed.number("sourceGeneration"), conditions)


def _target(routed: RoutedRequest) -> CopyTarget:
    routed.choice("projection", "noAcl", "full")
    settings, _ = split_object(routed.json())
    conditions = Preconditions.parse(routed.parameters)
    return CopyTarget(routed.path["target_bucket"], routed.path["target_name"], settings, conditions)


def _compose_source(entry: Json) -> ComposeSource:
    rest = dict(entry)
    name, generation = rest.pop("name", None), rest.pop("generation", None)
    conditions = dict(rest.pop("objectPreconditions", None) or {})
    match = conditions.pop("ifGenerationMatch", None)
    _check_empty({**rest, **conditions}, "compose source property")
    if not isinstance(name, str):
        raise BadRequest(f"A source object has no name: {name!r}")
    return ComposeSource(name, _integer("generation", generation), _generation_is(match))


def _generation_is(match: object) -> Preconditions:
    return Preconditions(generation_match=_integer("ifGenerationMatch", match))


def _integer(name: str, value: object) -> int | None:
    return None if value is None else whole_number(name, str(value))


def _check_empty(rest: Json, kind: str) -> None:
    for name in rest:
        raise Unsupported(f"{kind} not served: {name}")
