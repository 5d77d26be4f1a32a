"""A kind is one object: every kind answers every verb, and a further kind is one class and one row."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from shared.catalog import Queue
from shared.clock import SystemClock
from shared.errors import NotProven
from shared.faults import FAULT_POINTS, FaultPoints
from shared.identifiers import Kind, ObjectName
from shared.kinds import KINDS, ObjectKind, PagedKind, find_kind
from shared.kinds.base import TombstoneKind
from shared.kinds.file import FileKind
from shared.maintenance.audit import Problem, Tally, audit
from shared.maintenance.rebuild import rebuild, section_names
from shared.maintenance.repair import repair
from shared.maintenance.sections import sections
from shared.maintenance.sweep import sweep
from shared.manifests import encode
from shared.messages import ObjectEvent
from shared.replicas import Replica, Replicas
from shared.replication import Replicated, replicate
from shared.stores.signed_urls import SignedUrls
from tests.support.memory_store import MemoryStore

# What replication, restore, rebuild, repair, audit and backlog ask of a kind.
VERBS = {
    *("name", "owns", "lookup", "scan", "name_of"),
    *("document", "document_to_copy", "content_size"),
    *("requires", "bring_content", "make_available"),
    *("claim", "learn", "restore", "recall", "lacks", "prove"),
}
NAME = ObjectName(Kind.FILE, "0f1e2d3c-4b5a-4678-8796-a5b4c3d2e1f0", "2026-11-21T101112.000001Z", dead=True)


def public_methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}


def test_there_are_eight_kinds_each_in_its_row() -> None:
    assert set(KINDS) == {
        (Kind.PURGE, False),
        (Kind.ACCESS, False),
        (Kind.GROUP, False),
        (Kind.FILE, False),
        (Kind.BUNDLE, False),
        (Kind.BUNDLE, True),
        (Kind.COLLECTION, False),
        (Kind.COLLECTION, True),
    }
    assert all((kind.kind, kind.dead) == row for row, kind in KINDS.items())
    assert (
        len({kind.section for kind in KINDS.values()})
        == len({kind.collection for kind in KINDS.values()})
        == 8
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.section)
def test_every_kind_answers_every_verb_and_no_other(kind: ObjectKind[Any]) -> None:
    paged = {"write_pages"} if isinstance(kind, PagedKind) else set()
    assert public_methods(type(kind)) == VERBS | paged
    assert kind.paged == isinstance(kind, PagedKind)
    assert kind.written in FAULT_POINTS
    assert not isinstance(kind, PagedKind) or kind.checked in FAULT_POINTS


@pytest.mark.parametrize("verb", sorted(ObjectKind.__abstractmethods__))
def test_a_kind_that_lacks_a_verb_cannot_be_made(verb: str) -> None:
    others = {name: getattr(FileKind, name) for name in ObjectKind.__abstractmethods__ - {verb}}
    incomplete = type("Incomplete", (ObjectKind,), others)
    with pytest.raises(TypeError, match=verb):
        incomplete()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.section)
def test_a_kind_is_found_by_the_names_that_it_gives(kind: ObjectKind[Any]) -> None:
    version = None if kind.section == "collection_tombstones" else NAME.version
    assert find_kind(kind.name(NAME.uuid, version)) is kind


@pytest.mark.parametrize(
    "name",
    [NAME, replace(NAME, version=None), replace(NAME, kind=Kind.COLLECTION)],
    ids=lambda name: name.key,
)
def test_names_that_the_system_does_not_write_are_of_no_kind(name: ObjectName) -> None:
    assert find_kind(name) is None


@dataclass(frozen=True)
class FileTombstone:
    """What a further kind knows of one object."""

    name: ObjectName
    reason: str
    available: frozenset[str] = frozenset()


@dataclass
class FileTombstoneKind(TombstoneKind[FileTombstone]):
    """A further kind, with a dictionary for a catalog."""

    kind = Kind.FILE
    section = "file_tombstones"
    collection = "file_tombstones"
    written = "replication: tombstone written"
    records: dict[str, FileTombstone] = field(default_factory=dict)

    def lookup(self, dss: Any, name: ObjectName) -> FileTombstone | None:
        return self.records.get(name.key)

    def scan(self, dss: Any, since: str, until: str = "") -> Iterator[FileTombstone]:
        return iter([self.records[key] for key in sorted(self.records)])

    def name_of(self, record: FileTombstone) -> ObjectName:
        return record.name

    def document(self, dss: Any, record: FileTombstone) -> bytes:
        return encode({"reason": record.reason})

    def make_available(self, dss: Any, record: FileTombstone, replica: str) -> None:
        known = self.records[record.name.key]
        self.records[record.name.key] = replace(known, available=known.available | {replica})

    def claim(self, dss: Any, name: ObjectName, encoded: bytes) -> FileTombstone:
        return self.records.setdefault(name.key, FileTombstone(name, json.loads(encoded)["reason"]))

    def prove(self, dss: Any, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        if set(json.loads(encoded)) != {"reason"}:
            raise NotProven("it is not as the system writes it")


@dataclass
class Backlog:
    """A backlog that lacks everything that its kinds know and not every replica has."""

    def queued(self, kinds: Any, queue: Queue, *, before: datetime, start: datetime) -> Iterator[Any]:
        for kind in () if queue.outbox else kinds:
            for record in getattr(kind, "records", {}).values():
                if queue.replica not in record.available:
                    yield SimpleNamespace(
                        key=record.name.key, available=tuple(record.available), since=before, left_alone={}
                    )

    def claimed(self, kinds: Any, *, after: datetime, before: datetime) -> Iterator[Any]:
        return iter(())

    def starts(self) -> dict[str, datetime]:
        return {}

    def set_starts(self, starts: dict[str, datetime]) -> None:
        pass

    def oldest(self, kind: Any, queue: Queue, *, start: datetime | None) -> None:
        return None


@dataclass
class Publisher:
    """A publisher that keeps the keys of object events."""

    keys: list[str] = field(default_factory=list)

    def publish(self, topic: str, attributes: dict[str, str], data: bytes = b"") -> None:
        self.keys.append(attributes["objectId"])


class Store(MemoryStore):
    """A store that any test may write to."""

    def uploads(self, bucket: str) -> Iterator[Any]:
        return iter(())


@pytest.fixture
def further() -> Iterator[FileTombstoneKind]:
    """A further kind, in a row of the table for one test."""
    kind = FileTombstoneKind()
    with mock.patch.dict(KINDS, {(Kind.FILE, True): kind}):
        yield kind


@pytest.fixture
def dss() -> Any:
    """Two replicas with nothing in them, and a catalog that knows nothing."""
    nothing = SimpleNamespace(
        **{
            name: lambda *_: iter(())
            for name in (
                *("files", "bundles", "tombstones", "collections", "collection_tombstones"),
                *("bindings", "groups", "contents", "events", "journals"),
            )
        }
    )
    stores = {
        name: Store(SignedUrls(base="", key=bytes(32), clock=SystemClock()), "bucket")
        for name in ("gcp", "aws")
    }
    return SimpleNamespace(
        settings=SimpleNamespace(upload_seconds=1),
        clock=SystemClock(),
        faults=FaultPoints(None),
        publisher=Publisher(),
        arriving=set(),
        replicas=Replicas(
            *(
                Replica(name=name, open_store=lambda store=store: store, bucket="bucket", checkout_bucket="")
                for name, store in stores.items()
            )
        ),
        catalog=SimpleNamespace(
            scan=nothing,
            backlog=Backlog(),
            purges=SimpleNamespace(scan=lambda *_: iter(())),
            bundles=SimpleNamespace(get_many=lambda _: {}),
            bindings=SimpleNamespace(
                current=lambda _: None, current_many=lambda _: {}, any_ever=lambda: False
            ),
            events=SimpleNamespace(restore=lambda *_: None),
            journals=SimpleNamespace(
                checkpoint=lambda _: SimpleNamespace(compacted=""), hold=lambda *_, **__: None
            ),
        ),
    )


def put(dss: Any, replica: str, content: bytes = b'{"reason":"x"}') -> None:
    dss.replicas.named(replica).store.create("bucket", NAME.key, content, "application/json")


def problems(dss: Any) -> list[Any]:
    return list(audit(dss, list(dss.replicas), settled_after=timedelta(0), tally=Tally()))


def test_a_further_kind_is_replicated(further: FileTombstoneKind, dss: Any) -> None:
    put(dss, "gcp")
    event = ObjectEvent(replica="gcp", bucket="bucket", key=NAME.key)

    assert replicate(dss, event) == [Replicated(key=NAME.key, replica=name) for name in ("gcp", "aws")]

    assert further.records[NAME.key].available == {"gcp", "aws"}
    assert replicate(dss, event) == []
    assert problems(dss) == []


def test_a_further_kind_is_audited_and_repaired(further: FileTombstoneKind, dss: Any) -> None:
    assert "file_tombstones" in sections()
    put(dss, "gcp")
    [dark] = problems(dss)
    assert (dark.kind, dark.section, dark.key) == (Problem.DARK, "file_tombstones", NAME.key)
    assert repair(dss, dark).done == "taken into the catalog"
    assert further.records[NAME.key] == FileTombstone(NAME, "x", frozenset({"gcp"}))

    dss.replicas.named("gcp").store.delete("bucket", NAME.key)
    [lost] = problems(dss)
    assert lost.kind is Problem.LOST
    assert repair(dss, lost).done == "written again, as in the catalog"
    assert problems(dss) == []


def test_a_further_kind_that_is_not_proved_is_left(further: FileTombstoneKind, dss: Any) -> None:
    put(dss, "gcp", b'{"reason":"x","more":1}')
    [dark] = problems(dss)
    assert repair(dss, dark).left == "it is not as the system writes it"
    assert further.records == {}


def test_a_further_kind_is_rebuilt(further: FileTombstoneKind, dss: Any) -> None:
    assert "file_tombstones" in section_names()
    put(dss, "aws")
    replica = dss.replicas.named("aws")

    [dry] = rebuild(dss, replica, dry_run=True)

    assert (dry.section, dry.key, dry.new) == ("file_tombstones", NAME.key, True)
    assert further.records == {}
    assert list(rebuild(dss, replica)) == [dry]
    assert further.records[NAME.key].available == {"aws"}
    assert [one.new for one in rebuild(dss, replica)] == [False]


def test_a_further_kind_is_swept(further: FileTombstoneKind, dss: Any) -> None:
    further.records[NAME.key] = FileTombstone(NAME, "x", frozenset({"gcp"}))
    assert sweep(dss, older_than=timedelta(0)) == 1
    assert dss.publisher.keys == [NAME.key]


def test_without_its_row_a_further_kind_is_none_of_the_systems(dss: Any) -> None:
    put(dss, "gcp")
    assert replicate(dss, ObjectEvent(replica="gcp", bucket="bucket", key=NAME.key)) == []
    [dark] = problems(dss)
    assert (dark.section, dark.why) == ("files", "the system gives no such name")
    assert list(rebuild(dss, dss.replicas.named("gcp"), dry_run=True)) == []
