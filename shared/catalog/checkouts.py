"""The catalog of checkouts: collection `checkout_jobs`, a document each; see `shared.catalog.attempts`.

Under each is a document for each page of files, with the progress of that page, so that pages that are copied
side by side never wait for each other's writes.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.attempts import KEPT_FOR, AttemptCatalog, JobState, of_requester, pseudonym
from shared.catalog.database import Database
from shared.errors import IllegalArguments
from shared.identifiers import Fqid, Kind

# Firestore: a document is at most 1 MiB. An address is at most 254 characters.
_MOST_EMAILS = 100
_NAMESPACE = uuid.UUID("9a3f3f0e-5f5c-4a3c-9c0c-0f3a5f5b7f11")


@dataclass(frozen=True, kw_only=True)
class CheckoutOrder:
    """A bundle or file version of a replica, to be checked out into a bucket of its store."""

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
    """A checkout. `files`, `bytes` and `pages` are its size, zero until it is planned; `location` is the URL
    of the copies.

    `emails` are the addresses that get a mail when it ends; `code` and `cause` are those of its last error.
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
    # Those who may read what is checked out, none if it is unbound; and who might when it was asked for.
    readers: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    # Whether what is checked out was removed for good, or is about to be.
    purged: bool = False


@dataclass(frozen=True, kw_only=True)
class PageProgress:
    """The progress of a page: the files before `position` are copied, or a job copies them.

    `files` and `bytes` are copied. `waiting` maps the id of each job that copies a large file to the index
    of this file in the page.
    """

    position: int = 0
    files: int = 0
    bytes: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)


class CheckoutCatalog(AttemptCatalog[CheckoutJob]):
    """Reads and writes of checkout jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "checkout_jobs", _from_snapshot)

    def begin(
        self,
        order: CheckoutOrder,
        email: str | None = None,
        *,
        at_most: int,
        readers: frozenset[str] = frozenset(),
        requester: str = "",
        at_most_each: int = 0,
    ) -> CheckoutJob:
        """Return the job of this order, running: joined, begun, or begun again.

        `readers` are those who might read what is checked out when the request was checked; bindings
        since then count for who sees the job. Its `execution` is empty if none is known to have started.
        `email` gets a mail when the job ends. Raises IllegalArguments if too many addresses are
        to get one, and TooManyUnderWay if a job would begin while `at_most` are running, or `at_most_each` of
        those that `requester`, if named, began (a few more may, if several begin at the same moment).
        """

        def emails_of(job: CheckoutJob | None) -> list[str]:
            waiting = job.emails if job else ()
            emails = list(dict.fromkeys([*waiting, *([email] if email else [])]))
            if email and len(emails) > _MOST_EMAILS:
                raise IllegalArguments(
                    f"email: {_MOST_EMAILS} addresses get a mail about this checkout already; GET its status"
                )
            return emails

        def begun(previous: CheckoutJob | None) -> dict[str, Any]:
            resumed = previous is not None and previous.state is JobState.RUNNING
            if not resumed:
                own = of_requester(requester)
                self._require_place("checkouts", at_most=at_most, own=own, at_most_each=at_most_each)
            return {
                **_order_to_document(order),
                "readers": sorted(readers),
                "asked": sorted(readers),
                "files": 0,
                "bytes": 0,
                "pages": 0,
                "location": "",
                "emails": emails_of(previous),
                "requester": pseudonym(requester),
                "mail_due": False,
                "resumed": previous.resumed + 1 if previous and resumed else 0,
            }

        def follow(transaction: Any) -> dict[str, Any]:
            # In this transaction: who changes the head later finds the job, and changes it too.
            head = self._database.client.collection(order.kind.value).document(str(order.fqid))
            snapshot = head.get(transaction=transaction)
            return _head_fields(snapshot.to_dict() or {}) if snapshot.exists else {}

        def joined(running: CheckoutJob) -> dict[str, Any]:
            return {"emails": emails_of(running)} if email else {}

        return self._join_or_begin(order.job_id, begun, joined, follow)

    def plan(self, job: CheckoutJob, *, files: int, total_bytes: int, pages: int, location: str) -> None:
        """Note the size of the job, and where its copies will be."""
        self._update(job, {"files": files, "bytes": total_bytes, "pages": pages, "location": location})

    def _at_end(self, job: CheckoutJob) -> dict[str, Any]:
        return {"mail_due": bool(job.emails)}

    def of_uuid(self, uuid: str) -> list[CheckoutJob]:
        """Return the checkouts of a bundle or file, one read each."""
        found = self._collection.where(filter=FieldFilter("uuid", "==", uuid))
        return [_from_snapshot(snapshot) for snapshot in self._database.query(found)]

    def progress(self, job: CheckoutJob, page: int) -> PageProgress:
        """Return the progress of a page in this attempt, in one read."""
        snapshot = self._database.get(self._page(job, page))
        return _progress_from(snapshot) if snapshot.exists else PageProgress()

    def all_progress(self, job: CheckoutJob) -> dict[int, PageProgress]:
        """Return the progress of each page that was begun in this attempt, one read each."""
        snapshots = self._database.get_many([self._page(job, page) for page in range(job.pages)])
        return {int(snapshot.id.partition("-")[2]): _progress_from(snapshot) for snapshot in snapshots}

    def note_progress(self, job: CheckoutJob, page: int, progress: PageProgress) -> None:
        """Note the progress of a page, in one write."""
        document = {**asdict(progress), "expires": self._database.clock.now() + KEPT_FOR}
        reference = self._page(job, page)
        self._database.commit(lambda batch: batch.set(reference, document))

    def with_mail_due(self) -> list[CheckoutJob]:
        """Return the jobs that have ended and have mails to send."""
        due = self._collection.where(filter=FieldFilter("mail_due", "==", True))
        return [_from_snapshot(snapshot) for snapshot in self._database.query(due)]

    def mark_notified(self, job: CheckoutJob, email: str) -> None:
        """Note that an address has its mail about the attempt, or never gets one."""
        reference = self._collection.document(job.id)

        def apply(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            current = _from_snapshot(snapshot) if snapshot.exists else None
            if current and current.attempt == job.attempt:
                left = [address for address in current.emails if address != email]
                due = bool(left) and current.state is not JobState.RUNNING
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
        "uuid": order.fqid.uuid,
        "replica": order.replica,
        "bucket": order.bucket,
    }


def _head_fields(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job says of the head of what it checks out: what bindings and purges change in both."""
    return {
        "readers": head.get("content_readers") or head["readers"],
        "bound": head.get("bound", False),
        "bound_at": head.get("bound_at", ""),
        "purged": head.get("purged", False),
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
        readers=frozenset(document["readers"]),
        asked=frozenset(document["asked"]),
        purged=document.get("purged", False),
        **{name: document[name] for name in (*plain, "touched", "created")},
    )
