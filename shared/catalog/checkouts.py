"""The catalog of checkouts: collection `checkout_jobs`, a document each; see `shared.catalog.attempts`.

Under each lies a document for each page of files, which says how far the copying of that page has come, so
that pages that are copied side by side never wait for each other's writes.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.attempts import KEPT_FOR, AttemptCatalog, JobState
from shared.catalog.database import Database
from shared.errors import IllegalArguments, TooManyUnderWay
from shared.identifiers import Fqid, Kind

# Firestore: a document is at most 1 MiB. An address is at most 254 characters.
_MOST_EMAILS = 100
_NAMESPACE = uuid.UUID("9a3f3f0e-5f5c-4a3c-9c0c-0f3a5f5b7f11")


@dataclass(frozen=True, kw_only=True)
class CheckoutOrder:
    """What somebody wants checked out: a bundle or file version of a replica, into a bucket of its store."""

    kind: Kind
    fqid: Fqid
    replica: str
    bucket: str

    @property
    def job_id(self) -> str:
        """The id of the job that does it: the same for the same version, replica and bucket."""
        return str(uuid.uuid5(_NAMESPACE, json.dumps([self.kind, str(self.fqid), self.replica, self.bucket])))


@dataclass(frozen=True, kw_only=True)
class CheckoutJob:
    """A checkout. `files`, `bytes` and `pages` are what there is to do, zero until that is known; `location`
    is the URL of what will be there.

    `emails` are those who have still to be told how it ended; `code` and `cause` tell its last error.
    """

    id: str
    order: CheckoutOrder
    state: JobState
    attempt: int
    execution: str
    files: int
    bytes: int
    pages: int
    location: str
    emails: tuple[str, ...]
    resumed: int
    code: str
    cause: str
    touched: datetime
    created: datetime


@dataclass(frozen=True, kw_only=True)
class PageProgress:
    """How far a page has come: the files before `position` are dealt with.

    `files` and `bytes` are there; `waiting` holds the copy jobs of large files that are on their way, and the
    bytes of each.
    """

    position: int = 0
    files: int = 0
    bytes: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)


class CheckoutCatalog(AttemptCatalog[CheckoutJob]):
    """Reads and writes of checkout jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "checkout_jobs", _from_snapshot)

    def under_way(self) -> int:
        """Return how many jobs are running; one read for each thousand of them."""
        running = FieldFilter("state", "==", JobState.RUNNING.value)
        return self._database.count(self._collection.where(filter=running))

    def begin(self, order: CheckoutOrder, email: str | None = None, *, at_most: int) -> CheckoutJob:
        """Return the job that does this, running: joined, begun, or begun anew.

        Its `execution` is empty where nobody has started to work on it, as far as is known. `email` is told
        how it ends. Raises IllegalArguments where so many are told already that there is no room for more.
        Raises TooManyUnderWay where a job would be begun while `at_most` are running; where several begin at
        one moment, a few more may.
        """

        def told(there: CheckoutJob | None) -> list[str]:
            waiting = there.emails if there else ()
            emails = list(dict.fromkeys([*waiting, *([email] if email else [])]))
            if email and len(emails) > _MOST_EMAILS:
                raise IllegalArguments(
                    f"email: {_MOST_EMAILS} are told of this checkout already; ask for the status"
                )
            return emails

        def begun(there: CheckoutJob | None) -> dict[str, Any]:
            resumed = there is not None and there.state is JobState.RUNNING
            if not resumed and self.under_way() >= at_most:
                raise TooManyUnderWay(f"{at_most} checkouts are under way, and no more are begun meanwhile")
            return {
                **_order_to_document(order),
                "files": 0,
                "bytes": 0,
                "pages": 0,
                "location": "",
                "emails": told(there),
                "mail_due": False,
                "resumed": there.resumed + 1 if there and resumed else 0,
            }

        def joined(there: CheckoutJob) -> dict[str, Any]:
            return {"emails": told(there)} if email else {}

        return self._join_or_begin(order.job_id, begun, joined)

    def plan(self, job: CheckoutJob, *, files: int, total_bytes: int, pages: int, location: str) -> None:
        """Note what there is to do."""
        self._update(job, {"files": files, "bytes": total_bytes, "pages": pages, "location": location})

    def end(self, job: CheckoutJob, state: JobState, *, code: str = "", cause: str = "") -> None:
        """End an attempt, after which mails are due; one that has ended stays as it is."""
        ended = {"state": state.value, "code": code, "cause": cause[:1000]}
        expires = {"expires": self._database.clock.now() + KEPT_FOR}
        self._change(job, lambda there: {**ended, **expires, "mail_due": bool(there.emails)})

    def progress(self, job: CheckoutJob, page: int) -> PageProgress:
        """Return how far a page has come in this attempt, in one read."""
        snapshot = self._database.get(self._page(job, page))
        return _progress_from(snapshot) if snapshot.exists else PageProgress()

    def all_progress(self, job: CheckoutJob) -> dict[int, PageProgress]:
        """Return how far the pages have come that were begun in this attempt, one read each."""
        references = [self._page(job, page) for page in range(job.pages)]
        found = self._database.get_many(references)
        return {int(snapshot.id.partition("-")[2]): _progress_from(snapshot) for snapshot in found}

    def note_progress(self, job: CheckoutJob, page: int, progress: PageProgress) -> None:
        """Note how far a page has come, in one write."""
        document = {**asdict(progress), "expires": self._database.clock.now() + KEPT_FOR}
        reference = self._page(job, page)
        self._database.commit(lambda batch: batch.set(reference, document))

    def with_mail_due(self) -> list[CheckoutJob]:
        """Return the jobs that have ended, and of which somebody has not been told."""
        due = self._collection.where(filter=FieldFilter("mail_due", "==", True))
        return [_from_snapshot(snapshot) for snapshot in self._database.query(due)]

    def mark_notified(self, job: CheckoutJob, email: str) -> None:
        """Note that somebody has been told how the attempt ended, or never will be."""
        reference = self._collection.document(job.id)

        def apply(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            there = _from_snapshot(snapshot) if snapshot.exists else None
            if there and there.attempt == job.attempt:
                left = [one for one in there.emails if one != email]
                due = bool(left) and there.state is not JobState.RUNNING
                transaction.update(reference, {"emails": left, "mail_due": due})

        self._database.transact(apply)

    def _page(self, job: CheckoutJob, page: int) -> Any:
        pages = self._collection.document(job.id).collection("checkout_pages")
        return pages.document(f"{job.attempt:06d}-{page:05d}")


def _progress_from(snapshot: Any) -> PageProgress:
    document = snapshot.to_dict()
    return PageProgress(**{name: document[name] for name in PageProgress.__dataclass_fields__})


def _order_to_document(order: CheckoutOrder) -> dict[str, Any]:
    return {
        "kind": order.kind.value,
        "fqid": str(order.fqid),
        "replica": order.replica,
        "bucket": order.bucket,
    }


def _from_snapshot(snapshot: Any) -> CheckoutJob:
    document = snapshot.to_dict()
    order = CheckoutOrder(
        kind=Kind(document["kind"]),
        fqid=Fqid.parse(document["fqid"]),
        replica=document["replica"],
        bucket=document["bucket"],
    )
    plain = ("attempt", "execution", "files", "bytes", "pages", "location", "resumed", "code", "cause")
    return CheckoutJob(
        id=snapshot.id,
        order=order,
        state=JobState(document["state"]),
        emails=tuple(document["emails"]),
        **{name: document[name] for name in (*plain, "touched", "created")},
    )
