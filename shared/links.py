"""Links: the items of a collection, and the check that their targets exist."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from shared.access import Resource
from shared.catalog import BundleHead, FileRecord, OwnedCollection
from shared.errors import InvalidLink, ObjectNotFound
from shared.identifiers import Fqid, Kind
from shared.manifests import encode
from shared.parallel import map_in_threads
from shared.replication_wait import listed, wait_for
from shared.system import Dss

# Types that link to a whole object; every other type links to a fragment of a JSON file.
_WHOLE = {"file": Kind.FILE, "bundle": Kind.BUNDLE, "collection": Kind.COLLECTION}
_KEYS = frozenset(("type", "uuid", "version", "path", "fragment"))
_LONGEST_TYPE = 256
_LONGEST_PATH = 4096
# Bytes of JSON that the other keys of a link may take.
_MOST_BYTES = 4096
# In an encoded link: its UUID, and perhaps some of further keys.
_UUIDS = re.compile(rb'"uuid":"([0-9a-f-]{36})"')
# Bytes of the JSON files that one request reads to find fragments: of each, and of all together. Parsed, they
# take several times as much memory.
_LARGEST_FILE = 4 * 1024 * 1024
_LARGEST_FILES = 64 * 1024 * 1024
_FILES_AT_ONCE = 4


@dataclass(frozen=True, order=True)
class Target:
    """The object that a link leads to."""

    kind: Kind
    fqid: Fqid

    def __str__(self) -> str:
        return f"{self.kind.removesuffix('s')} {self.fqid}"


@dataclass(frozen=True)
class Link:
    """An item of a collection; `path` is the JSON Pointer of a fragment, None for a whole object.

    `encoded` is the item as it was written, in the only form of its JSON: the same item is the same bytes.
    `more` are those of its keys that mean nothing to the system, encoded; empty if there are none.
    """

    type: str
    fqid: Fqid
    path: str | None
    encoded: bytes
    more: bytes

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> "Link":
        """Return the link of an item that has been checked. Older clients say `fragment` for `path`."""
        kind = item["type"]
        path = item.get("path") if item.get("path") is not None else item.get("fragment")
        more = {key: value for key, value in item.items() if key not in _KEYS}
        return cls(
            type=kind,
            fqid=Fqid(item["uuid"], item["version"]),
            path=None if kind in _WHOLE else path,
            encoded=encode(dict(item)),
            more=encode(more) if more else b"",
        )

    @classmethod
    def parse(cls, item: Mapping[str, Any], where: str) -> "Link":
        """Return the link of an item of a request or of a manifest.

        Raises InvalidLink, naming the place `where` the item is, if a link to a whole object has a path, a
        link to a fragment has none, the path is not a JSON Pointer, or something is too long.
        """
        path = _path_of(item, where)
        link = cls.read(item)
        if len(link.type) > _LONGEST_TYPE:
            raise InvalidLink(f"{where}.type: longer than {_LONGEST_TYPE} characters")
        if len(link.more) > _MOST_BYTES:
            raise InvalidLink(
                f"{where}: its other keys are {len(link.more)} bytes of JSON; at most {_MOST_BYTES} are kept"
            )
        if link.type in _WHOLE:
            if path:
                raise InvalidLink(f"{where}.path: a link to a {link.type} has none; a fragment has")
        elif path is None:
            raise InvalidLink(f"{where}.path: missing; type {link.type[:80]!r} links to a fragment")
        else:
            _check_pointer(path, where)
        return link

    @property
    def target(self) -> Target:
        """The object that the link leads to; for a fragment, its file."""
        return Target(_WHOLE.get(self.type, Kind.FILE), self.fqid)

    @property
    def meaning(self) -> tuple[str, Fqid, str | None]:
        """What two links to the same target have in common, even if their other keys differ."""
        return self.type, self.fqid, self.path


def _path_of(item: Mapping[str, Any], where: str) -> str | None:
    given = {item[name] for name in ("path", "fragment") if item.get(name) is not None}
    if len(given) > 1:
        raise InvalidLink(f"{where}: path and fragment are two names of one thing, and differ")
    path: str | None = given.pop() if given else None
    if path is not None and len(path) > _LONGEST_PATH:
        raise InvalidLink(f"{where}.path: longer than {_LONGEST_PATH} characters")
    return path


def _check_pointer(path: str, where: str) -> None:
    try:
        JsonPointer(path)
    except JsonPointerException as error:
        raise InvalidLink(f"{where}.path: {path[:80]!r} is not a JSON Pointer: {error}") from error


def without(items: Iterable[bytes], removed: Sequence[Link]) -> Iterator[bytes]:
    """Yield the encoded links that remain when others are removed.

    A link that has further keys removes those that are equal; one that has none removes all that lead to the
    same. `path` and `fragment` are one key. Only links to UUIDs of removed ones are parsed: 100,000 others
    take 0.1 s.
    """
    all_of = {link.meaning for link in removed if not link.more}
    equal = {(link.meaning, link.more) for link in removed}
    uuids = {link.fqid.uuid.encode() for link in removed}
    for encoded in items:
        if not uuids.isdisjoint(_UUIDS.findall(encoded)):
            link = Link.read(json.loads(encoded))
            if link.meaning in all_of or (link.meaning, link.more) in equal:
                continue
        yield encoded


def target_of(encoded: bytes) -> Target:
    """Return the target of an encoded link."""
    item = json.loads(encoded)
    return Target(_WHOLE.get(item["type"], Kind.FILE), Fqid(item["uuid"], item["version"]))


@dataclass(frozen=True, kw_only=True)
class Place:
    """The replicas that have a target, and whether it is hidden."""

    available: frozenset[str]
    hidden: bool = False


@dataclass
class _Lookup:
    """Look-ups of targets. Keeps the records of files, whose content may be needed to find fragments.

    `resources` are the targets as what only some may read, those that are bound.
    """

    dss: Dss
    files: dict[Fqid, FileRecord] = field(default_factory=dict)
    resources: dict[Target, Resource] = field(default_factory=dict)

    def places(self, targets: Iterable[Target]) -> dict[Target, Place]:
        """Return the places of those targets that exist, or did until they were removed for good.

        One read each, two for a collection or a target that is unknown.
        """
        targets = list(targets)
        fqids: dict[Kind, list[Fqid]] = defaultdict(list)
        for target in targets:
            fqids[target.kind].append(target.fqid)
        catalog = self.dss.catalog
        self.files.update(catalog.files.get_many(fqids[Kind.FILE]))
        bundles = catalog.bundles.get_many(fqids[Kind.BUNDLE])
        collections = catalog.collections.get_many(fqids[Kind.COLLECTION])
        owned = catalog.collections.owned_many(fqid.uuid for fqid in fqids[Kind.COLLECTION])
        self._keep_resources(bundles, owned, fqids[Kind.COLLECTION])
        known = {
            Target(Kind.FILE, fqid): Place(
                available=self.files[fqid].available, hidden=self.files[fqid].purged
            )
            for fqid in fqids[Kind.FILE]
            if fqid in self.files
        }
        for fqid, bundle in bundles.items():
            hidden = bundle.hidden or bundle.purged
            known[Target(Kind.BUNDLE, fqid)] = Place(available=bundle.available, hidden=hidden)
        for fqid in fqids[Kind.COLLECTION]:
            hidden = fqid.uuid in owned and (owned[fqid.uuid].hidden or owned[fqid.uuid].purged)
            if fqid in collections or hidden:
                head = collections.get(fqid)
                known[Target(Kind.COLLECTION, fqid)] = Place(
                    available=head.available if head else frozenset(),
                    hidden=hidden or bool(head and head.purged),
                )
        return known | self._removed([target for target in targets if target not in known])

    def _removed(self, unknown: Sequence[Target]) -> dict[Target, Place]:
        """Return the places of targets that were removed for good: hidden, and nowhere; one read each."""
        bindings = self.dss.catalog.bindings
        current = bindings.current_many(target.fqid.uuid for target in unknown) if unknown else {}
        return {
            target: Place(available=frozenset(), hidden=True)
            for target in unknown
            if target.fqid.uuid in current and current[target.fqid.uuid].purged(target.fqid.version)
        }

    def _keep_resources(
        self,
        bundles: Mapping[Fqid, BundleHead],
        owned: Mapping[str, OwnedCollection],
        collections: Iterable[Fqid],
    ) -> None:
        for file in self.files.values():
            self._keep(Target(Kind.FILE, file.fqid), file.readers)
        for fqid, bundle in bundles.items():
            self._keep(Target(Kind.BUNDLE, fqid), bundle.readers)
        for fqid in collections:
            # That one which nobody is bound to exists is no secret: its 403 says whose it is.
            if fqid.uuid in owned and owned[fqid.uuid].readers:
                self._keep(
                    Target(Kind.COLLECTION, fqid), owned[fqid.uuid].readers, owner=owned[fqid.uuid].owner
                )

    def _keep(self, target: Target, readers: frozenset[str], owner: str = "") -> None:
        self.resources[target] = Resource(name=str(target), readers=readers, owner=owner)

    def is_found(self, target: Target, finds: Callable[[Resource], bool]) -> bool:
        """Return whether somebody who is asked for what only some may read finds a target that exists."""
        return target not in self.resources or finds(self.resources[target])


def places(dss: Dss, targets: Iterable[Target]) -> dict[Target, Place]:
    """Return the places of those targets that exist. One read each, two for a collection."""
    return _Lookup(dss).places(targets)


def check_links(dss: Dss, replica: str, links: Sequence[Link], finds: Callable[[Resource], bool]) -> None:
    """Raise InvalidLink unless reads on a replica see the targets of all links; name those they don't.

    Targets for which `finds` returns False are taken as if they existed nowhere. Waits for targets that are
    on another replica only, and for files that are being verified. Raises InvalidLink, which names them, for
    targets that exist nowhere or are hidden, and for fragments that their files do not have.
    """
    lookup = _Lookup(dss)

    def available(targets: Collection[Target]) -> dict[Target, frozenset[str]]:
        places = lookup.places(targets)
        return {
            target: place.available
            for target, place in places.items()
            if not place.hidden and lookup.is_found(target, finds)
        }

    def missing(targets: Collection[Target], why: str) -> InvalidLink:
        return InvalidLink(f"{listed(targets)}: {why or 'does not exist'}")

    def under_way(targets: Collection[Target]) -> bool:
        fqids = [target.fqid for target in targets if target.kind is Kind.FILE]
        return len(fqids) == len(targets) and dss.catalog.jobs.are_under_way(fqids)

    wait_for(dss, replica, {link.target for link in links}, available, missing, under_way)
    paths: dict[Fqid, list[str]] = defaultdict(list)
    for link in links:
        if link.path is not None:
            paths[link.fqid].append(link.path)
    _check_fragments(dss, replica, {lookup.files[fqid]: of_file for fqid, of_file in paths.items()})


def _check_fragments(dss: Dss, replica: str, paths: Mapping[FileRecord, Sequence[str]]) -> None:
    for record in paths:
        if record.size > _LARGEST_FILE:
            raise InvalidLink(
                f"file {record.fqid}: {record.size} bytes; links to fragments allow at most {_LARGEST_FILE}"
            )
    if sum(record.size for record in paths) > _LARGEST_FILES:
        raise InvalidLink(
            f"the files of all fragments in one request may have at most {_LARGEST_FILES} bytes together"
        )
    check = partial(_check_fragments_of, dss, replica)
    for _ in map_in_threads(check, paths.items(), threads=_FILES_AT_ONCE):
        pass


def _check_fragments_of(dss: Dss, replica: str, file: tuple[FileRecord, Sequence[str]]) -> None:
    record, paths = file
    source = dss.replicas.named(replica)
    try:
        content = json.loads(source.store.read_all(source.bucket, record.checksums.blob_key))
    except ObjectNotFound as error:
        raise InvalidLink(f"file {record.fqid}: replica {replica} has lost its content") from error
    except (ValueError, RecursionError) as error:
        raise InvalidLink(f"file {record.fqid}: is not JSON, and has no fragments") from error
    for path in paths:
        if not _has(content, path):
            raise InvalidLink(f"file {record.fqid}: has nothing at {path[:80]!r}")


def _has(document: Any, path: str) -> bool:
    try:
        # RFC 6901: `-` is the item after the last one of a list, which does not exist.
        return not isinstance(JsonPointer(path).resolve(document), EndOfList)
    except JsonPointerException:
        return False
