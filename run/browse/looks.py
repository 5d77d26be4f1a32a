"""What the pages of a bundle, a file and a collection show of the store."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any
from urllib.parse import urlencode

from run.api.call import Call
from run.api.collections import find_collection
from run.browse.finding import on_some_replica
from run.browse.operations import HOME
from run.browse.trees import Change, changes_of
from shared.catalog import BundleHead, CollectionHead, PagedFile
from shared.catalog.bundles import PAGE_FILES
from shared.catalog.pages import PAGE_BYTES
from shared.collections import lines
from shared.errors import StoreError, Unavailable
from shared.identifiers import Fqid, Kind, manifest_key
from shared.parallel import map_in_threads
from shared.replicas import Replica

# Entries of a folder, items of a collection, and changes between two versions on a page.
MOST_ENTRIES = 100
# Versions that a page of a bundle lists, the newest first.
_MOST_VERSIONS = 20
# Files that cost a unit of a request budget together: see run/drs/contents.py.
_FILES_A_UNIT = 100
# Files of a bundle that are in memory at once.
_FILES_AT_ONCE = 4 * PAGE_FILES
_KINDS = {"bundle": "bundles", "collection": "collections"}


@dataclass(frozen=True)
class ReplicaState:
    """Whether a replica has a version, and since when, if that is known."""

    name: str
    has_it: bool
    since: str = ""


@dataclass(frozen=True)
class Version:
    """A version of a bundle, and whether it was deleted."""

    version: str
    deleted: bool


@dataclass(frozen=True)
class Item:
    """An item of a collection: what it links to, and the page of that."""

    type: str
    fqid: Fqid
    path: str
    url: str


@dataclass(frozen=True, kw_only=True)
class CollectionPage:
    """Some items of a collection version."""

    replica: str
    head: CollectionHead
    about: Mapping[str, Any]
    items: Sequence[Item]


def files_of(call: Call, head: BundleHead) -> Iterator[PagedFile]:
    """Yield all files of a bundle in order of name, some in memory at once; charge for many."""
    call.charge(head.file_count // _FILES_A_UNIT)
    starts = range(0, head.file_count, _FILES_AT_ONCE)
    return chain.from_iterable(
        call.dss.catalog.bundles.files(head, start, _FILES_AT_ONCE) for start in starts
    )


def states_of(call: Call, kind: Kind, fqid: Fqid, available: frozenset[str]) -> list[ReplicaState]:
    """Return on which replicas a version is, and since when. A store that does not answer leaves that out."""

    def state(replica: Replica) -> ReplicaState:
        if replica.name not in available:
            return ReplicaState(replica.name, has_it=False)
        with suppress(StoreError, Unavailable):
            found = replica.store.stat(replica.bucket, manifest_key(kind, fqid))
            if found.written:
                return ReplicaState(replica.name, has_it=True, since=f"{found.written:%Y-%m-%d %H:%M:%S} UTC")
        return ReplicaState(replica.name, has_it=True)

    replicas = list(call.dss.replicas)
    return list(map_in_threads(state, replicas, threads=len(replicas)))


def versions_of(call: Call, uuid: str) -> tuple[list[Version], int]:
    """Return the newest versions of a bundle that the caller sees, and how many there are."""
    names = call.dss.replicas.names
    seen = [
        Version(head.fqid.version, head.hidden)
        for head in reversed(call.dss.catalog.bundles.versions(uuid))
        if any(map(head.was_visible, names))
    ]
    return seen[:_MOST_VERSIONS], len(seen)


def changes_between(call: Call, old: BundleHead, new: BundleHead) -> tuple[list[Change], int]:
    """Return the first changes between two versions, and how many there are."""
    found = changes_of(files_of(call, old), files_of(call, new))
    first = list(islice(found, MOST_ENTRIES))
    return first, len(first) + sum(1 for _ in found)


def collection(call: Call, uuid: str, wanted: str, version: str | None, start: int) -> CollectionPage:
    """Return items of a collection from number `start` on. Raises what `find_collection` raises."""
    replica, (_, head) = on_some_replica(
        call, wanted, lambda name: find_collection(call, uuid, name, version)
    )
    with call.memory.collections.reserve(head.page_count * PAGE_BYTES):
        about, *links = lines(call.dss.catalog.collections.pages(head))
        items = list(map(partial(_item, replica), links[start : start + MOST_ENTRIES]))
        return CollectionPage(replica=replica, head=head, about=json.loads(about), items=items)


def _item(replica: str, encoded: bytes) -> Item:
    link = json.loads(encoded)
    fqid = Fqid(link["uuid"], link["version"])
    path = link.get("path") or link.get("fragment") or ""
    # All but bundles and collections link to a file, or to a part of one.
    kind = _KINDS.get(link["type"], "files")
    query = urlencode({"version": fqid.version, "replica": replica})
    return Item(link["type"], fqid, path, f"{HOME}/{kind}/{fqid.uuid}?{query}")
