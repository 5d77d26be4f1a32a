"""The operations of the catalogue's service."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from run.api.bundles import find_bundle, require_content
from run.api.call import Call
from run.api.pagination import answer
from run.explore.access import sought
from run.explore.arguments import FILTERED, PAGED, Arguments
from run.explore.counting import count
from run.explore.downloads import data_object, redirect
from run.explore.health import FAST, health
from run.explore.manifests import get_manifest as find_manifest
from run.explore.manifests import put_manifest as start_manifest
from run.explore.pages import chosen, hit_form, pagination_form
from shared.access import Action
from shared.errors import Forbidden, Gone, IllegalArguments, NotFound, Unauthorized
from shared.explore.base import FAILED, INDEXED, LEFT_OUT, BundleState
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.plugins import EntityType
from shared.explore.query import PageOrder, Query
from shared.identifiers import Fqid, check_uuid

_BUNDLES = "bundles"
_WAITS = "on its way"
# Bytes: 34 MB for 100 bundles of at least 100 files each, 16 MB for 1,000 files; both of short metadata.
MEMORY_OF_LARGEST_PAGE = 48 << 20
_OF_INTEGRATIONS = frozenset(("entity_type", "integration_type", "entity_ids"))


def list_entities(call: Call, *, entity_type: str) -> Response:
    """Answer a page of entities, with the counts of facets."""
    return _page(call, entity_type, {})


def post_entities(call: Call, *, entity_type: str, json_request_body: dict[str, Any]) -> Response:
    """Answer a page of entities, with parameters in the body."""
    return _page(call, entity_type, json_request_body)


def get_entity(call: Call, *, entity_type: str, entity_id: str) -> Response:
    """Answer one entity; of a bundle, whether its newest version is in the catalogue, and if not, why."""
    arguments = Arguments.of(call.query, None, PAGED)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    _listed_type(catalogue, entity_type)
    entity_id = check_uuid(entity_id, "entity_id")
    query = arguments.query(catalogue, entity_type)
    found = call.dss.catalogues.one(catalogue, sought(call), query, entity_id)
    if found is None:
        if entity_type == _BUNDLES and not query.filters and not query.words:
            return answer({"entryId": entity_id, **_state(call, catalogue, entity_id)})
        raise NotFound(f"Can't find an entity in {entity_type} with an uuid, {entity_id}.")
    hit = hit_form(catalogue, entity_type, found, call.base_url)
    if entity_type == _BUNDLES:
        hit |= {"status": INDEXED, **_newer(call, catalogue, entity_id, hit)}
    return answer(chosen(hit, arguments.fields()))


def summary(call: Call) -> Response:
    """Answer what there is in all of what matches."""
    return _summary(call, {})


def post_summary(call: Call, *, json_request_body: dict[str, Any]) -> Response:
    """Answer what there is in all of what matches, with parameters in the body."""
    return _summary(call, json_request_body)


def catalogs(call: Call) -> Response:
    """Answer which catalogues there are, and what one can list in each."""
    Arguments.of(call.query, None, frozenset())
    known = call.dss.catalogues.catalogues()
    default = next(iter(known), None)
    return answer(
        {"default_catalog": default, "catalogs": {name: _catalog(each) for name, each in known.items()}}
    )


def sources(call: Call) -> Response:
    """Answer where the bundles of a catalogue are from."""
    arguments = Arguments.of(call.query, None, frozenset(("catalog",)))
    source = arguments.catalogue(call.dss.catalogues.catalogues()).source
    return answer({"sources": [{"sourceId": source["id"], "sourceSpec": source["spec"]}]})


def integrations(call: Call) -> Response:
    """Answer which other portals show entities: none, as none are configured."""
    arguments = Arguments.of(call.query, None, _OF_INTEGRATIONS)
    for name in ("entity_type", "integration_type"):
        arguments.required(name)
    return answer([])


def get_file(call: Call, *, file_uuid: str) -> Response:
    """Redirect to the bytes of a file."""
    return redirect(call, file_uuid)


def fetch_file(call: Call, *, file_uuid: str) -> Response:
    """Answer the redirect to the bytes of a file, for scripts in browsers, which can't see redirects."""
    found = redirect(call, file_uuid)
    location = found.headers.get("Location")
    return answer({"Status": found.status_code, **({"Location": location} if location else {})})


def put_manifest(call: Call, *, json_request_body: dict[str, Any]) -> Response:
    """Start a manifest, and redirect to where to ask for it, or to it."""
    return start_manifest(call, json_request_body, fetch=False)


def fetch_new_manifest(call: Call, *, json_request_body: dict[str, Any]) -> Response:
    """Start a manifest, and answer the redirect, for scripts in browsers."""
    return start_manifest(call, json_request_body, fetch=True)


def get_manifest(call: Call, *, token: str) -> Response:
    """Redirect to where to ask for a manifest again, or to it."""
    Arguments.of(call.query, None, frozenset())
    return find_manifest(call, token, fetch=False)


def fetch_manifest(call: Call, *, token: str) -> Response:
    """Answer the redirect to a manifest, for scripts in browsers."""
    Arguments.of(call.query, None, frozenset())
    return find_manifest(call, token, fetch=True)


def get_data_object(call: Call, *, uuid: str) -> Response:
    """Describe a file as the predecessor of DRS does."""
    return answer(data_object(call, uuid))


def health_of_all(call: Call) -> Response:
    """Answer whether all parts work."""
    Arguments.of(call.query, None, frozenset())
    return _health(health().check())


def health_of(call: Call, *, keys: str) -> Response:
    """Answer whether some parts work: those that are named, or `basic`, `fast` or `cached`."""
    Arguments.of(call.query, None, frozenset())
    if keys == "basic":
        return answer({"up": True})
    if keys == "cached":
        return _health(health().cached())
    return _health(health().check(FAST if keys == "fast" else keys.split(",")))


def _health(found: Mapping[str, Json]) -> Response:
    return answer(found, 200 if found["up"] else 503)


def _summary(call: Call, body: Mapping[str, Any]) -> Response:
    arguments = Arguments.of(call.query, body, FILTERED)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    query = arguments.query(catalogue, "")
    return answer(call.dss.catalogues.summary(catalogue, sought(call), query))


def _page(call: Call, entity_type: str, body: Mapping[str, Any]) -> Response:
    arguments = Arguments.of(call.query, body, PAGED)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    listed = _listed_type(catalogue, entity_type)
    query, order = arguments.query(catalogue, entity_type), arguments.order(catalogue, listed)
    with call.memory.collections.reserve(MEMORY_OF_LARGEST_PAGE * order.size // listed.max_size):
        return answer(_page_form(call, catalogue, query, order, arguments, frozenset(body)))


def _page_form(
    call: Call,
    catalogue: Catalogue,
    query: Query,
    order: PageOrder,
    arguments: Arguments,
    in_body: frozenset[str],
) -> dict[str, Any]:
    store, labels, fields = call.dss.catalogues, sought(call), arguments.fields()
    found = store.page(catalogue, labels, query, order)
    total, counts = count(store, catalogue, labels, query, arguments.facets(catalogue))
    hits = (hit_form(catalogue, query.entity_type, each, call.base_url) for each in found.found)
    url = f"{call.base_url}{call.path}"
    return {
        "pagination": pagination_form(found, order, total, url=url, given=arguments.given, in_body=in_body),
        "hits": [chosen(hit, fields) for hit in hits],
        "termFacets": counts,
    }


def _listed_type(catalogue: Catalogue, entity_type: str) -> EntityType:
    if entity_type not in catalogue.listed:
        known = ", ".join(sorted(map(repr, catalogue.listed)))
        raise IllegalArguments(f"Entity type {entity_type[:100]!r} is invalid. Must be one of {{{known}}}.")
    return catalogue.listed[entity_type]


def _newer(call: Call, catalogue: Catalogue, uuid: str, hit: Mapping[str, Any]) -> dict[str, Json]:
    """Return the state of a bundle's newest version as `newest`, if that is not the one of a hit."""
    try:
        state = _state(call, catalogue, uuid)
    except (Forbidden, Gone, NotFound, Unauthorized):
        # Just deleted, and still in the catalogue for a moment; or others read the newest version.
        return {}
    shown = hit["bundles"][0]["bundleVersion"] if hit.get("bundles") else state["version"]
    return {} if state["version"] == shown else {"newest": state}


def _state(call: Call, catalogue: Catalogue, uuid: str) -> dict[str, Json]:
    """Return the newest version of a bundle in the store, its status in a catalogue, and why it has failed.

    Raise NotFound if there is none, and what else `find_bundle` raises.
    """
    head = find_bundle(call, uuid, catalogue.setting.replica, None)
    # The reason may quote what files of it hold.
    require_content(call, head, Action.READ)
    state = call.dss.catalogues.state(catalogue, head.fqid)
    reason = {"reason": state.reason} if state and state.state == FAILED else {}
    return {"version": head.fqid.version, "status": status_of(catalogue, head.fqid, state), **reason}


def status_of(catalogue: Catalogue, fqid: Fqid, state: BundleState | None) -> str:
    """Return the status of a bundle version that is not shown, of what the catalogue has recorded of it."""
    if state and state.state != INDEXED:
        return state.state
    return _WAITS if fqid.uuid.startswith(catalogue.setting.prefix) else LEFT_OUT


def _catalog(catalogue: Catalogue) -> dict[str, Any]:
    indices = {
        name: {
            "default_sort": each.default_sort,
            "default_order": each.default_order,
            "max_size": each.max_size,
        }
        for name, each in catalogue.listed.items()
    }
    return {
        "atlas": catalogue.name,
        "internal": False,
        "plugins": {
            "metadata": {"name": catalogue.setting.plugin, "indices": indices},
            "repository": {"name": "dss", "sources": [catalogue.source["spec"]]},
        },
    }
