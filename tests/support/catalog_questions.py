"""Every query that the catalog and the index of search make, asked about what does not exist.

`functions_that_ask` finds the functions that make queries in the code, and `functions_called` those that ran.
"""

import ast
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from google.api_core.exceptions import NotFound as NoDocument

from shared.catalog import (
    Binding,
    BundleTombstone,
    Catalog,
    Database,
    Event,
    ImportOrder,
    Purge,
    Queue,
    VersionedCatalog,
)
from shared.catalog.attempts import AttemptCatalog, of_requester
from shared.catalog.subscription_changes import SubscriptionChanges
from shared.errors import TooManyUnderWay
from shared.identifiers import Fqid, Kind, version_of
from shared.kinds import KINDS
from shared.search.base import IndexEntry
from shared.search.firestore.backend import FirestoreIndex
from shared.search.query import MatchAll
from tests.support.api import new_uuid, now

ROOT = Path(__file__).resolve().parents[2]
_ASKING = {"FieldFilter", "order_by", "collection_group"}
# A file, and the line on which a function begins.
Place = tuple[str, int]


def functions_that_ask() -> dict[Place, str]:
    """Return the functions in `shared/` that make a query of Firestore, with their names."""
    found = {}
    for path in (ROOT / "shared").rglob("*.py"):
        for name, function in _functions(ast.parse(path.read_text())):
            if any(_asks(node) for node in _own_nodes(function)):
                found[str(path), function.lineno] = f"{path.relative_to(ROOT)} {name}"
    return found


def _functions(tree: ast.AST) -> Iterator[tuple[str, ast.FunctionDef]]:
    return ((node.name, node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield what is in a function, but not in functions within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef):
            yield node
            waiting += ast.iter_child_nodes(node)


def _asks(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _ASKING


@contextmanager
def functions_called() -> Iterator[set[Place]]:
    """Record which functions of `shared/` this thread calls within the block, and threads begun in it."""
    called: set[Place] = set()
    ours = str(ROOT / "shared")

    def note(frame: FrameType, happened: str, _: Any) -> None:
        if happened == "call" and frame.f_code.co_filename.startswith(ours):
            called.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def ask_everything(database: Database) -> None:
    """Call each method that makes a query, in each of its forms; leaves records that say nothing."""
    catalog = Catalog(database)
    _ask_about_objects(catalog)
    _ask_about_access(catalog)
    _ask_about_jobs(catalog)
    _ask_about_events(catalog)
    _ask_what_sweeps_ask(catalog)
    _scan(catalog)
    _search(FirestoreIndex(database))


def _ask_about_objects(catalog: Catalog) -> None:
    uuid, replicas = new_uuid(), catalog.database.replicas
    for some in (replicas, replicas[:1]):
        assert catalog.files.newest(uuid, *some) is None
        assert catalog.bundles.newest(uuid, *some) is None
    assert catalog.bundles.any_version(uuid, replicas[0]) is None
    assert catalog.collections.newest(uuid, replicas[0]) is None
    for kind in (catalog.files, catalog.bundles, catalog.collections):
        assert not kind.versions(uuid)
    assert catalog.bundles.is_new(uuid)
    assert not list(catalog.bundles.hidden_by(uuid))
    for readers in (None, frozenset({"default", uuid}), frozenset({uuid})):
        for prefix in ("", uuid):
            bundles = catalog.bundles.enumerate(new_uuid(), readers=readers, prefix=prefix, after="", count=1)
            assert not list(bundles)
    assert not catalog.collections.owned_by(f"{uuid}@example.org", 0, 1)
    assert not catalog.collections.linking_to(Kind.FILE, uuid, 1)
    # Nobody has deposited this tombstone: nothing is written.
    tombstone = BundleTombstone(uuid=uuid, version=None, email="nobody", reason="none")
    with suppress(NoDocument):
        catalog.tombstones.hide(tombstone, replicas[0])


def _ask_about_access(catalog: Catalog) -> None:
    uuid = new_uuid()
    assert not catalog.bindings.bind_heads(Binding(fqid=Fqid(uuid, now())))
    assert not catalog.bindings.kinds_of(uuid)
    assert not list(catalog.bindings.bundles_with_file(uuid))
    assert not catalog.groups.names_with([f"{uuid}@example.org"])
    for versioned in vars(catalog).values():
        if isinstance(versioned, VersionedCatalog):
            next(versioned.all_current(uuid), None)
    purge = Purge(fqid=Fqid(uuid, now()), of="", reason="none", by="nobody", due=now(), undone=True)
    # It is undone already, so nothing is withheld.
    catalog.purges.put_into_effect(purge)
    assert not catalog.purges.of_uuid(uuid)
    assert not list(catalog.purges.parts_of(purge))
    for found in (catalog.purges.unfinished(), catalog.purges.scan(), catalog.purges.scan(str(purge.fqid))):
        next(found, None)
    catalog.purges.delete_heads(
        purge, {"bundles": "bundle_tombstones", "files": "", "collections": "collection_tombstones"}
    )


def _ask_about_jobs(catalog: Catalog) -> None:
    uuid, version = new_uuid(), now()
    for jobs in vars(catalog).values():
        if isinstance(jobs, AttemptCatalog):
            jobs.abandoned(unstarted_seconds=0)
            jobs.under_way()
    assert not catalog.checkouts.under_way(of_requester(uuid))
    assert not catalog.manifests.under_way(of_requester(uuid))
    assert not catalog.jobs.of_file(uuid, None, "gcp")
    assert not catalog.jobs.of_file(uuid, version, "gcp")
    assert not catalog.jobs.are_under_way([Fqid(uuid, version)])
    catalog.jobs.uploads_at_work()
    assert not catalog.checkouts.of_uuid(uuid)
    catalog.checkouts.with_mail_due()
    assert not catalog.imports.of_person(uuid, 1)
    with suppress(TooManyUnderWay):
        order = ImportOrder(email=uuid, groups=(), replica="gcp")
        catalog.imports.begin(uuid, order, at_most=1_000_000, at_most_each=0)
    catalog.runs.newest(1)


def _ask_about_events(catalog: Catalog) -> None:
    replica, time = new_uuid(), now()
    for times in ({}, {"start": time}, {"start": time, "stop": time}):
        assert not list(catalog.events.since(replica, **times))
        assert not catalog.events.count(replica, **times)
    assert not list(catalog.events.readable(replica, labels=["a"], start=time, stop="", count=1))
    assert not catalog.journals.since(replica, labels=["a"], start=time, count=1)
    assert catalog.journals.holding(replica, time) is None
    catalog.journals.set_labels(_event(replica), frozenset())
    assert not catalog.subscriptions.of_replica(replica)
    assert not SubscriptionChanges(catalog.database).position(replica, catalog.database.clock.now()).recent
    assert not catalog.subscriptions.of_owner(replica, replica)
    assert not catalog.subscriptions.every_of_owner(replica)
    clock = catalog.database.clock
    for before in (None, (clock.now(), replica)):
        assert not catalog.deliveries.of_subscription(replica, before=before, count=1)


def _event(replica: str) -> Event:
    return Event(
        id=new_uuid(),
        replica=replica,
        fqid=Fqid(new_uuid(), now()),
        type="CREATE",
        timestamp=now(),
        size=0,
        digest="",
        md5="",
        crc32c="",
    )


def _ask_what_sweeps_ask(catalog: Catalog) -> None:
    clock = catalog.database.clock
    past = {"start": clock.now() - timedelta(days=2), "before": clock.now() - timedelta(days=1)}
    assert not list(catalog.backlog.claimed(KINDS.values(), after=past["start"], before=past["before"]))
    for replica in catalog.database.replicas:
        # So long ago that nothing is found: what was asked is the same.
        for queue in (Queue(replica=replica), Queue(replica=replica, outbox=True)):
            assert not list(catalog.backlog.queued(KINDS.values(), queue, **past))
            for kind in KINDS.values():
                catalog.backlog.measure(kind, queue, start=past["start"], most=1)
                catalog.backlog.oldest(kind, queue, start=past["start"])
        assert not list(catalog.events.since(replica, stop=version_of(clock.now() - timedelta(days=1))))
    for kind in KINDS.values():
        next(catalog.backlog.outside(kind), None)


def _scan(catalog: Catalog) -> None:
    scan = catalog.scan
    everything = (
        *(scan.files, scan.bundles, scan.collections, scan.tombstones, scan.collection_tombstones),
        *(scan.contents, scan.bindings, scan.groups, scan.journals, scan.events),
    )
    for every in everything:
        next(every(), None)
        next(every("f"), None)
    scan.bundle_count()
    assert not list(scan.of_content("0" * 64))
    for replica in catalog.database.replicas:
        scan.count(replica)


def _search(index: FirestoreIndex) -> None:
    entry = IndexEntry(replica=new_uuid(), fqid=Fqid(new_uuid(), now()), document={"a": "b"})
    index.put(entry)
    index.put(IndexEntry(replica=entry.replica, fqid=entry.fqid, document={"a": "c"}))
    assert [held.fqid for held in index.entries(entry.replica)] == [entry.fqid]
    for total in (False, True):
        page = index.search(entry.replica, MatchAll(), readers=None, after=None, count=1, total=total)
        assert [hit.fqid for hit in page.hits] == [entry.fqid]
    index.delete(entry.replica, entry.fqid)
