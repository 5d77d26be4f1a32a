"""Selections as text, of which a request's process and a function's make the same query."""

import json
from collections.abc import Iterable, Iterator

from shared.catalog import ManifestOrder
from shared.catalogue_indexing import bundle_metadata
from shared.errors import Conflict, NotYetThere
from shared.events.documents import document_of, read_document
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.catalogues import Catalogue
from shared.explore.filters import parse_filters
from shared.explore.manifests.selection import CatalogueSelection
from shared.explore.query import Query
from shared.identifiers import Fqid
from shared.parallel import map_in_threads
from shared.system import Dss

FILES = "files"
# Documents at once: parsed, each takes some 30 MiB at most, and most some 100 KiB.
_THREADS = 8
_ENTRY = "entryId"


def encode_query(query: Query) -> str:
    """Return a query as text, equal for queries that find the same by the same filters in any order."""
    filters = {
        each.field.name: {
            each.relation.value: sorted(each.values, key=lambda value: json.dumps(value, sort_keys=True))
        }
        for each in query.filters
    }
    if any(not each.values for each in query.filters):
        filters = {_ENTRY: {"is": []}}
    return json.dumps([filters, query.words], sort_keys=True, ensure_ascii=False)


def decode_query(catalogue: Catalogue, text: str) -> Query:
    """Return the query of a text that `encode_query` has made."""
    filters, words = json.loads(text)
    return Query(entity_type=FILES, filters=parse_filters(filters, catalogue.fields), words=words, facets=())


def selection_of(dss: Dss, order: ManifestOrder) -> CatalogueSelection:
    """Return the files that an order is about. Raises Conflict if its catalogue is gone."""
    catalogue = dss.catalogues.catalogues().get(order.catalogue)
    if catalogue is None:
        raise Conflict(f"catalogue {order.catalogue} does not exist any more")

    def read(bundles: Iterable[Fqid]) -> Iterator[BundleMetadata]:
        return _metadata(dss, catalogue.setting.replica, bundles)

    query = decode_query(catalogue, order.selection)
    return CatalogueSelection(
        dss.catalogues, catalogue, order.labels, query, base_url=order.base_url, read=read
    )


def _metadata(dss: Dss, replica: str, bundles: Iterable[Fqid]) -> Iterator[BundleMetadata]:
    """Yield the metadata of bundles; without those that were deleted or purged meanwhile."""

    def read(fqid: Fqid) -> BundleMetadata | None:
        try:
            document = read_document(dss, replica, fqid, dead=False)
        except NotYetThere:
            head = dss.catalog.bundles.head(fqid)
            if head is None or head.hidden or head.purged:
                return None
            document = document_of(dss, dss.replicas.named(replica), head)
        return bundle_metadata(fqid, json.loads(document))

    return filter(None, map_in_threads(read, bundles, threads=_THREADS))
