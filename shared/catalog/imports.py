"""The catalog of imports: collection `imports`, one document an import; see `shared.catalog.attempts`.

An import has two stages, each an attempt: it is listed, which shows what it would do, and then imported.
Under each document are those of its slices, of how far each shard is, and of the hashes of large objects.
What the slices list, and what is reported, is in the bucket of the reports.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.attempts import KEPT_FOR, AttemptCatalog, JobState, may_begin_again
from shared.catalog.database import Database, set_document
from shared.errors import Conflict, NotFound


class ImportStage(StrEnum):
    """What the latest attempt at an import is for."""

    LIST = "list"
    IMPORT = "import"


@dataclass(frozen=True, kw_only=True)
class ImportOrder:
    """What somebody wants imported, and by which rule.

    `source` is a folder, as `gs://bucket/folder/`, of which the first `depth` folders below make a bundle; or
    it is empty, and `table` the URL of a table of objects. `metadata` are patterns of the names of files that
    are indexed. With `whole`, a bundle that lacks a file is left out. `groups` are those of the token with
    which `email` began it.
    """

    email: str
    groups: tuple[str, ...]
    replica: str
    source: str = ""
    table: str = ""
    depth: int = 1
    metadata: tuple[str, ...] = ()
    owner_group: str = ""
    creator_uid: int = 0
    whole: bool = False

    @property
    def content(self) -> dict[str, Any]:
        """What is to be done: all but by whom."""
        return {name: value for name, value in asdict(self).items() if name != "groups"}


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """An import, and its progress; `counts` are those of its list.

    `slices` of the list are written; `cursor` is where the next one begins, and `listed` says that there is
    none. `shards` have rows; the names of the first `checked` of them are checked, and there are lines about
    doubled names of those in `doubled`.
    """

    kind = "import"

    id: str
    order: ImportOrder
    stage: ImportStage
    state: JobState
    attempt: int
    execution: str
    slices: int
    cursor: Mapping[str, Any]
    listed: bool
    shards: tuple[int, ...]
    checked: int
    doubled: tuple[int, ...]
    counts: Mapping[str, int]
    resumed: int
    code: str
    cause: str
    created: datetime
    touched: datetime

    @property
    def is_ready(self) -> bool:
        """Whether all of it is listed and checked."""
        return self.listed and self.checked >= len(self.shards)


@dataclass(frozen=True, kw_only=True)
class ListSlice:
    """A slice of a list: where, in its object, the lines of each shard are, as first byte and size."""

    offsets: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class ShardProgress:
    """How far a shard is in an attempt: the rows before `position`, and `bundles` of its bundles, are done.

    `waiting` maps the id of each job that copies a large object to the URL of this. `parts` are the names of
    the parts of the report.
    """

    position: int = 0
    bundles: int = 0
    over: bool = False
    waiting: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    parts: tuple[str, ...] = ()


_LISTED: Mapping[str, Any] = {
    "slices": 0,
    "cursor": {},
    "listed": False,
    "shards": [],
    "checked": 0,
    "doubled": [],
    "counts": {},
}
_PLAIN = (
    "attempt",
    "execution",
    "slices",
    "cursor",
    "listed",
    "checked",
    "counts",
    "resumed",
    "code",
    "cause",
)


class ImportCatalog(AttemptCatalog[ImportJob]):
    """Reads and writes of imports."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "imports", _from_snapshot)

    def begin(self, import_id: str, order: ImportOrder, *, at_most: int, at_most_each: int) -> ImportJob:
        """Return the import of this id: one that begins to be listed, or the one that is there.

        One whose list has failed goes on with it. Its `execution` is empty if none is known to have started.
        Raises Conflict if another one has the id, and TooManyUnderWay if it would begin while `at_most` run,
        or `at_most_each` of the same person.
        """
        found = self.get(import_id)
        if found and found.order.content != order.content:
            raise Conflict(f"import {import_id} is another one; choose another UUID")
        if found and (found.is_ready or not may_begin_again(found, self._database.clock.now())):
            return found

        def begun(previous: ImportJob | None) -> dict[str, Any]:
            self._check_room(order, previous, at_most, at_most_each)
            return self._document(order, ImportStage.LIST, previous)

        return self._join_or_begin(import_id, begun)

    def start(self, import_id: str, order: ImportOrder, *, at_most: int, at_most_each: int) -> ImportJob:
        """Return an import that is being imported: begun, begun again, or the running one.

        Raises NotFound, Conflict if it is not listed yet, and TooManyUnderWay as `begin`.
        """

        def begun(previous: ImportJob | None) -> dict[str, Any]:
            if previous is None:
                raise NotFound(f"import {import_id} does not exist")
            if not previous.is_ready:
                raise Conflict(f"import {import_id} is not listed to its end; wait, or list it again")
            self._check_room(order, previous, at_most, at_most_each)
            return self._document(order, ImportStage.IMPORT, previous)

        def joined(running: ImportJob) -> dict[str, Any]:
            if running.stage is ImportStage.LIST:
                raise Conflict(f"import {import_id} is being listed; start it when that is done")
            return {}

        return self._join_or_begin(import_id, begun, joined)

    def of_person(self, email: str, count: int) -> list[ImportJob]:
        """Return up to `count` imports of a person, in no order; a read each."""
        query = self._collection.where(filter=FieldFilter("email", "==", email)).limit(count)
        return [_from_snapshot(snapshot) for snapshot in self._database.query(query)]

    def _check_room(
        self, order: ImportOrder, previous: ImportJob | None, at_most: int, at_most_each: int
    ) -> None:
        if previous and previous.state is JobState.RUNNING:
            return
        own = FieldFilter("email", "==", order.email)
        self._require_place("imports", at_most=at_most, own=own, at_most_each=at_most_each)

    def _document(self, order: ImportOrder, stage: ImportStage, previous: ImportJob | None) -> dict[str, Any]:
        resumed = previous is not None and previous.state is JobState.RUNNING and previous.stage is stage
        listed = {name: _stored(getattr(previous, name)) for name in _LISTED} if previous else dict(_LISTED)
        return {
            "order": json.dumps(asdict(order)),
            "email": order.email,
            "stage": stage.value,
            "begun": previous.created if previous else self._database.clock.now(),
            "resumed": previous.resumed + 1 if previous and resumed else 0,
            **listed,
        }

    def add_slice(
        self, job: ImportJob, number: int, piece: ListSlice, changes: Mapping[str, Any]
    ) -> ImportJob:
        """Note a slice of the list, and the state of the list after it, once; return the import as it is."""
        offsets = {str(shard): list(where) for shard, where in piece.offsets.items()}
        document = {"offsets": offsets, "expires": self._database.clock.now() + KEPT_FOR}
        self._database.commit(set_document(self._slice(job.id, number), document))

        def advance(current: ImportJob) -> dict[str, Any]:
            return dict(changes) | {"slices": number} if current.slices == number - 1 else {}

        self._change(job, advance)
        return self.get(job.id) or job

    def slices(self, job: ImportJob) -> dict[int, ListSlice]:
        """Return the slices of the list, a read each."""
        references = [self._slice(job.id, number) for number in range(1, job.slices + 1)]
        return {
            int(snapshot.id): ListSlice(
                offsets={int(name): (first, size) for name, (first, size) in snapshot.get("offsets").items()}
            )
            for snapshot in self._database.get_many(references)
        }

    def note_checked(self, job: ImportJob, position: int, changes: Mapping[str, Any]) -> ImportJob:
        """Note that the names of the shard at a position are checked, once; return the import as it is."""

        def advance(current: ImportJob) -> dict[str, Any]:
            return dict(changes) | {"checked": position + 1} if current.checked == position else {}

        self._change(job, advance)
        return self.get(job.id) or job

    def progress(self, job: ImportJob, shard: int) -> ShardProgress:
        """Return how far a shard is in this attempt, in one read."""
        snapshot = self._database.get(self._shard(job, shard))
        return _progress_from(snapshot) if snapshot.exists else ShardProgress()

    def all_progress(self, job: ImportJob) -> dict[int, ShardProgress]:
        """Return how far each shard is that was begun in this attempt, a read each."""
        snapshots = self._database.get_many([self._shard(job, shard) for shard in job.shards])
        return {int(one.id.partition("-")[2]): _progress_from(one) for one in snapshots}

    def note_progress(self, job: ImportJob, shard: int, progress: ShardProgress) -> None:
        """Note how far a shard is, in one write."""
        document = {**asdict(progress), "parts": list(progress.parts)}
        document["expires"] = self._database.clock.now() + KEPT_FOR
        self._database.commit(set_document(self._shard(job, shard), document))

    def hashed(self, job: ImportJob, name: str) -> tuple[str, Mapping[str, str] | None]:
        """Return the state of the hashes of a large object, and the uploads to which its parts go, by
        replica.

        Empty and None if nothing was read yet. One read.
        """
        snapshot = self._database.get(self._hash(job, name))
        return (str(snapshot.get("hashed")), snapshot.get("uploads")) if snapshot.exists else ("", None)

    def note_hashed(self, job: ImportJob, name: str, hashed: str, uploads: Mapping[str, str]) -> None:
        """Note the state of the hashes of a large object, and that the attempt is being worked on."""
        expires = self._database.clock.now() + KEPT_FOR
        document = {"hashed": hashed, "uploads": dict(uploads), "expires": expires}
        self._database.commit(set_document(self._hash(job, name), document))
        self.touch(self.get(job.id) or job)

    def _slice(self, import_id: str, number: int) -> Any:
        return self._collection.document(import_id).collection("import_slices").document(f"{number:06d}")

    def _shard(self, job: ImportJob, shard: int) -> Any:
        shards = self._collection.document(job.id).collection("import_shards")
        return shards.document(f"{job.attempt:06d}-{shard:03d}")

    def _hash(self, job: ImportJob, name: str) -> Any:
        return self._collection.document(job.id).collection("import_hashes").document(name)


def _stored(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _progress_from(snapshot: Any) -> ShardProgress:
    document = snapshot.to_dict()
    members = {name: document[name] for name in ShardProgress.__dataclass_fields__}
    return ShardProgress(**{**members, "parts": tuple(members["parts"])})


def _from_snapshot(snapshot: Any) -> ImportJob:
    document = snapshot.to_dict()
    order = json.loads(document["order"])
    lists = {name: tuple(order[name]) for name in ("groups", "metadata")}
    return ImportJob(
        id=snapshot.id,
        order=ImportOrder(**{**order, **lists}),
        stage=ImportStage(document["stage"]),
        state=JobState(document["state"]),
        shards=tuple(document["shards"]),
        doubled=tuple(document["doubled"]),
        created=document["begun"],
        touched=document["touched"],
        **{name: document[name] for name in _PLAIN},
    )
