"""Many processes at one Firestore, in simulated time: requests take as long as they do in the cloud.

A process is a greenlet; one runs at a time, until it waits. So the same happens each time, and takes no
longer than its computations. Documents are as Firestore has them: a commit is all or nothing, on its
conditions; commits that touch the same document follow each other.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from google.api_core.exceptions import AlreadyExists, FailedPrecondition, NotFound
from google.cloud import firestore
from google.cloud.firestore_v1 import LastUpdateOption
from greenlet import getcurrent, greenlet

# For how long a commit that is refused has documents locked: nothing is written.
_REFUSED_SECONDS = 0.001
BEGIN = datetime(2026, 1, 12, tzinfo=UTC)


class Simulation:
    """Simulated time, and the processes in it; also their clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._turns: list[tuple[float, int, greenlet]] = []
        self._number = 0
        self._main = getcurrent()

    def now(self) -> datetime:
        """Return the simulated time."""
        return BEGIN + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        """Let others run for so many simulated seconds."""
        self._at(self.seconds + seconds, getcurrent())
        self._main.switch()

    def start(self, at: float, work: Callable[[], None]) -> None:
        """Have a process do some work, from a moment on."""
        self._at(at, greenlet(work, self._main))

    def run(self) -> None:
        """Run all processes to their ends. Raises the first error of one."""
        while self._turns:
            self.seconds, _, process = heapq.heappop(self._turns)
            process.switch()

    def _at(self, seconds: float, process: greenlet) -> None:
        self._number += 1
        heapq.heappush(self._turns, (seconds, self._number, process))


@dataclass
class SimulatedFirestore:
    """Documents, and how long requests take: a read, a commit, and for how long that locks its documents.

    `writes` counts those to each document, `reads` all documents read.
    """

    time: Simulation
    read_seconds: float
    commit_seconds: float
    locked_seconds: float
    documents: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    commits: int = 0
    _free: dict[str, float] = field(default_factory=dict)

    def collection(self, name: str) -> SimpleNamespace:
        """Return a collection; it has no queries."""
        return SimpleNamespace(document=lambda key: Reference(self, f"{name}/{key}"))

    def batch(self) -> "Batch":
        """Return a batch of writes."""
        return Batch(self)

    def get(self, reference: "Reference", _: float) -> "Snapshot":
        """Return the snapshot of a document."""
        return self.get_many([reference])[0]

    def get_many(self, references: Sequence["Reference"], *_: object) -> list["Snapshot"]:
        """Return the snapshots of documents at one moment."""
        self.time.sleep(self.read_seconds / 2)
        self.reads += len(references)
        found = [Snapshot.of(reference) for reference in references]
        self.time.sleep(self.read_seconds / 2)
        return found

    def commit(self, writes: Sequence["Change"]) -> None:
        """Apply all writes at one moment, or none."""
        paths = {write.path for write in writes}
        self.time.sleep(self.commit_seconds / 2)
        # It has its turn when all that came before are through with any of its documents.
        turn = max(self._free.get(path, 0.0) for path in paths)
        if turn > self.time.seconds:
            self._free.update(dict.fromkeys(paths, turn + _REFUSED_SECONDS))
            self.time.sleep(turn - self.time.seconds)
        changed = {path: self.documents.get(path) for path in paths}
        for write in writes:
            write.check(changed[write.path])
        for path in paths:
            self._free[path] = max(self._free.get(path, 0.0), self.time.seconds + self.locked_seconds)
        self.commits += 1
        for write in writes:
            changed[write.path] = (self.commits, write.apply(changed[write.path]))
            self.writes[write.path] += 1
        self.documents.update({path: new for path, new in changed.items() if new})
        self.time.sleep(self.commit_seconds / 2)


@dataclass(frozen=True)
class Reference:
    """The name of a document."""

    store: SimulatedFirestore
    path: str

    def __hash__(self) -> int:
        return hash(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.path == other.path

    @property
    def id(self) -> str:
        return self.path.partition("/")[2]


@dataclass(frozen=True)
class Snapshot:
    """A document at a moment, whether it exists or not."""

    reference: Reference
    update_time: int
    document: Mapping[str, Any] | None

    @classmethod
    def of(cls, reference: Reference) -> "Snapshot":
        version, document = reference.store.documents.get(reference.path, (0, None))
        return cls(reference, version, document)

    @property
    def id(self) -> str:
        return self.reference.id

    @property
    def exists(self) -> bool:
        return self.document is not None

    def to_dict(self) -> dict[str, Any] | None:
        # Nothing changes what is in it.
        return dict(self.document) if self.document is not None else None

    def get(self, name: str) -> Any:
        return (self.document or {})[name]


@dataclass(frozen=True)
class Change:
    """A write of a batch: its condition, and what it does with the document."""

    path: str
    check: Callable[[Any], None]
    apply: Callable[[Any], dict[str, Any]]


class Batch:
    """A batch of writes, with the methods of the client."""

    def __init__(self, store: SimulatedFirestore) -> None:
        self._store = store
        self._writes: list[Change] = []

    def create(self, reference: Reference, document: dict[str, Any]) -> None:
        self._writes.append(Change(reference.path, _must_not_exist, lambda _: dict(document)))

    def set(self, reference: Reference, document: dict[str, Any], merge: bool = False) -> None:
        self._writes.append(
            Change(
                reference.path,
                lambda _: None,
                lambda old: _changed(old[1] if old and merge else {}, document),
            )
        )

    def update(self, reference: Reference, changes: dict[str, Any], option: Any = None) -> None:
        check = _unchanged(option) if isinstance(option, LastUpdateOption) else _must_exist
        self._writes.append(Change(reference.path, check, lambda old: _changed(old[1], changes)))

    def commit(self, **_: object) -> None:
        self._store.commit(self._writes)


def _must_exist(found: Any) -> None:
    if found is None:
        raise NotFound("no such document")  # type: ignore[no-untyped-call]


def _must_not_exist(found: Any) -> None:
    if found is not None:
        raise AlreadyExists("the document exists")  # type: ignore[no-untyped-call]


def _unchanged(option: Any) -> Callable[[Any], None]:
    def check(found: Any) -> None:
        _must_exist(found)
        if found[0] != option._last_update_time:  # the client offers no other way
            raise FailedPrecondition("the document has changed")  # type: ignore[no-untyped-call]

    return check


def _changed(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    new = dict(old)
    for name, value in changes.items():
        if isinstance(value, firestore.ArrayUnion):
            known = new.get(name, [])
            new[name] = [*known, *(one for one in value.values if one not in known)]
        elif isinstance(value, firestore.ArrayRemove):
            new[name] = [one for one in new.get(name, []) if one not in value.values]
        else:
            new[name] = value
    return new
