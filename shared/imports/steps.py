"""The steps of an import, as its workflow calls them: list; shards side by side; finish, or abort.

They are steps of an attempt, see `shared.attempts`. A step works for some minutes, and says what is left.
"""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from shared.access import Action, Principal
from shared.access.audit_log import ALLOWED, AuditEntry, utc_text
from shared.attempts import AttemptStep, Result
from shared.bindings import bound_resource
from shared.catalog import CopyJob, CurrentBinding, ImportJob, ImportStage, JobState, ShardProgress
from shared.clock import Deadline
from shared.errors import CopyTakesLonger, DssError, Unavailable
from shared.groups import groups_of
from shared.identifiers import Fqid, Kind
from shared.imports.bundles import by_bundle, import_bundle, is_in
from shared.imports.contents import FileOutcome, import_object
from shared.imports.listing import listing_of
from shared.imports.places import Places, places_of
from shared.imports.rows import Row, failure
from shared.imports.rules import doubled
from shared.imports.slices import rows_of, write_slice
from shared.imports.web import WebStore
from shared.jobs.reports import Reports, as_line
from shared.parallel import map_in_threads
from shared.retry import retry
from shared.system import Dss

# After this, a call begins no further object. What is in work then has time until Cloud Workflows gives up
# the call (1,800 seconds).
_STEP_SECONDS = 300
# Rows whose outcome is noted at once; and bytes after which no further row is added to them.
_BATCH = 200
_BATCH_BYTES = 1024**3
# Small objects in work at once, each of DSS_INLINE_VERIFY_BYTES at most, twice in memory.
_THREADS = 8
# Seconds between two notes of how many bundles are made.
_NOTE_SECONDS = 5
# Jobs that copy large objects of a shard at once.
_MOST_WAITING = 200
# The sweep resumes an abandoned copy after an hour; an import does not wait for it for ever.
_COPY_ABANDONED_AFTER = timedelta(hours=3)


class ImportStep(AttemptStep[ImportJob]):
    """The steps of one attempt at an import."""

    def __init__(self, dss: Dss, job_id: str, attempt: int, web: WebStore | None = None) -> None:
        super().__init__(dss, dss.catalog.imports, job_id, attempt)
        self._places = places_of(dss, self._job.order, web or WebStore.of(dss))

    def list(self) -> Result:
        """List and check for a while; return `{done, over}`: whether all is listed, and the shards to import.

        `over` is true if there is nothing to import now.
        """
        with self._working() as over:
            if over:
                return {"done": True, "over": True, "shards": []}
            deadline = Deadline(self._dss.clock, _STEP_SECONDS)
            while not self._job.listed:
                if deadline.passed:
                    return {"done": False, "over": False, "shards": []}
                found = listing_of(self._job.order)(
                    self._dss, self._job.order, self._who(), self._places, self._job.cursor, deadline
                )
                self._job = write_slice(self._dss, self._job, found)
            while not self._job.is_ready:
                if deadline.passed:
                    return {"done": False, "over": False, "shards": []}
                self._check(self._job.checked)
            wanted = self._job.stage is ImportStage.IMPORT
            return {"done": True, "over": not wanted, "shards": list(self._job.shards) if wanted else []}

    def shard(self, number: int) -> Result:
        """Import a shard for a while; return `{done, wait}`: whether it is done, or waits for copies."""
        with self._working() as over:
            if over:
                return {"done": True, "wait": False}
            work = _ShardWork(self._dss, self._job, self._who(), self._places, number)
            done, wait = work.go_on(Deadline(self._dss.clock, _STEP_SECONDS))
            return {"done": done, "wait": wait}

    def finish(self) -> Result:
        """End the attempt as succeeded; return the import's `{state}`."""
        with self._working() as over:
            if not over:
                self._dss.catalog.imports.end(self._job, JobState.SUCCEEDED)
            return {"state": self._reloaded().state.value}

    def abort(self, cause: str) -> Result:
        """End the attempt as failed, with the last noted error or else with `cause`. What is in stays."""
        if self._is_running():
            code = self._job.code or "import_failed"
            self._dss.catalog.imports.end(
                self._job, JobState.FAILED, code=code, cause=self._job.cause or cause
            )
        return {"state": self._reloaded().state.value}

    def _who(self) -> Principal:
        """Return as whom the import acts: who began it, with the groups of then and of now."""
        order = self._job.order
        return Principal(
            email=order.email,
            groups=frozenset(order.groups) | groups_of(self._dss, order.email),
            is_admin=order.email in self._dss.settings.admin_user_emails,
        )

    def _check(self, position: int) -> None:
        """Look for doubled names in the shard at a position, and count what is in it."""
        number = self._job.shards[position]
        rows = rows_of(self._dss, self._job, number)
        wrong = _wrong(rows)
        lines = [failure(rows[index].label, why, code="duplicate_filename") for index, why in wrong.items()]
        if lines:
            Reports(self._dss).write(self._job, check_name(number), map(as_line, lines), {})
        good = [row for index, row in enumerate(rows) if index not in wrong]
        there = self._dss.catalog.files.get_many(row.fqid(self._job.order) for row in good)
        counts = Counter(self._job.counts)
        counts.update(
            bundles=len({row.bundle for row in good}),
            there=sum(1 for row in good if row.fqid(self._job.order) in there),
            bytes_there=sum(row.size for row in good if row.fqid(self._job.order) in there),
            wrong=len(lines),
            wrong_names=len(lines),
            bytes_wrong=sum(rows[index].size for index in wrong),
        )
        changes: dict[str, Any] = {"counts": dict(counts)}
        if lines:
            changes["doubled"] = [*self._job.doubled, number]
        self._job = self._dss.catalog.imports.note_checked(self._job, position, changes)


def check_name(number: int) -> str:
    """Return the name of the part of the report about the doubled names of a shard."""
    return f"check-{number:03d}"


def _wrong(rows: Sequence[Row]) -> Mapping[int, str]:
    return doubled([(row.bundle, row.name) for row in rows])


class _ShardWork:
    """The work on one shard in one call: its files, then copies that it waits for, then its bundles."""

    def __init__(self, dss: Dss, job: ImportJob, who: Principal, places: Places, number: int) -> None:
        self._dss = dss
        self._job = job
        self._who = who
        self._places = places
        self._number = number
        self._progress: ShardProgress = dss.catalog.imports.progress(job, number)
        self._counts: Counter[str] = Counter()
        self._lines: list[dict[str, Any]] = []

    def go_on(self, deadline: Deadline) -> tuple[bool, bool]:
        """Work until the deadline; return whether the shard is done, and if not, whether it has to wait."""
        if self._progress.over:
            return True, False
        listed = rows_of(self._dss, self._job, self._number)
        wrong = _wrong(listed)
        rows = [row for index, row in enumerate(listed) if index not in wrong]
        while self._progress.position < len(rows):
            if deadline.passed:
                return False, False
            if len(self._progress.waiting) >= _MOST_WAITING and not self._look_after_copies():
                return False, True
            batch = _batch(rows[self._progress.position :])
            if not self._import_files(batch, deadline):
                return False, False
        if not self._look_after_copies():
            return False, True
        return self._import_bundles(by_bundle(rows), deadline), False

    def _import_files(self, batch: Sequence[Row], deadline: Deadline) -> bool:
        """Import a batch of files, and note what became of them; False if there was no time for all."""
        dss, order = self._dss, self._job.order
        records = dss.catalog.files.get_many(row.fqid(order) for row in batch)
        todo = []
        for row in batch:
            record = records.get(row.fqid(order))
            if record and is_in(dss, self._job, self._who, row, record):
                self._counts.update(files_there=1, bytes_there=row.size)
            else:
                todo.append(row)
        bindings = dss.catalog.bindings.current_many(row.fqid(order).uuid for row in todo)

        waiting: dict[str, str] = {}
        written: list[Fqid] = []
        for row, outcome in self._attempted(todo, bindings, deadline):
            if outcome is None:
                self._forget()
                return False
            if isinstance(outcome, DssError):
                self._fail(row.label, outcome)
            elif outcome.job_id:
                waiting[outcome.job_id] = row.label
                written.append(row.fqid(order))
            else:
                self._counts.update(files=1, bytes=row.size)
                written.append(row.fqid(order))
        self._log_writes(Kind.FILE, written)
        self._note(
            position=self._progress.position + len(batch), waiting={**self._progress.waiting, **waiting}
        )
        return True

    def _attempted(
        self, rows: Sequence[Row], bindings: Mapping[str, CurrentBinding], deadline: Deadline
    ) -> Iterator[tuple[Row, FileOutcome | DssError | None]]:
        """Yield what became of rows: small objects side by side, then large ones, each read by itself."""
        most = self._dss.settings.inline_verify_bytes
        attempt = partial(self._attempt, bindings, deadline)
        small = [row for row in rows if row.size <= most]
        yield from zip(small, map_in_threads(attempt, small, threads=_THREADS), strict=True)
        for row in rows:
            if row.size > most:
                yield row, None if deadline.passed else attempt(row)

    def _attempt(
        self, bindings: Mapping[str, CurrentBinding], deadline: Deadline, row: Row
    ) -> FileOutcome | DssError | None:
        """Import an object, if its importer may; return what became of it, None if there was no time.

        Raises Unavailable if a part of the system does not answer.
        """
        dss, fqid, place = self._dss, row.fqid(self._job.order), self._places(row.url)
        binding = bindings.get(fqid.uuid)
        try:
            dss.bucket_policy.source(self._who, row.url).require()
            what = bound_resource(Kind.FILE, fqid.uuid, binding, fqid.version)
            dss.policy.decide(self._who, Action.WRITE, what).require()
            return retry(dss.clock, partial(import_object, dss, self._job, row, place, binding, deadline))
        except (Unavailable, CopyTakesLonger) as error:
            if place.is_near:
                # The workflow tries the step again.
                raise Unavailable(error.title) from error
            # One web server that doesn't answer keeps no other object out.
            return error
        except DssError as error:
            return error

    def _look_after_copies(self) -> bool:
        """Note the copies of large objects that have ended; return whether none is left."""
        waiting = dict(self._progress.waiting)
        if not waiting:
            return True
        jobs = self._dss.catalog.jobs.get_many(waiting)
        ended = [name for name in waiting if self._has_ended(waiting[name], jobs.get(name))]
        if ended:
            self._note(waiting={name: label for name, label in waiting.items() if name not in ended})
        return len(ended) == len(waiting)

    def _has_ended(self, label: str, job: CopyJob | None) -> bool:
        if job is None or job.state is JobState.FAILED:
            cause = job.cause if job else "its job does not exist"
            self._lines.append(failure(label, f"it could not be copied: {cause}", code="copy_failed"))
            self._counts.update(failed=1)
            return True
        if job.state is JobState.RUNNING:
            if job.touched >= self._dss.clock.now() - _COPY_ABANDONED_AFTER:
                return False
            self._lines.append(failure(label, "the job that copies it makes no progress", code="copy_failed"))
            self._counts.update(failed=1)
            return True
        self._counts.update(files=1, bytes=job.order.source.size)
        return True

    def _import_bundles(self, bundles: Mapping[str, Sequence[Row]], deadline: Deadline) -> bool:
        """Make the bundles of the shard; return whether all are made, or can't be."""
        noted = Deadline(self._dss.clock, _NOTE_SECONDS)
        done = self._progress.bundles
        for name, rows in list(bundles.items())[done:]:
            if deadline.passed:
                self._note(bundles=done)
                return False
            self._import_bundle(name, rows)
            done += 1
            if noted.passed:
                self._note(bundles=done)
                noted = Deadline(self._dss.clock, _NOTE_SECONDS)
        self._note(bundles=done, over=True)
        return True

    def _import_bundle(self, name: str, rows: Sequence[Row]) -> None:
        try:
            work = partial(import_bundle, self._dss, self._job, self._who, name, rows)
            made = retry(self._dss.clock, work)
        except Unavailable:
            raise
        except DssError as error:
            self._lines.append(failure(name, error.title, code=error.code, kind="bundle"))
            self._counts.update(bundles_failed=1)
            return
        if made.new:
            self._log_writes(Kind.BUNDLE, [made.fqid])
        self._counts.update(bundles=int(made.new), bundles_there=int(not made.new))
        if made.missing:
            why = f"{made.missing} of its {len(rows)} files did not go in; it was made without them"
            self._lines.append({"bundle": name, "fqid": str(made.fqid), "incomplete": why})
            self._counts.update(bundles_incomplete=1)

    def _log_writes(self, kind: Kind, names: Sequence[Fqid]) -> None:
        """Say in the audit log what was written, in whose name."""
        if names:
            self._dss.audit_log.write(
                lambda: AuditEntry(
                    time=utc_text(self._dss.clock.now()),
                    operation="imports.start",
                    decision=ALLOWED,
                    identity=self._who.email,
                    kind=kind.removesuffix("s"),
                    uuids=tuple(name.uuid for name in names),
                    versions=tuple(name.version for name in names),
                    arguments={"import": self._job.id},
                )
            )

    def _fail(self, label: str, error: DssError) -> None:
        self._lines.append(failure(label, error.title, code=error.code))
        self._counts.update(failed=1)

    def _forget(self) -> None:
        """Drop what was counted since the last note: the rows are gone through again."""
        self._counts.clear()
        self._lines.clear()

    def _note(self, **changes: Any) -> None:
        """Note how far the shard is, and what there is to report since the last note."""
        progress, parts = self._progress, self._progress.parts
        if self._lines:
            parts = (*parts, self._report())
        counts = Counter(progress.counts)
        counts.update(self._counts)
        self._progress = replace(progress, counts=dict(counts), parts=parts, **changes)
        self._dss.faults.reach("import: batch done")
        self._dss.catalog.imports.note_progress(self._job, self._number, self._progress)
        self._forget()

    def _report(self) -> str:
        """Write the lines, and return the name of the part: a new one, as a killed step may have left one."""
        name = f"work-{self._job.attempt:06d}-{self._number:03d}-{secrets.token_hex(8)}"
        Reports(self._dss).write(self._job, name, map(as_line, self._lines), {})
        return name


def _batch(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the first rows, as many as are noted at once."""
    size = 0
    for count, row in enumerate(rows[:_BATCH]):
        if size and size + row.size > _BATCH_BYTES:
            return rows[:count]
        size += row.size
    return rows[:_BATCH]
