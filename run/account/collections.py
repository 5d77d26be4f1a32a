"""Collections of who has signed in: list them, make one, add to one; the same functions write as for v1."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from flask import request

from run.account.forms import Form, needed
from run.account.selections import Selection, bundles_of, count_of
from run.api import collections
from run.api.call import Call
from run.browse.operations import HOME
from run.browse.parameters import Parameters
from shared.clock import new_version
from shared.errors import IllegalArguments, NotFound
from shared.identifiers import Fqid, check_uuid

# Types of links, as the contract has them.
_FILE, _BUNDLE = "file", "bundle"
PATH, COLLECT = f"{HOME}/collections", f"{HOME}/collect"
# The choice of the form that stands for a collection that does not exist yet.
NEW = "new"
# Collections that a page lists, or offers to add to; the others are behind it.
MOST_LISTED = 50


@dataclass(frozen=True, kw_only=True)
class Own:
    """One of the caller's collections, in its newest version."""

    fqid: Fqid
    name: str
    links: int

    @property
    def url(self) -> str:
        """The page of this version, which never changes: what one shares."""
        return f"{PATH}/{self.fqid.uuid}?{urlencode({'version': self.fqid.version})}"


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What is to be added to a collection, on which replica: links of the contract, and that in words.

    `selection` are bundles that are not read yet; without it there are `links`, or none.
    """

    replica: str
    words: str
    links: Sequence[Mapping[str, str]] = ()
    selection: Selection | None = None

    def contents(self, call: Call) -> Sequence[Mapping[str, str]]:
        """Return the links. Raises IllegalArguments if there are too many."""
        if self.selection is None:
            return self.links
        return [_link(_BUNDLE, fqid) for fqid in bundles_of(call, self.selection)]


def own(call: Call, start: int) -> tuple[list[Own], bool]:
    """Return some of the caller's collections from number `start` on, and whether there are more."""
    catalog = call.dss.catalog.collections
    listed = json.loads(collections.list_own(call, per_page=MOST_LISTED, start_at=start).get_data())[
        "collections"
    ]
    fqids = [Fqid(row["uuid"], row["version"]) for row in listed]
    heads = catalog.get_many(fqids)
    found = [
        Own(fqid=fqid, name=str(json.loads(catalog.about(heads[fqid]))["name"]), links=heads[fqid].item_count)
        for fqid in fqids
        if fqid in heads
    ]
    return found, len(listed) == MOST_LISTED


def collected(call: Call) -> Collected:
    """Return what the query of the current request is about: an object, a selection of bundles, or nothing.

    Raises IllegalArguments, NotFound, and what reading an object raises.
    """
    if "type" in request.args:
        given = Parameters.read(request.args, "type", "uuid", "version", "replica")
        a_type, fqid = given.text("type"), Fqid(given.uuid("uuid"), given.version() or "")
        if a_type not in (_FILE, _BUNDLE) or not fqid.version:
            raise IllegalArguments("type, version: name a version of a file or a bundle")
        replica = call.dss.replicas.named(given.text("replica") or call.dss.replicas.primary.name).name
        return Collected(replica=replica, words=f"{a_type} {fqid}", links=[_link(a_type, fqid)])
    if not request.args:
        return Collected(replica=call.dss.replicas.primary.name, words="")
    selection = Selection.read(call)
    if "bundles" not in selection.catalogue.listed:
        raise NotFound(f"catalogue {selection.catalogue.name} has no bundles")
    number = count_of(call, selection, "bundles")
    return Collected(
        replica=selection.catalogue.setting.replica,
        words=f"{number:,} {'bundle' if number == 1 else 'bundles'} of {selection.catalogue.name}",
        selection=selection,
    )


def collect(call: Call, what: Collected, form: Form) -> str:
    """Make a collection, or add to one of the caller's; return its page. Raises as v1 does."""
    into = form.get("into", NEW)
    if into == NEW:
        return _make(call, what, form)
    fqid = Fqid.parse(into, "into")
    replica = _replica_with(call, fqid, what.replica)
    # Nothing is lost that somebody adds at the same time.
    careful = replace(call, if_match=fqid.version)
    made = collections.patch(
        careful,
        uuid=fqid.uuid,
        replica=replica,
        version=fqid.version,
        json_request_body={"add_contents": list(what.contents(call))},
    )
    return _url_of(fqid.uuid, json.loads(made.get_data())["version"], replica)


def _make(call: Call, what: Collected, form: Form) -> str:
    body = {
        "name": needed(form, "name", "Name"),
        "description": form.get("description", ""),
        "details": {},
        "contents": list(what.contents(call)),
    }
    # The same form sent twice makes one collection.
    uuid, version = check_uuid(needed(form, "once", "once"), "once"), new_version(call.dss.clock)
    collections.put(call, replica=what.replica, uuid=uuid, version=version, json_request_body=body)
    return _url_of(uuid, version, what.replica)


def _replica_with(call: Call, fqid: Fqid, wanted: str) -> str:
    """Return a replica that has a collection version: the wanted one if that has it."""
    head = call.dss.catalog.collections.head(fqid)
    available = head.available if head else frozenset[str]()
    return next((name for name in (wanted, *call.dss.replicas.names) if name in available), wanted)


def _url_of(uuid: str, version: str, replica: str) -> str:
    return f"{PATH}/{uuid}?{urlencode({'version': version, 'replica': replica})}"


def _link(a_type: str, fqid: Fqid) -> Mapping[str, str]:
    return {"type": a_type, "uuid": fqid.uuid, "version": fqid.version}
