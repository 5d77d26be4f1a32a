"""The catalog of large copies: collection `copy_jobs`, one document a copy, which all of its steps share.

A job's id follows from what is to be copied to where, so that whoever asks for the same again joins it. A job
that has failed, or that nobody has worked on for long, may begin anew: another attempt. Steps of an attempt
that is over change nothing any more.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database
from shared.checksums import Checksums
from shared.identifiers import Fqid

_NAMESPACE = uuid.UUID("5f0f9bd5-5dd9-4a52-8a34-6f3c1f2cf0d1")
# A step takes half an hour at most (see workflows/copy.yaml), and says at its beginning that it is at work.
_ABANDONED_AFTER = timedelta(hours=1)
# How long one can ask why a copy failed. Firestore then removes the document by itself.
_KEPT_FOR = timedelta(days=30)
# Jobs of one file that are looked at to say what became of it.
_FEW = 20


class JobState(StrEnum):
    """What a job has come to; the words of the v1 contract."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class CopySource:
    """The object to copy, as its store knew it when the copy was asked for; `replica` names the store."""

    replica: str
    bucket: str
    key: str
    size: int
    content_type: str
    revision: str
    md5: str | None
    crc32c: str | None


@dataclass(frozen=True, kw_only=True)
class CopyOrder:
    """A copy that somebody wants: from where, to where, and which file version it then makes available."""

    source: CopySource
    replica: str
    bucket: str
    key: str
    checksums: Checksums
    file: Fqid | None = None
    creator_uid: int = 0

    @property
    def job_id(self) -> str:
        """The id of the job that does it: the same for the same content, place and file."""
        name = [self.replica, self.bucket, self.key, str(self.file), self.creator_uid]
        name += [self.source.content_type, self.source.size, *asdict(self.checksums).values()]
        return str(uuid.uuid5(_NAMESPACE, json.dumps(name)))


@dataclass(frozen=True, kw_only=True)
class CopyJob:
    """A large copy, and how far it has come. `code` and `cause` tell its last error."""

    id: str
    order: CopyOrder
    state: JobState
    attempt: int
    execution: str
    upload_id: str
    token: str
    code: str
    cause: str
    touched: datetime


class JobCatalog:
    """Reads and writes of copy jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("copy_jobs")

    def begin(self, order: CopyOrder) -> CopyJob:
        """Return the job that does this, running: joined, begun, or begun anew.

        Its `execution` is empty where nobody has started to work on it, as far as is known.
        """
        reference = self._collection.document(order.job_id)
        now = self._database.clock.now()

        def join_or_begin(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            there = _from_snapshot(snapshot) if snapshot.exists else None
            if there and not _may_begin_anew(there, now):
                return
            document = _order_to_document(order) | _new_attempt(there, order, now)
            transaction.set(reference, document)

        self._database.transact(join_or_begin)
        return _from_snapshot(self._database.get(reference))

    def get(self, job_id: str) -> CopyJob | None:
        """Return a job, in one read."""
        snapshot = self._database.get(self._collection.document(job_id))
        return _from_snapshot(snapshot) if snapshot.exists else None

    def of_file(self, uuid: str, version: str | None, replica: str) -> list[CopyJob]:
        """Return jobs that are to make a file version, or any version, available on a replica; few reads."""
        name, value = ("file", f"{uuid}.{version}") if version else ("file_uuid", uuid)
        found = self._database.query(
            self._collection.where(filter=FieldFilter(name, "==", value)).limit(_FEW)
        )
        return [job for job in map(_from_snapshot, found) if job.order.replica == replica]

    def abandoned(self) -> list[CopyJob]:
        """Return the running jobs that nobody has worked on for long."""
        running = self._database.query(
            self._collection.where(filter=FieldFilter("state", "==", JobState.RUNNING.value))
        )
        now = self._database.clock.now()
        return [job for job in map(_from_snapshot, running) if _may_begin_anew(job, now)]

    def started(self, job: CopyJob, execution: str) -> None:
        """Note who works on an attempt."""
        self._update(job, {"execution": execution})

    def touch(self, job: CopyJob) -> None:
        """Note that an attempt is being worked on."""
        self._update(job, {})

    def set_token(self, job: CopyJob, token: str) -> None:
        """Note where the next stretch of a copy goes on."""
        self._update(job, {"token": token})

    def replace_upload(self, job: CopyJob, upload_id: str) -> str:
        """Note the upload that takes the place of the job's, and return the one that counts.

        That is another's where two have begun one at the same time, and this one came second.
        """
        counts = upload_id

        def replace(there: CopyJob) -> dict[str, Any] | None:
            nonlocal counts
            counts = upload_id if there.upload_id == job.upload_id else there.upload_id
            return {"upload_id": counts}

        self._change(job, replace)
        return counts

    def note_error(self, job: CopyJob, code: str, cause: str) -> None:
        """Note what went wrong last; whether that is the end is for others to say."""
        self._update(job, {"code": code, "cause": cause[:1000]})

    def end(self, job: CopyJob, state: JobState, *, code: str = "", cause: str = "") -> None:
        """End an attempt; one that has ended stays as it is."""
        now = self._database.clock.now()
        ended = {"state": state.value, "code": code, "cause": cause[:1000], "expires": now + _KEPT_FOR}
        self._update(job, ended)

    def _update(self, job: CopyJob, changes: dict[str, Any]) -> None:
        self._change(job, lambda _: changes)

    def _change(self, job: CopyJob, change: Any) -> None:
        """Apply changes to a running attempt; to one that is over, none."""
        reference = self._collection.document(job.id)
        now = self._database.clock.now()

        def apply(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            there = _from_snapshot(snapshot) if snapshot.exists else None
            if there and there.attempt == job.attempt and there.state is JobState.RUNNING:
                transaction.update(reference, {**change(there), "touched": now})

        self._database.transact(apply)


def _may_begin_anew(job: CopyJob, now: datetime) -> bool:
    return job.state is not JobState.RUNNING or job.touched < now - _ABANDONED_AFTER


def _new_attempt(there: CopyJob | None, order: CopyOrder, now: datetime) -> dict[str, Any]:
    # An attempt that was abandoned left what can be gone on with, if the source is still the same.
    resumed = there and there.state is JobState.RUNNING and there.order.source == order.source
    return {
        "state": JobState.RUNNING.value,
        "attempt": there.attempt + 1 if there else 1,
        "execution": "",
        "upload_id": there.upload_id if there and resumed else "",
        "token": there.token if there and resumed else "",
        "code": "",
        "cause": "",
        "created": now,
        "touched": now,
        "expires": None,
    }


def _order_to_document(order: CopyOrder) -> dict[str, Any]:
    return {
        "source": asdict(order.source),
        "replica": order.replica,
        "bucket": order.bucket,
        "key": order.key,
        "checksums": asdict(order.checksums),
        "file": str(order.file) if order.file else None,
        "file_uuid": order.file.uuid if order.file else None,
        "creator_uid": order.creator_uid,
    }


def _order_from(document: Mapping[str, Any]) -> CopyOrder:
    return CopyOrder(
        source=CopySource(**document["source"]),
        replica=document["replica"],
        bucket=document["bucket"],
        key=document["key"],
        checksums=Checksums(**document["checksums"]),
        file=Fqid.parse(document["file"]) if document["file"] else None,
        creator_uid=document["creator_uid"],
    )


def _from_snapshot(snapshot: Any) -> CopyJob:
    document = snapshot.to_dict()
    return CopyJob(
        id=snapshot.id,
        order=_order_from(document),
        state=JobState(document["state"]),
        **{
            name: document[name]
            for name in ("attempt", "execution", "upload_id", "token", "code", "cause", "touched")
        },
    )
