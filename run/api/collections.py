"""Collections: `/collections`, those of the caller, and `/collections/{uuid}`."""

from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import Any

from flask import Response

from run.api.call import Call
from run.api.json_text import NEWLINE
from run.api.pagination import answer, page
from shared.access import Action, Resource
from shared.catalog import CollectionHead, CollectionTombstone, OwnedCollection
from shared.catalog.pages import PAGE_BYTES
from shared.changes import require_newest
from shared.collections import (
    change_collection,
    collection_of,
    delete_collection,
    document_of,
    read_collection,
    unique,
    write_collection,
)
from shared.errors import IllegalArguments, NotFound
from shared.identifiers import Fqid, Kind
from shared.links import Link, check_links, without

_MAX_ITEMS = 1000
# Bytes of memory that a change takes for each byte of a collection: measured, 117 MiB for one of 29 MiB.
# Reading one takes at most its length.
_MEMORY_OF_CHANGE = 4


def list_own(call: Call, *, per_page: int, start_at: int | None) -> Response:
    """List the caller's collections, each with its newest version."""
    start = start_at or 0
    # One row more than a page shows that there is another page.
    owned = call.dss.catalog.collections.owned_by(call.signed_in.email, start, per_page + 1)
    rows = [{"uuid": fqid.uuid, "version": fqid.version} for fqid in owned[:per_page]]
    more = call.url(start_at=start + per_page) if len(owned) > per_page else None
    return page({"collections": rows}, content_key="collections", next_url=more)


def put(call: Call, *, replica: str, uuid: str, version: str, json_request_body: dict[str, Any]) -> Response:
    """Create a collection version whose contents the replica has, or is about to have."""
    call.check_new_version(version)
    links = _links(json_request_body, "contents")
    owned = call.dss.catalog.collections.owned(uuid)
    if owned:
        call.require(Action.WRITE, resource_of(owned))
    check_links(call.dss, replica, links, call.finds)
    owner = owned.owner if owned else call.signed_in.email
    made = collection_of(Fqid(uuid, version), owner, json_request_body, unique(links))
    write_collection(call.dss, replica, made, owned)
    return answer({"uuid": uuid, "version": version}, 201)


def get(call: Call, *, uuid: str, replica: str, version: str | None) -> Response:
    """Return a collection version, or the newest, with all its contents."""
    _, head = find_collection(call, uuid, replica, version)
    with ExitStack() as memory:
        memory.enter_context(call.memory.collections.reserve(head.page_count * PAGE_BYTES))
        document = chain(document_of(call.dss, head), [NEWLINE])
        response = Response(document, mimetype="application/json")
        # Its pages are in memory until the last one is sent, or the client is gone.
        response.call_on_close(memory.pop_all().close)
    return response


def patch(
    call: Call, *, uuid: str, replica: str, version: str, json_request_body: dict[str, Any]
) -> Response:
    """Create a new version: a version without `remove_contents`, with `add_contents`.

    It is stamped now, or right after its base if that is ahead of the clock. With `If-Match`, it replaces
    the newest version, or nothing.
    """
    replaces = call.replaced(uuid)
    added = _links(json_request_body, "add_contents", "remove_contents")
    removed = _links(json_request_body, "remove_contents")
    owned, head = find_collection(call, uuid, replica, version)
    call.require(Action.WRITE, resource_of(owned))
    if replaces:
        require_newest(replaces, owned.newest)
    check_links(call.dss, replica, added, call.finds)
    with call.memory.collections.reserve(head.page_count * PAGE_BYTES * _MEMORY_OF_CHANGE):
        old = read_collection(call.dss, head)
        items = dict.fromkeys((*without(old.items, removed), *unique(added)))
        new = change_collection(call.dss, replica, old, json_request_body, [*items], owned, replaces=replaces)
    call.is_about(uuid, new.version)
    return answer({"uuid": uuid, "version": new.version})


def delete(call: Call, *, uuid: str, replica: str) -> Response:
    """Hide a collection, with all its versions, for ever."""
    owned = call.dss.catalog.collections.owned(uuid)
    if owned and not call.sees(resource_of(owned)):
        owned = None
    if owned is None or call.dss.catalog.collections.newest(uuid, replica) is None:
        _require_not_purged(call, uuid, None, owned)
        state = "pending" if owned and owned.newest and not owned.hidden else "absent"
        raise NotFound(f"replica {replica} has no collection {uuid}", replica_state=state)
    call.require(Action.DELETE, resource_of(owned))
    tombstone = CollectionTombstone(uuid=uuid, owner=owned.owner, email=call.signed_in.email)
    delete_collection(call.dss, replica, tombstone)
    return answer({})


def find_collection(
    call: Call, uuid: str, replica: str, version: str | None
) -> tuple[OwnedCollection, CollectionHead]:
    """Return a collection version, or the newest, that the caller may read, and whose it is.

    Raise NotFound, Unauthorized, Forbidden or Gone.
    """
    name = f"{uuid}.{version}" if version else uuid
    collections = call.dss.catalog.collections
    owned = collections.owned(uuid)
    if owned is None or owned.hidden or owned.newest is None or not call.sees(resource_of(owned)):
        _require_not_purged(call, uuid, version, owned)
        raise NotFound(f"replica {replica} has no collection {name}")
    head = collections.head(Fqid(uuid, version)) if version else collections.newest(uuid, replica)
    if head is None or replica not in head.available:
        _require_not_purged(call, uuid, version, owned)
        # `newest` is set, so without a version another replica has one.
        elsewhere = bool(head and head.available) if version else True
        state = "pending" if elsewhere else "absent"
        raise NotFound(f"replica {replica} has no collection {name}", replica_state=state)
    return owned, head


def _require_not_purged(call: Call, uuid: str, version: str | None, owned: OwnedCollection | None) -> None:
    """Raise Gone if a version that is not there, or any if it is None, was removed for good; one read."""
    what = call.resource(Kind.COLLECTION, uuid, version, absent=True)
    if what.purged:
        call.sees(replace(what, owner=owned.owner if owned else ""))


def resource_of(owned: OwnedCollection) -> Resource:
    """Return a collection as what only some may read."""
    return Resource(name=f"collection {owned.uuid}", owner=owned.owner, readers=owned.readers)


def _links(body: dict[str, Any], key: str, *besides: str) -> list[Link]:
    items = body.get(key) or []
    count = len(items) + sum(len(body.get(other) or []) for other in besides)
    if count > _MAX_ITEMS:
        raise IllegalArguments(f"json_request_body.{key}: {count} items; a request may have {_MAX_ITEMS}")
    return [Link.parse(item, f"json_request_body.{key}[{n}]") for n, item in enumerate(items)]
