"""The operations of the catalogue's service."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from run.api import files
from run.api.call import Call
from run.api.pagination import answer
from run.explore.arguments import COMMON, PAGED, Arguments
from run.explore.pages import chosen, facets_form, hit_form, pagination_form
from shared.access import Resource, labels_sought
from shared.catalog import BundleHead
from shared.errors import IllegalArguments, NotFound
from shared.explore.base import FAILED, INDEXED
from shared.explore.catalogues import Catalogue
from shared.explore.plugins import EntityType
from shared.explore.query import PageOrder, Query
from shared.identifiers import check_uuid, check_version

# Parameters of a file's URL; the last three are the predecessor's own, and have no effect.
_OF_FILE = frozenset(("catalog", "version", "fileName", "wait", "replica", "requestIndex", "drsUri", "token"))


def list_entities(call: Call, *, entity_type: str) -> Response:
    """Answer a page of entities, with the counts of facets."""
    return _page(call, entity_type, None)


def post_entities(call: Call, *, entity_type: str, json_request_body: dict[str, Any]) -> Response:
    """Answer a page of entities, with parameters in the body."""
    return _page(call, entity_type, json_request_body)


def get_entity(call: Call, *, entity_type: str, entity_id: str) -> Response:
    """Answer one entity; of a bundle that is not in the catalogue, why not."""
    arguments = Arguments.of(call.query, None, PAGED)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    _listed_type(catalogue, entity_type)
    entity_id = check_uuid(entity_id, "entity_id")
    query = arguments.query(catalogue, entity_type)
    found = call.dss.catalogues.one(catalogue, sought(call), query, entity_id)
    if found is None and entity_type == "bundles" and not query.filters and not query.words:
        return _missing_bundle(call, catalogue, entity_id)
    if found is None:
        raise NotFound(f"Can't find an entity in {entity_type} with an uuid, {entity_id}.")
    return answer(chosen(hit_form(catalogue, entity_type, found, call.base_url), arguments.fields()))


def summary(call: Call) -> Response:
    """Answer what there is in all of what matches."""
    arguments = Arguments.of(call.query, None, COMMON)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    query = arguments.query(catalogue, "")
    return answer(call.dss.catalogues.summary(catalogue, sought(call), query))


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


def get_file(call: Call, *, file_uuid: str) -> Response:
    """Redirect to the bytes of a file."""
    return _file(call, file_uuid)


def fetch_file(call: Call, *, file_uuid: str) -> Response:
    """Answer the redirect to the bytes of a file, for scripts in browsers, which can't see redirects."""
    redirect = _file(call, file_uuid)
    return answer({"Status": redirect.status_code, "Location": redirect.headers["Location"]})


def sought(call: Call) -> frozenset[str] | None:
    """Return the labels that the caller looks up; None for an admin."""
    readers = call.dss.policy.counts_as(call.reader)
    return None if readers is None else labels_sought(readers)


def _page(call: Call, entity_type: str, body: Mapping[str, Any] | None) -> Response:
    arguments = Arguments.of(call.query, body, PAGED)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    listed = _listed_type(catalogue, entity_type)
    query, order = arguments.query(catalogue, entity_type), arguments.order(catalogue, listed)
    return answer(_page_form(call, catalogue, query, order, arguments))


def _page_form(
    call: Call, catalogue: Catalogue, query: Query, order: PageOrder, arguments: Arguments
) -> dict[str, Any]:
    labels = sought(call)
    found = call.dss.catalogues.page(catalogue, labels, query, order)
    total, counts = call.dss.catalogues.counts(catalogue, labels, query)
    hits = (hit_form(catalogue, query.entity_type, each, call.base_url) for each in found.found)
    url = f"{call.base_url}{call.path}"
    return {
        "pagination": pagination_form(found, order, total, url=url, given=arguments.given),
        "hits": [chosen(hit, arguments.fields()) for hit in hits],
        "termFacets": facets_form(counts),
    }


def _listed_type(catalogue: Catalogue, entity_type: str) -> EntityType:
    listed = {name: each for name, each in catalogue.plugin.entity_types.items() if each.is_listed}
    if entity_type not in listed:
        known = ", ".join(sorted(listed))
        raise IllegalArguments(f"Entity type {entity_type[:100]!r} is invalid. Must be one of {{{known}}}.")
    return listed[entity_type]


def _missing_bundle(call: Call, catalogue: Catalogue, uuid: str) -> Response:
    """Say why a bundle is not in the catalogue: it has failed, is left out, or is on its way."""
    head = call.dss.catalog.bundles.newest(uuid, catalogue.setting.replica)
    if head is None or not call.sees(_resource(head)):
        raise NotFound(f"Can't find an entity in bundles with an uuid, {uuid}.")
    state = call.dss.catalogues.state(catalogue, head.fqid)
    status = state.state if state and state.state != INDEXED else "on its way"
    reason = {"reason": state.reason} if state and state.state == FAILED else {}
    return answer({"entryId": uuid, "version": head.fqid.version, "status": status, **reason})


def _resource(head: BundleHead) -> Resource:
    return Resource(name=f"bundle {head.fqid}", readers=head.content_readers)


def _catalog(catalogue: Catalogue) -> dict[str, Any]:
    plugin = catalogue.plugin
    indices = {
        name: {"default_sort": each.default_sort, "default_order": each.default_order}
        for name, each in plugin.entity_types.items()
        if each.is_listed
    }
    return {
        "atlas": catalogue.name,
        "internal": False,
        "plugins": {
            "metadata": {"name": catalogue.setting.plugin, "indices": indices},
            "repository": {"name": "dss", "sources": [catalogue.source["spec"]]},
        },
    }


def _file(call: Call, file_uuid: str) -> Response:
    arguments = Arguments.of(call.query, None, _OF_FILE)
    catalogue = arguments.catalogue(call.dss.catalogues.catalogues())
    uuid = check_uuid(file_uuid, "file_uuid")
    version = arguments.given.get("version")
    if version is not None:
        check_version(version)
    name = arguments.given.get("fileName", "")
    return files.get(
        call,
        uuid=uuid,
        replica=arguments.given.get("replica", catalogue.setting.replica),
        version=version,
        token=None,
        directurl=None,
        content_disposition=f"attachment;filename={name}" if name else None,
    )
