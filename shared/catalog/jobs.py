"""The catalog of large copies: collection `copy_jobs`, one document a copy; see `shared.catalog.attempts`."""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.attempts import AttemptCatalog, JobState
from shared.catalog.database import Database
from shared.checksums import Checksums
from shared.identifiers import Fqid, Kind

_NAMESPACE = uuid.UUID("5f0f9bd5-5dd9-4a52-8a34-6f3c1f2cf0d1")
# Jobs of one file that are read to find out what became of it.
_FEW = 20
# Firestore: values of one `in` filter.
_MOST_VALUES = 30


@dataclass(frozen=True, kw_only=True)
class CopySource:
    """The object to copy, as its store described it when the copy was ordered; `replica` names the store."""

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
    """A copy to be made: its source, its destination, and the file version that it makes available.

    With `verify`, the checksums are claims of the source's owner, to be computed before anything is copied.
    `last_used` makes the copy temporary: the bucket's life cycle removes it. An existing copy is good enough
    if it was used then or later. `checkout_of` is the bundle or file version whose checkout it belongs to.
    """

    source: CopySource
    replica: str
    bucket: str
    key: str
    checksums: Checksums
    file: Fqid | None = None
    creator_uid: int = 0
    verify: bool = False
    last_used: datetime | None = None
    checkout_of: tuple[Kind, Fqid] | None = None

    @property
    def job_id(self) -> str:
        """The id of the job that does it: the same for the same content, place and file or checkout."""
        name = [self.replica, self.bucket, self.key, str(self.file), self.creator_uid]
        name += [self.source.content_type, self.source.size, *asdict(self.checksums).values()]
        # Files with this content share a copy, and each may cease to be one for the shared bucket.
        name += map(str, self.checkout_of or ())
        return str(uuid.uuid5(_NAMESPACE, json.dumps(name)))


@dataclass(frozen=True, kw_only=True)
class CopyJob:
    """A large copy, and its progress. `code` and `cause` are those of its last error.

    `hashed` is the state of the checksums of the parts read so far, and `verified` says that they are right.
    `relays` are uploads to further replicas, by name, to which the parts go as they are read.
    """

    id: str
    order: CopyOrder
    state: JobState
    attempt: int
    execution: str
    upload_id: str
    token: str
    hashed: str
    verified: bool
    relays: Mapping[str, str]
    code: str
    cause: str
    touched: datetime


_PROGRESS: Mapping[str, Any] = {"upload_id": "", "token": "", "hashed": "", "verified": False, "relays": {}}


class JobCatalog(AttemptCatalog[CopyJob]):
    """Reads and writes of copy jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "copy_jobs", _from_snapshot)

    def begin(self, order: CopyOrder) -> CopyJob:
        """Return the job of this order, running: joined, begun, or begun again.

        Its `execution` is empty if none is known to have started.
        """
        return self._join_or_begin(
            order.job_id, lambda previous: _order_to_document(order) | _left_by(previous, order)
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
        found = self._database.query(running.select(["upload_id", "relays"]))
        jobs = ({**_PROGRESS, **snapshot.to_dict()} for snapshot in found)
        ids = ((job["upload_id"], *job["relays"].values()) for job in jobs)
        return frozenset(upload_id for of_job in ids for upload_id in of_job) - {""}

    def are_under_way(self, fqids: Collection[Fqid]) -> bool:
        """Return whether running jobs are to make all these file versions available.

        Costs a query for each 30 of them, up to the first that has another.
        """
        names = sorted(map(str, fqids))
        for start in range(0, len(names), _MOST_VALUES):
            batch = names[start : start + _MOST_VALUES]
            jobs = self._database.query(
                self._collection.where(filter=FieldFilter("file", "in", batch)).select(["file", "state"])
            )
            running = {job.get("file") for job in jobs if job.get("state") == JobState.RUNNING.value}
            if not running.issuperset(batch):
                return False
        return True

    def set_token(self, job: CopyJob, token: str) -> None:
        """Note the token with which the next stretch of a copy continues."""
        self._update(job, {"token": token})

    def note_hashed(self, job: CopyJob, hashed: str, *, verified: bool) -> None:
        """Note how far the source has been hashed, and whether its checksums are right."""
        self._update(job, {"hashed": hashed, "verified": verified})

    def add_relays(self, job: CopyJob, relays: Mapping[str, str]) -> Mapping[str, str]:
        """Note uploads to further replicas, and return those to use.

        These are others if another step has noted some first.
        """
        chosen = relays

        def add(current: CopyJob) -> dict[str, Any]:
            nonlocal chosen
            chosen = current.relays or relays
            return {"relays": dict(chosen)}

        self._change(job, add)
        return chosen

    def replace_upload(self, job: CopyJob, upload_id: str) -> str:
        """Replace the job's upload, and return the id of the one to use.

        That is another one if another step has replaced it first.
        """
        chosen = upload_id

        def replace(current: CopyJob) -> dict[str, Any]:
            nonlocal chosen
            chosen = upload_id if current.upload_id == job.upload_id else current.upload_id
            return {"upload_id": chosen}

        self._change(job, replace)
        return chosen


def _left_by(previous: CopyJob | None, order: CopyOrder) -> dict[str, Any]:
    """Return the progress of an abandoned attempt, if the source is still the same."""
    resumed = previous and previous.state is JobState.RUNNING and previous.order.source == order.source
    return {name: getattr(previous, name) if resumed else first for name, first in _PROGRESS.items()}


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
        "verify": order.verify,
        "last_used": order.last_used,
        "checkout_of": [str(part) for part in order.checkout_of] if order.checkout_of else None,
    }


def _order_from(document: Mapping[str, Any]) -> CopyOrder:
    kind, fqid = document["checkout_of"] or ("", "")
    return CopyOrder(
        source=CopySource(**document["source"]),
        replica=document["replica"],
        bucket=document["bucket"],
        key=document["key"],
        checksums=Checksums(**document["checksums"]),
        file=Fqid.parse(document["file"]) if document["file"] else None,
        creator_uid=document["creator_uid"],
        verify=document["verify"],
        last_used=document["last_used"],
        checkout_of=(Kind(kind), Fqid.parse(fqid)) if kind else None,
    )


def _from_snapshot(snapshot: Any) -> CopyJob:
    document = snapshot.to_dict()
    return CopyJob(
        id=snapshot.id,
        order=_order_from(document),
        state=JobState(document["state"]),
        **{name: document[name] for name in ("attempt", "execution", *_PROGRESS, "code", "cause", "touched")},
    )
