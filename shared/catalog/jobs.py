"""The catalog of large copies: collection `copy_jobs`, one document a copy; see `shared.catalog.attempts`."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.attempts import AttemptCatalog, JobState
from shared.catalog.database import Database
from shared.checksums import Checksums
from shared.identifiers import Fqid

_NAMESPACE = uuid.UUID("5f0f9bd5-5dd9-4a52-8a34-6f3c1f2cf0d1")
# Jobs of one file that are looked at to say what became of it.
_FEW = 20


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
    """A copy that somebody wants: from where, to where, and which file version it then makes available.

    With `last_used` it is one that its bucket's life cycle removes, and what is there counts if it was used
    then or later.
    """

    source: CopySource
    replica: str
    bucket: str
    key: str
    checksums: Checksums
    file: Fqid | None = None
    creator_uid: int = 0
    last_used: datetime | None = None

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


class JobCatalog(AttemptCatalog[CopyJob]):
    """Reads and writes of copy jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "copy_jobs", _from_snapshot)

    def begin(self, order: CopyOrder) -> CopyJob:
        """Return the job that does this, running: joined, begun, or begun anew.

        Its `execution` is empty where nobody has started to work on it, as far as is known.
        """
        return self._join_or_begin(
            order.job_id, lambda there: _order_to_document(order) | _gone_on_with(there, order)
        )

    def of_file(self, uuid: str, version: str | None, replica: str) -> list[CopyJob]:
        """Return jobs that are to make a file version, or any version, available on a replica; few reads."""
        name, value = ("file", f"{uuid}.{version}") if version else ("file_uuid", uuid)
        found = self._database.query(
            self._collection.where(filter=FieldFilter(name, "==", value)).limit(_FEW)
        )
        return [job for job in map(_from_snapshot, found) if job.order.replica == replica]

    def uploads_at_work(self) -> frozenset[str]:
        """Return the ids of the uploads that running jobs have begun, in one query."""
        running = self._collection.where(filter=FieldFilter("state", "==", JobState.RUNNING.value))
        found = self._database.query(running.select(["upload_id"]))
        return frozenset(job.get("upload_id") for job in found) - {""}

    def set_token(self, job: CopyJob, token: str) -> None:
        """Note where the next stretch of a copy goes on."""
        self._update(job, {"token": token})

    def replace_upload(self, job: CopyJob, upload_id: str) -> str:
        """Note the upload that takes the place of the job's, and return the one that counts.

        That is another's where two have begun one at the same time, and this one came second.
        """
        counts = upload_id

        def replace(there: CopyJob) -> dict[str, Any]:
            nonlocal counts
            counts = upload_id if there.upload_id == job.upload_id else there.upload_id
            return {"upload_id": counts}

        self._change(job, replace)
        return counts


def _gone_on_with(there: CopyJob | None, order: CopyOrder) -> dict[str, Any]:
    """Return what an attempt that was abandoned left, if the source is still the same."""
    resumed = there and there.state is JobState.RUNNING and there.order.source == order.source
    return {
        "upload_id": there.upload_id if there and resumed else "",
        "token": there.token if there and resumed else "",
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
        "last_used": order.last_used,
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
        # Documents of earlier releases have none.
        last_used=document.get("last_used"),
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
