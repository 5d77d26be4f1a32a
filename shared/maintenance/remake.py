"""Manifests and tombstones, made anew from the catalog: byte for byte what the buckets hold."""

from collections.abc import Callable, Mapping

from shared.catalog import BundleHead, CollectionHead, FileRecord
from shared.collections import collection_tombstone_document, read_collection
from shared.errors import CatalogBroken, DssError
from shared.identifiers import Fqid, Kind, ObjectName, parse_key
from shared.manifests import bundle_manifest, digest, encode, file_manifest, tombstone_document
from shared.system import Dss


class Unexplained(DssError):
    """It is not clear what is right, so nothing was done. Never leaves the repairs."""


def file_document(record: FileRecord) -> bytes:
    """Return the manifest of a file version, as every bucket that has it holds it."""
    return encode(file_manifest(record))


def bundle_document(dss: Dss, head: BundleHead) -> bytes:
    """Return the manifest of a bundle version. Raises CatalogBroken where the catalog cannot make it up."""
    files = dss.catalog.bundles.files(head, 0, head.file_count)
    content = encode(bundle_manifest(head.fqid, head.creator_uid, files))
    if digest(content) != head.digest:
        raise CatalogBroken("the pages do not make up the manifest that the head has the digest of")
    return content


def collection_document(dss: Dss, head: CollectionHead) -> bytes:
    """Return the manifest of a version of a collection. Raises CatalogBroken as `bundle_document` does."""
    content = read_collection(dss, head).manifest
    if digest(content) != head.digest:
        raise CatalogBroken("the pages do not make up the manifest that the head has the digest of")
    return content


def is_known(name: ObjectName) -> bool:
    """Tell whether the system writes such objects: tombstones are of bundles, or of whole collections."""
    if not name.dead:
        return True
    return name.kind is Kind.BUNDLE or (name.kind is Kind.COLLECTION and name.version is None)


def document(dss: Dss, key: str) -> bytes | None:
    """Return what a manifest or tombstone has to be, from the catalog; None where that does not know it.

    Raises CatalogBroken where the catalog contradicts itself.
    """
    name = parse_key(key)
    if name is None or not is_known(name):
        return None
    return _DOCUMENTS[name.kind, name.dead](dss, name)


def _document_of_file(dss: Dss, name: ObjectName) -> bytes | None:
    record = dss.catalog.files.get(_fqid(name))
    return file_document(record) if record else None


def _document_of_bundle(dss: Dss, name: ObjectName) -> bytes | None:
    head = dss.catalog.bundles.head(_fqid(name))
    return bundle_document(dss, head) if head else None


def _document_of_collection(dss: Dss, name: ObjectName) -> bytes | None:
    head = dss.catalog.collections.head(_fqid(name))
    return collection_document(dss, head) if head else None


def _document_of_tombstone(dss: Dss, name: ObjectName) -> bytes | None:
    known = dss.catalog.scan.tombstone(name.uuid, name.version)
    return encode(tombstone_document(known.tombstone)) if known else None


def _document_of_collection_tombstone(dss: Dss, name: ObjectName) -> bytes | None:
    known = dss.catalog.collection_tombstones.get(name.uuid)
    return encode(collection_tombstone_document(known)) if known else None


_DOCUMENTS: Mapping[tuple[Kind, bool], Callable[[Dss, ObjectName], bytes | None]] = {
    (Kind.FILE, False): _document_of_file,
    (Kind.BUNDLE, False): _document_of_bundle,
    (Kind.BUNDLE, True): _document_of_tombstone,
    (Kind.COLLECTION, False): _document_of_collection,
    (Kind.COLLECTION, True): _document_of_collection_tombstone,
}


def _fqid(name: ObjectName) -> Fqid:
    return Fqid(name.uuid, name.version or "")
