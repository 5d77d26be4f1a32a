"""The operations of the pages."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from run.api import files
from run.api.call import Call
from run.api.files import find_file
from run.api.urls import attachment
from run.browse.charts import charts
from run.browse.collecting import collections_of
from run.browse.commands import drs_uri, lines_of_bundle, lines_of_file
from run.browse.entities import entity
from run.browse.finding import find_bundle_anywhere, find_hidden, on_some_replica
from run.browse.growth import periods_of
from run.browse.lists import (
    MOST_LISTED,
    beside,
    catalogue_of,
    chips,
    form_of,
    listing,
    require_listed,
    values,
)
from run.browse.looks import (
    MOST_ENTRIES,
    changes_between,
    collection,
    files_of,
    states_of,
    versions_of,
)
from run.browse.operations import HOME
from run.browse.parameters import Parameters
from run.browse.previews import IMAGES, MOST_BYTES, head_of, media_type, memory_of, preview_of
from run.browse.readers_and_events import events_of, readers_text
from run.browse.rendering import page
from run.browse.run_reports import MOST_BYTES_OF_PART, report_of
from run.browse.state import SIZES, State
from run.browse.status import STATE_OF_SYSTEM, is_bad, is_operator, parts_seen, run_url
from run.browse.trees import folder_of, parents_of
from run.browse.views import tabs_of
from run.explore.arguments import Arguments
from shared.access import Action
from shared.catalog import BundleHead, FileRecord
from shared.errors import IllegalArguments, NotFound
from shared.explore.catalogues import Catalogue
from shared.identifiers import Fqid, Kind
from shared.jobs.argument import checked_id
from shared.totals import Total

# The beginning of a UUID, a dot and a version; in any case.
_PREFIX = re.compile(r"[A-Za-z0-9.-]{0,80}")


def home(call: Call) -> Response:
    """Show the first list of the catalogue, or the bundles of the store if there is none."""
    state = State.read(request.args)
    catalogue = catalogue_of(call, state.once.get("catalog"))
    if catalogue is None:
        return _bundles(call, replica=call.dss.replicas.primary.name, prefix="", after="")
    return _list(call, catalogue, tabs_of(catalogue)[0], state)


def list_entities(call: Call, *, entity_type: str) -> Response:
    """Show a page of entities, with facets."""
    state = State.read(request.args)
    return _list(call, _listed(call, entity_type, state.once.get("catalog")), entity_type, state)


def list_bundles(call: Call) -> Response:
    """Show the bundles of a replica in order of UUID, whether a catalogue has them or not."""
    given = Parameters.read(request.args, "replica", "prefix", "after")
    replica = call.dss.replicas.named(given.text("replica") or call.dss.replicas.primary.name).name
    prefix = given.text("prefix").strip()
    if not _PREFIX.fullmatch(prefix):
        raise IllegalArguments(f"prefix: {prefix[:60]!r} is not the beginning of a UUID, or of UUID.VERSION")
    return _bundles(call, replica=replica, prefix=prefix, after=given.text("after"))


def list_values(call: Call, *, entity_type: str, field: str) -> Response:
    """Show all values of a facet, to be searched and chosen."""
    state = State.read(request.args, "find")
    find = Arguments({"find": request.args.get("find", "")}).text("find")
    catalogue = _listed(call, entity_type, state.once.get("catalog"))
    facet = values(call, catalogue, entity_type, field, state.first_page(), find)
    return page(
        "values.html",
        facet=facet,
        entity_type=entity_type,
        catalogue=catalogue,
        find=find,
        kept=state.first_page().query(),
        here=f"{HOME}/{entity_type}/values/{field}",
        most=MOST_LISTED,
    )


def draw(call: Call, *, entity_type: str) -> Response:
    """Show charts of what a list shows."""
    state = State.read(request.args)
    catalogue = _listed(call, entity_type, state.once.get("catalog"))
    return page(
        "charts.html",
        entity_type=entity_type,
        charts=charts(call, catalogue, entity_type, state),
        chips=chips(catalogue, entity_type, state),
        back=state.url(f"{HOME}/{entity_type}"),
        growth=State(once={"catalog": catalogue.name}).url(f"{HOME}/growth"),
    )


def grow(call: Call) -> Response:
    """Show how a catalogue grew."""
    name = Parameters.read(request.args, "catalog").text("catalog")
    catalogue = _listed(call, "files", name)
    kind, made = periods_of(call, catalogue)
    return page(
        "growth.html",
        catalogue=catalogue,
        kind=kind,
        periods=made,
        longest=max((each.all_size for each in made), default=0) or 1,
        back=State(once={"catalog": catalogue.name}).url(HOME),
    )


def status(call: Call) -> Response:
    """Show how the system is: to operators all of it, to others what everybody may know."""
    Parameters.read(request.args)
    everything = is_operator(call)
    return page("status.html", parts=parts_seen(call, everything=everything), everything=everything)


def get_run(call: Call, *, run_id: str) -> Response:
    """Show an operator a run, and what its report says."""
    given = Parameters.read(request.args, "part", "start")
    part, first = given.number("part") or 1, given.number("start", MOST_BYTES_OF_PART)
    call.require(Action.ADMINISTER, STATE_OF_SYSTEM)
    run = call.dss.catalog.runs.get(checked_id(run_id))
    if run is None:
        raise NotFound(f"run: {run_id[:80]!r} does not exist; runs are kept for 30 days after their end")
    return page(
        "run.html",
        run=run,
        is_bad=is_bad(run),
        report=report_of(call.dss, run, part, first),
        part=part,
        first=first,
        here=run_url(run),
    )


def get_entity(call: Call, *, entity_type: str, entity_id: str) -> Response:
    """Show a project or a sample."""
    given = Parameters.read(request.args, "catalog")
    catalogue = _listed(call, entity_type, given.text("catalog"))
    return page(
        "entity.html",
        **vars(entity(call, catalogue, entity_type, entity_id)),
        entity_type=entity_type,
        catalogue=catalogue,
        back=State(once={"catalog": catalogue.name}).url(f"{HOME}/{entity_type}"),
    )


def get_bundle(call: Call, *, uuid: str) -> Response:
    """Show a bundle version, or the newest, with a folder of its files; a deleted one as what it is."""
    given = Parameters.read(request.args, "version", "replica", "catalog", "path", "start")
    path, start = given.text("path"), given.number("start")
    if path and not path.endswith("/"):
        raise IllegalArguments(f"path: {path[:100]!r} is no folder; its name ends with /")
    version = given.version()
    try:
        replica, head = find_bundle_anywhere(call, uuid, given.text("replica"), version)
    except NotFound:
        hidden = find_hidden(call, uuid, version)
        if hidden is None:
            raise
        return _tombstone(call, hidden)
    folder = folder_of(files_of(call, head), path, start, MOST_ENTRIES)
    if path and not folder.files:
        raise NotFound(f"bundle {head.fqid} has no folder {path[:200]!r}")
    versions, version_count = versions_of(call, uuid)
    query = {"version": head.fqid.version, "replica": replica}
    here = f"{HOME}/bundles/{uuid}"
    return page(
        "bundle.html",
        head=head,
        replica=replica,
        folder=folder,
        path=path,
        start=start,
        most=MOST_ENTRIES,
        parents=[(name, f"{here}?{urlencode({**query, 'path': below})}") for name, below in parents_of(path)],
        root=f"{here}?{urlencode(query)}",
        query=query,
        here=here,
        replicas=states_of(call, Kind.BUNDLE, head.fqid, head.available),
        versions=versions,
        version_count=version_count,
        older=_older(versions, head),
        manifests=_list_of(call, "manifests", "bundleUuid", uuid),
        readers=readers_text(call, head.content_readers),
        events=events_of(call, head),
        collections=collections_of(call, Kind.BUNDLE, uuid),
        lines=lines_of_bundle(call, head.fqid, replica),
        drs=drs_uri(call, head.fqid),
        urlencode=urlencode,
    )


def compare(call: Call, *, uuid: str) -> Response:
    """Show what has changed between two versions of a bundle."""
    given = Parameters.read(request.args, "from", "to", "replica")
    old, new = given.version("from"), given.version("to")
    if old is None or new is None:
        raise IllegalArguments("from, to: name two versions of the bundle")
    wanted = given.text("replica")
    _, before = find_bundle_anywhere(call, uuid, wanted, old)
    replica, after = find_bundle_anywhere(call, uuid, wanted, new)
    changes, count = changes_between(call, before, after)
    return page(
        "changes.html",
        uuid=uuid,
        before=before,
        after=after,
        changes=changes,
        count=count,
        replica=replica,
        urlencode=urlencode,
    )


def get_file(call: Call, *, uuid: str) -> Response:
    """Show a file version, or the newest, with the beginning of its content."""
    given = Parameters.read(request.args, "version", "replica", "name", "catalog")
    name = given.text("name")
    replica, record = _file(call, uuid, given)
    query = {"version": record.fqid.version, "replica": replica, **({"name": name} if name else {})}
    with call.memory.collections.reserve(memory_of(record)):
        preview = preview_of(call.dss.replicas.named(replica), record, name)
    return page(
        "file.html",
        record=record,
        name=name,
        replica=replica,
        query=query,
        here=f"{HOME}/files/{uuid}",
        preview=preview,
        readers=readers_text(call, record.readers),
        total=Total.of_content(record.size, record.checksums),
        replicas=states_of(call, Kind.FILE, record.fqid, record.available),
        lines=lines_of_file(call, record.fqid, replica, name),
        bundles=_list_of(call, "bundles", "fileId", uuid),
        collections=collections_of(call, Kind.FILE, uuid),
        urlencode=urlencode,
    )


def get_content(call: Call, *, uuid: str) -> Response:
    """Redirect to the content of a file, to be saved under its name."""
    given = Parameters.read(request.args, "version", "replica", "name")
    replica, record = _file(call, uuid, given)
    return files.get(
        call,
        uuid=uuid,
        replica=replica,
        version=record.fqid.version,
        token=None,
        directurl=None,
        content_disposition=attachment(given.text("name") or uuid),
    )


def get_image(call: Call, *, uuid: str) -> Response:
    """Answer an image that a page of a file shows."""
    replica, record = _file(call, uuid, Parameters.read(request.args, "version", "replica", "name"))
    kind = media_type(record.content_type)
    if kind not in IMAGES or record.size > MOST_BYTES:
        raise NotFound(f"file {record.fqid}: it is no image that a page can show")
    with call.memory.contents.reserve(record.size):
        response = Response(head_of(call.dss.replicas.named(replica), record, MOST_BYTES), mimetype=kind)
    # An image that somebody has uploaded is never a page of this server.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def get_collection(call: Call, *, uuid: str) -> Response:
    """Show a collection version, or the newest, and what it links to."""
    given = Parameters.read(request.args, "version", "replica", "start")
    start = given.number("start")
    found = collection(call, uuid, given.text("replica"), given.version(), start)
    query = {"version": found.head.fqid.version, "replica": found.replica}
    return page(
        "collection.html",
        **vars(found),
        start=start,
        most=MOST_ENTRIES,
        query=query,
        here=f"{HOME}/collections/{uuid}",
        replicas=states_of(call, Kind.COLLECTION, found.head.fqid, found.head.available),
        drs=drs_uri(call, found.head.fqid),
        urlencode=urlencode,
    )


def _bundles(call: Call, *, replica: str, prefix: str, after: str) -> Response:
    position = str(Fqid.parse(after, "after")) if after else ""
    # One more than a page shows that there is another page.
    found = list(
        call.dss.catalog.bundles.enumerate(
            replica,
            readers=call.dss.policy.counts_as(call.reader),
            prefix=prefix.lower(),
            after=position,
            count=MOST_ENTRIES + 1,
        )
    )
    shown = found[:MOST_ENTRIES]
    return page(
        "store.html",
        bundles=shown,
        more=str(shown[-1]) if len(found) > MOST_ENTRIES else "",
        replica=replica,
        replicas=call.dss.replicas.names,
        prefix=prefix,
        after=position,
        query={"replica": replica, "prefix": prefix},
        here=f"{HOME}/store",
        has_catalogue=bool(call.dss.catalogues.catalogues()),
        urlencode=urlencode,
    )


def _file(call: Call, uuid: str, given: Parameters) -> tuple[str, FileRecord]:
    version = given.version()
    return on_some_replica(call, given.text("replica"), lambda name: find_file(call, uuid, name, version))


def _list_of(call: Call, name: str, field: str, uuid: str) -> str:
    """Return a page of what has a UUID in a field; empty if the catalogue does not have that field."""
    catalogue = catalogue_of(call, None)
    if catalogue is None or "bundles" not in catalogue.listed or field not in catalogue.fields:
        return ""
    return f"{HOME}/{name}?{urlencode({f'is.{field}': uuid})}"


def _tombstone(call: Call, head: BundleHead) -> Response:
    uuid, _, version = head.hidden_by.partition(".")
    known = call.dss.catalog.scan.tombstone(uuid, version or None)
    return page(
        "tombstone.html",
        404,
        head=head,
        whole=not version,
        reason=known.tombstone.reason if known else "",
        versions=[each for each in versions_of(call, uuid)[0] if not each.deleted],
    )


def _older(versions: Any, head: BundleHead) -> str:
    """Return the version before one; empty if there is none."""
    return next(
        (each.version for each in versions if each.version < head.fqid.version and not each.deleted), ""
    )


def _listed(call: Call, entity_type: str, name: str | None) -> Catalogue:
    catalogue = catalogue_of(call, name)
    if catalogue is None:
        raise _none()
    require_listed(catalogue, entity_type)
    return catalogue


def _list(call: Call, catalogue: Catalogue, entity_type: str, state: State) -> Response:
    found = listing(call, catalogue, entity_type, state)
    here = f"{HOME}/{entity_type}"
    first = state.first_page()
    named: Mapping[str, Any] = {
        "tabs": [(name, state.of_type().url(f"{HOME}/{name}")) for name in tabs_of(catalogue)],
        "chips": chips(catalogue, entity_type, state),
        "clear": state.unfiltered().url(here),
        "hidden": form_of(state),
        "here": here,
        "drawn": first.url(f"{HOME}/charts/{entity_type}"),
        "columns": [each.field.name for each in found.heads],
        "fields": list(catalogue.fields.values()),
        "sizes": [(size, first.with_once(size=str(size)).url(here)) for size in SIZES],
        "size": state.size,
        "catalogues": [
            (each.name, State(once={"catalog": each.name}).url(HOME))
            for each in call.dss.catalogues.catalogues().values()
        ],
    }
    title = f"{entity_type.capitalize()} of {catalogue.name}"
    return page("list.html", **vars(found), **beside(catalogue, state), **named, title=title)


def _none() -> NotFound:
    return NotFound("This deployment has no catalogue; its operator lists catalogues in DSS_CATALOGUES.")
