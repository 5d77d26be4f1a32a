"""Finds objects by their DRS ids: a file, bundle or collection in one version."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from shared.access import Resource
from shared.bindings import bound_resource
from shared.catalog import BundleHead, CollectionHead, FileRecord, OwnedCollection
from shared.copying.large import progress_of_file
from shared.drs.contents import Item
from shared.errors import IllegalArguments
from shared.identifiers import Fqid, Kind, check_uuid, check_version
from shared.parallel import map_in_threads
from shared.system import Dss

# Queries for newest versions that one request makes at once.
_QUERIES_AT_ONCE = 8


@dataclass(frozen=True)
class ObjectId:
    """The id of an object: its UUID, and its version, or None for the newest."""

    uuid: str
    version: str | None

    @classmethod
    def parse(cls, text: str) -> "ObjectId | None":
        """Return the id that a text is, or None if no object can have it."""
        uuid, dot, version = text.partition(".")
        try:
            return cls(check_uuid(uuid), check_version(version) if dot else None)
        except IllegalArguments:
            return None

    def __str__(self) -> str:
        return f"{self.uuid}.{self.version}" if self.version else self.uuid


@dataclass(frozen=True, kw_only=True)
class DataObject:
    """A version that the catalog knows.

    `is_there`: reads see it on a replica that the settings have; one may have been taken out of them.
    """

    fqid: Fqid
    resource: Resource
    is_there: bool


@dataclass(frozen=True, kw_only=True)
class FileObject(DataObject):
    """A version of a file."""

    record: FileRecord


@dataclass(frozen=True, kw_only=True)
class BundleObject(DataObject):
    """A version of a bundle."""

    head: BundleHead


@dataclass(frozen=True, kw_only=True)
class CollectionObject(DataObject):
    """A version of a collection."""

    head: CollectionHead


Container = BundleObject | CollectionObject


def find_objects(dss: Dss, ids: Iterable[ObjectId]) -> Mapping[ObjectId, DataObject]:
    """Return those of the objects that the catalog knows, and that were not removed for good.

    One read each if they are files of which the id has the version; up to three more if they aren't.
    """
    wanted = dict.fromkeys(ids)
    versioned = {Fqid(one.uuid, one.version): one for one in wanted if one.version}
    found = {versioned[fqid]: one for fqid, one in _by_version(dss, versioned).items()}
    newest = [one for one in wanted if one.version is None]
    for one, seen in zip(newest, _newest_of(dss, newest), strict=True):
        if seen:
            found[one] = seen
    return found


def absent_resources(dss: Dss, ids: Iterable[ObjectId]) -> Mapping[ObjectId, Resource]:
    """Return what the bindings say of ids under which there is nothing, purges included; a read for each."""
    ids = list(ids)
    if not ids:
        return {}
    current = dss.catalog.bindings.current_many(one.uuid for one in ids)
    resources = {
        one: replace(
            bound_resource(Kind.FILE, one.uuid, current.get(one.uuid), one.version, absent=True),
            name=f"object {one}",
        )
        for one in ids
    }
    purged = [one for one in ids if resources[one].purged]
    owned = dss.catalog.collections.owned_many(one.uuid for one in purged) if purged else {}
    owners = {
        one: replace(resources[one], owner=owned[one.uuid].owner) for one in purged if one.uuid in owned
    }
    return {**resources, **owners}


def is_under_way(dss: Dss, wanted: ObjectId) -> bool:
    """Return whether an id is of a file whose content is being verified; a query for each replica."""
    return any(
        progress_of_file(dss, wanted.uuid, wanted.version, replica).under_way
        for replica in dss.replicas.names
    )


def _by_version(dss: Dss, fqids: Collection[Fqid]) -> dict[Fqid, DataObject]:
    found: dict[Fqid, DataObject] = {**_files(dss, fqids)}
    found.update(_bundles(dss, [fqid for fqid in fqids if fqid not in found]))
    found.update(_collections(dss, [fqid for fqid in fqids if fqid not in found]))
    return found


def find_containers(dss: Dss, items: Iterable[Item]) -> Mapping[Fqid, Container]:
    """Return the bundles and collections among items that were not removed for good; a read or two each."""
    items = list(items)
    bundles = _bundles(dss, [item.fqid for item in items if item.kind is Kind.BUNDLE])
    collections = _collections(dss, [item.fqid for item in items if item.kind is Kind.COLLECTION])
    return {**bundles, **collections}


def find_items(dss: Dss, items: Iterable[Item]) -> list[DataObject]:
    """Return those items that were not removed for good; a read each, two of a collection."""
    items = list(items)
    files = _files(dss, [item.fqid for item in items if item.kind is Kind.FILE])
    return [*files.values(), *find_containers(dss, items).values()]


def _files(dss: Dss, fqids: Collection[Fqid]) -> dict[Fqid, FileObject]:
    records = dss.catalog.files.get_many(fqids)
    return {fqid: _file(dss, record) for fqid, record in records.items() if not record.purged}


def _bundles(dss: Dss, fqids: Collection[Fqid]) -> dict[Fqid, BundleObject]:
    heads = dss.catalog.bundles.get_many(fqids)
    return {fqid: _bundle(dss, head) for fqid, head in heads.items() if not head.purged}


def _collections(dss: Dss, fqids: Collection[Fqid]) -> dict[Fqid, CollectionObject]:
    heads = dss.catalog.collections.get_many(fqids)
    owned = dss.catalog.collections.owned_many(fqid.uuid for fqid in heads)
    return {
        fqid: _collection(dss, head, owned[fqid.uuid])
        for fqid, head in heads.items()
        if fqid.uuid in owned and not head.purged
    }


def _newest_of(dss: Dss, ids: Collection[ObjectId]) -> Iterator[DataObject | None]:
    newest = partial(_newest, dss)
    return map(newest, ids) if len(ids) <= 1 else map_in_threads(newest, ids, threads=_QUERIES_AT_ONCE)


def _newest(dss: Dss, wanted: ObjectId) -> DataObject | None:
    """Return the newest version of a UUID that reads see on any replica."""
    catalog, replicas = dss.catalog, dss.replicas.names
    if record := catalog.files.newest(wanted.uuid, *replicas):
        return _file(dss, record)
    if head := catalog.bundles.newest(wanted.uuid, *replicas):
        return _bundle(dss, head)
    owned = catalog.collections.owned(wanted.uuid)
    if owned and owned.newest:
        return _by_version(dss, [Fqid(owned.uuid, owned.newest)]).get(Fqid(owned.uuid, owned.newest))
    return None


def _file(dss: Dss, record: FileRecord) -> FileObject:
    return FileObject(
        fqid=record.fqid,
        resource=Resource(name=f"object {record.fqid}", readers=record.readers),
        is_there=bool(dss.replicas.among(record.available)),
        record=record,
    )


def _bundle(dss: Dss, head: BundleHead) -> BundleObject:
    return BundleObject(
        fqid=head.fqid,
        resource=Resource(name=f"object {head.fqid}", readers=head.readers),
        is_there=not head.hidden and bool(dss.replicas.among(head.available)),
        head=head,
    )


def _collection(dss: Dss, head: CollectionHead, owned: OwnedCollection) -> CollectionObject:
    return CollectionObject(
        fqid=head.fqid,
        resource=Resource(name=f"object {head.fqid}", owner=owned.owner, readers=owned.readers),
        is_there=not (owned.hidden or owned.purged) and bool(dss.replicas.among(head.available)),
        head=head,
    )
