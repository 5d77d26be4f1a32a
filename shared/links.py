"""Links: what a collection is made of, and whether what they link to is there."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from shared.catalog import FileRecord
from shared.errors import InvalidLink, ObjectNotFound
from shared.identifiers import Fqid, Kind
from shared.manifests import encode
from shared.parallel import map_in_threads
from shared.replication_wait import listed, wait_for
from shared.stores.base import read_all
from shared.system import Dss

# What stands for a whole thing; every other type is a fragment of a JSON file.
_WHOLE = {"file": Kind.FILE, "bundle": Kind.BUNDLE, "collection": Kind.COLLECTION}
_LONGEST_TYPE = 256
_LONGEST_PATH = 4096
# Bytes of the JSON files that one request has read to find fragments: of each, and of all together. Parsed,
# they take some times as much memory.
_LARGEST_FILE = 4 * 1024 * 1024
_LARGEST_FILES = 64 * 1024 * 1024
_FILES_AT_ONCE = 4


@dataclass(frozen=True, order=True)
class Target:
    """What a link leads to."""

    kind: Kind
    fqid: Fqid

    def __str__(self) -> str:
        return f"{self.kind.removesuffix('s')} {self.fqid}"


@dataclass(frozen=True)
class Link:
    """An item of a collection; `path`, a JSON Pointer, is that of a fragment, None for what is whole."""

    type: str
    fqid: Fqid
    path: str | None

    @classmethod
    def parse(cls, item: Mapping[str, Any], where: str) -> "Link":
        """Return the link that an item of a request, or of a manifest, is.

        Older clients say `fragment` for `path`. Raises InvalidLink, saying `where`, for an item that has a
        path and links to what is whole, or the other way round, or whose path is no JSON Pointer.
        """
        link = cls(item["type"], Fqid(item["uuid"], item["version"]), _path_of(item, where))
        if len(link.type) > _LONGEST_TYPE:
            raise InvalidLink(f"{where}.type: longer than {_LONGEST_TYPE} characters")
        if link.type in _WHOLE:
            if link.path:
                raise InvalidLink(f"{where}.path: a link to a {link.type} has none; a fragment has")
            return cls(link.type, link.fqid, None)
        if link.path is None:
            raise InvalidLink(f"{where}.path: missing; a link of type {link.type[:80]!r} is to a fragment")
        try:
            JsonPointer(link.path)
        except JsonPointerException as error:
            raise InvalidLink(f"{where}.path: {link.path[:80]!r} is no JSON Pointer: {error}") from error
        return link

    @property
    def target(self) -> Target:
        """What it leads to; a fragment is part of a file."""
        return Target(_WHOLE.get(self.type, Kind.FILE), self.fqid)

    @property
    def encoded(self) -> bytes:
        """The one form in which the link is written: the same link is the same bytes."""
        path = {} if self.path is None else {"path": self.path}
        return encode({"type": self.type, "uuid": self.fqid.uuid, "version": self.fqid.version, **path})


def _path_of(item: Mapping[str, Any], where: str) -> str | None:
    given = {item[name] for name in ("path", "fragment") if item.get(name) is not None}
    if len(given) > 1:
        raise InvalidLink(f"{where}: path and fragment are two names of one thing, and differ")
    path: str | None = given.pop() if given else None
    if path is not None and len(path) > _LONGEST_PATH:
        raise InvalidLink(f"{where}.path: longer than {_LONGEST_PATH} characters")
    return path


def target_of(encoded: bytes) -> Target:
    """Return what an encoded link leads to."""
    item = json.loads(encoded)
    return Target(_WHOLE.get(item["type"], Kind.FILE), Fqid(item["uuid"], item["version"]))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a target is: the replicas that have it, and whether reads are kept from seeing it."""

    available: frozenset[str]
    hidden: bool = False


@dataclass
class _Found:
    """What the catalog says of targets; records of files are kept, for their content may be asked for."""

    dss: Dss
    files: dict[Fqid, FileRecord] = field(default_factory=dict)

    def places(self, targets: Iterable[Target]) -> dict[Target, Place]:
        """Return where those of the targets are that exist. One read each, two of a collection."""
        fqids: dict[Kind, list[Fqid]] = defaultdict(list)
        for target in targets:
            fqids[target.kind].append(target.fqid)
        catalog = self.dss.catalog
        self.files.update(catalog.files.get_many(fqids[Kind.FILE]))
        bundles = catalog.bundles.get_many(fqids[Kind.BUNDLE])
        collections = catalog.collections.get_many(fqids[Kind.COLLECTION])
        owned = catalog.collections.owned_many(fqid.uuid for fqid in fqids[Kind.COLLECTION])
        found = {
            Target(Kind.FILE, fqid): Place(available=self.files[fqid].available)
            for fqid in fqids[Kind.FILE]
            if fqid in self.files
        }
        for fqid, bundle in bundles.items():
            found[Target(Kind.BUNDLE, fqid)] = Place(available=bundle.available, hidden=bundle.hidden)
        for fqid in fqids[Kind.COLLECTION]:
            hidden = fqid.uuid in owned and owned[fqid.uuid].hidden
            if fqid in collections or hidden:
                available = collections[fqid].available if fqid in collections else frozenset()
                found[Target(Kind.COLLECTION, fqid)] = Place(available=available, hidden=hidden)
        return found


def places(dss: Dss, targets: Iterable[Target]) -> dict[Target, Place]:
    """Return where those of the targets are that exist. One read each, two of a collection."""
    return _Found(dss).places(targets)


def check_links(dss: Dss, replica: str, links: Sequence[Link]) -> None:
    """Return if all links lead to something that reads on a replica see.

    Waits for targets that are on another replica only, and for files that are being verified. Raises
    InvalidLink, which names them, for targets that exist nowhere or are hidden, and for fragments that their
    files do not have.
    """
    found = _Found(dss)

    def where(wanted: Collection[Target]) -> dict[Target, frozenset[str]]:
        placed = found.places(wanted)
        return {target: place.available for target, place in placed.items() if not place.hidden}

    def missing(targets: Collection[Target], why: str) -> InvalidLink:
        return InvalidLink(f"{listed(targets)}: {why or 'does not exist'}")

    def under_way(targets: Collection[Target]) -> bool:
        fqids = [target.fqid for target in targets if target.kind is Kind.FILE]
        return len(fqids) == len(targets) and dss.catalog.jobs.are_under_way(fqids)

    wait_for(dss, replica, {link.target for link in links}, where, missing, under_way)
    paths: dict[Fqid, list[str]] = defaultdict(list)
    for link in links:
        if link.path is not None:
            paths[link.fqid].append(link.path)
    _check_fragments(dss, replica, {found.files[fqid]: asked for fqid, asked in paths.items()})


def _check_fragments(dss: Dss, replica: str, paths: Mapping[FileRecord, Sequence[str]]) -> None:
    for record in paths:
        if record.size > _LARGEST_FILE:
            raise InvalidLink(
                f"file {record.fqid}: of {record.size} bytes; fragments are those of {_LARGEST_FILE} at most"
            )
    if sum(record.size for record in paths) > _LARGEST_FILES:
        raise InvalidLink(f"the fragments of one request are in files of {_LARGEST_FILES} bytes at most")
    check = partial(_check_fragments_of, dss, replica)
    for _ in map_in_threads(check, paths.items(), threads=_FILES_AT_ONCE):
        pass


def _check_fragments_of(dss: Dss, replica: str, asked: tuple[FileRecord, Sequence[str]]) -> None:
    record, paths = asked
    where = dss.replicas.named(replica)
    try:
        content = json.loads(read_all(where.store, where.bucket, record.checksums.blob_key))
    except ObjectNotFound as error:
        raise InvalidLink(f"file {record.fqid}: replica {replica} has lost its content") from error
    except (ValueError, RecursionError) as error:
        raise InvalidLink(f"file {record.fqid}: is not JSON, and has no fragments") from error
    for path in paths:
        if not _has(content, path):
            raise InvalidLink(f"file {record.fqid}: has nothing at {path[:80]!r}")


def _has(document: Any, path: str) -> bool:
    try:
        # RFC 6901: `-` is the item behind the last one of a list, which is not there.
        return not isinstance(JsonPointer(path).resolve(document), EndOfList)
    except JsonPointerException:
        return False
