"""The catalog of manifests: collection `manifest_jobs`, a document each; see `shared.catalog.attempts`.

A job's id follows from what its manifest says, so that the same selection of an unchanged catalogue finds it.
"""

import secrets
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.catalog.attempts import AttemptCatalog, JobState, of_requester, pseudonym
from shared.catalog.database import Database
from shared.errors import IllegalArguments

_NAMESPACE = uuid.UUID("7d0f5c56-6b53-5d7e-8f0e-0d7b9b1f7a3c")
# For how long a manifest can be had: the bucket's life cycle then removes it. Nobody gets one that is about
# to go.
LIVES, _SPARE = timedelta(days=7), timedelta(minutes=15)
# Bytes. Firestore: a document is at most 1 MiB.
_MOST_SELECTION = 600_000


@dataclass(frozen=True, kw_only=True)
class ManifestOrder:
    """What a manifest is to say: the files of a catalogue that match a selection, in a format.

    `selection` is the text of the filters and words, `labels` are those that the reader looks up and that
    make a difference, None for an admin. `key` is of all on which the content depends.
    """

    key: str
    catalogue: str
    format: str
    base_url: str
    labels: frozenset[str] | None
    selection: str = field(repr=False)
    # What the content doesn't depend on: how many files there are, and what its file is called.
    files: int = 0
    name: str = ""

    @property
    def job_id(self) -> str:
        """The id of the job that makes it."""
        return str(uuid.uuid5(_NAMESPACE, self.key))


@dataclass(frozen=True)
class ManifestPiece:
    """A piece of a manifest: the last part of the key of its object, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, kw_only=True)
class ManifestJob:
    """A manifest, and how far it is made.

    `pieces` are written, and `cursor` is the state with which to go on behind them, as JSON, with `memory`,
    the name of the object of what is too large for it. `over` says that there are no more. `files_done` are
    read. Who knows the `secret` may have the manifest, which is at `key` once the job has succeeded.
    """

    id: str
    order: ManifestOrder
    state: JobState
    attempt: int
    execution: str
    resumed: int
    pieces: tuple[ManifestPiece, ...]
    cursor: str = field(repr=False)
    memory: str
    over: bool
    files_done: int
    secret: str = field(repr=False)
    key: str
    code: str
    cause: str
    touched: datetime
    created: datetime

    def expires(self) -> datetime:
        """Return until when the manifest can be had, if the job has succeeded: a week from its end."""
        return self.touched + LIVES

    def is_good_at(self, now: datetime) -> bool:
        """Return whether the manifest is there, and will be for a while."""
        return self.state is JobState.SUCCEEDED and now < self.expires() - _SPARE


class ManifestCatalog(AttemptCatalog[ManifestJob]):
    """Reads and writes of manifests' jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "manifest_jobs", _from_snapshot)

    def begin(self, order: ManifestOrder, *, requester: str, at_most: int, at_most_each: int) -> ManifestJob:
        """Return the job of this order, running: joined, begun, or begun again.

        Its `execution` is empty if none is known to have started. Raises IllegalArguments if the selection is
        too long, and TooManyUnderWay if a job would begin while `at_most` are running, or `at_most_each` of
        those that `requester`, if named, began.
        """
        selection = zlib.compress(order.selection.encode())
        if len(selection) > _MOST_SELECTION:
            raise IllegalArguments("The `filters` parameter is too long for a manifest: name fewer values")

        def begun(previous: ManifestJob | None) -> dict[str, Any]:
            resumed = previous is not None and previous.state is JobState.RUNNING
            if not resumed:
                own = of_requester(requester)
                self._require_place("manifests", at_most=at_most, own=own, at_most_each=at_most_each)
            return {
                "selection": selection,
                "order_key": order.key,
                "catalogue": order.catalogue,
                "format": order.format,
                "base_url": order.base_url,
                "labels": None if order.labels is None else sorted(order.labels),
                "file_count": order.files,
                "name": order.name,
                "requester": pseudonym(requester),
                "secret": secrets.token_hex(16),
                "key": "",
                "resumed": previous.resumed + 1 if previous and resumed else 0,
                **_progress(previous if resumed else None),
            }

        return self._join_or_begin(order.job_id, begun)

    def save(
        self,
        job: ManifestJob,
        *,
        pieces: Sequence[ManifestPiece],
        cursor: str,
        memory: str,
        over: bool,
        files_done: int,
    ) -> ManifestJob | None:
        """Note further pieces, and how to go on behind them; return the job as it then is.

        Nothing is noted if another step has, since the job was read.
        """

        def save(current: ManifestJob) -> dict[str, Any]:
            if current.pieces != job.pieces or current.over:
                return {}
            added = [*current.pieces, *pieces]
            return {
                "pieces": [{"name": piece.name, "size": piece.size} for piece in added],
                "cursor": cursor,
                "memory": memory,
                "over": over,
                "files_done": files_done,
            }

        self._change(job, save)
        return self.get(job.id)

    def succeed(self, job: ManifestJob, key: str) -> None:
        """End an attempt, unless it has ended: the manifest is at a key."""
        expires = self._database.clock.now() + 2 * LIVES
        ended = {"state": JobState.SUCCEEDED.value, "code": "", "cause": "", "expires": expires}
        self._change(job, lambda current: {**ended, "key": key, "files_done": current.order.files})


def _progress(previous: ManifestJob | None) -> dict[str, Any]:
    """Return the progress of an abandoned attempt, or none."""
    pieces = previous.pieces if previous else ()
    return {
        "pieces": [{"name": piece.name, "size": piece.size} for piece in pieces],
        "cursor": previous.cursor if previous else "",
        "memory": previous.memory if previous else "",
        "over": previous.over if previous else False,
        "files_done": previous.files_done if previous else 0,
    }


def _from_snapshot(snapshot: Any) -> ManifestJob:
    document = snapshot.to_dict()
    labels = document["labels"]
    order = ManifestOrder(
        key=document["order_key"],
        catalogue=document["catalogue"],
        format=document["format"],
        base_url=document["base_url"],
        labels=None if labels is None else frozenset(labels),
        selection=zlib.decompress(document["selection"]).decode(),
        files=document["file_count"],
        name=document["name"],
    )
    plain = ("attempt", "execution", "resumed", "cursor", "memory", "over", "files_done", "secret", "key")
    return ManifestJob(
        id=snapshot.id,
        order=order,
        state=JobState(document["state"]),
        pieces=tuple(ManifestPiece(**piece) for piece in document["pieces"]),
        **{name: document[name] for name in (*plain, "code", "cause", "touched", "created")},
    )
