"""Imports: ordered here, done by the import workflow (`shared.imports.steps`)."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from shared.access import Principal
from shared.catalog import ImportJob, ImportOrder, ImportStage, JobState, ListSlice
from shared.errors import IllegalArguments, NotFound
from shared.identifiers import version_of
from shared.imports.prices import estimate
from shared.imports.slices import WRONG, slice_name
from shared.imports.steps import check_name
from shared.jobs.reports import Reports
from shared.sources import source_at
from shared.system import Dss
from shared.workflows import IMPORT

# After so many abandoned executions an import ends as failed.
_MOST_RESUMED = 5
# Imports in progress at once, of all and of one person.
_AT_ONCE = 10
_OF_A_PERSON = 3
_FOLDER = re.compile(r"[a-z][a-z0-9]*://[^/]+(/.*)?", re.DOTALL)


def folder_url(url: str) -> str:
    """Return the URL of a folder, with the slash at its end. Raises IllegalArguments for a malformed URL."""
    if not _FOLDER.fullmatch(url):
        raise IllegalArguments(f"source: {url[:200]!r} does not have the form gs://bucket/folder")
    return url if url.endswith("/") else f"{url}/"


def check_source(dss: Dss, who: Principal, url: str) -> str:
    """Return the replica in whose cloud a folder or a table is.

    Raises UnknownSourceSchema, IllegalArguments for a malformed URL, Unauthorized, and Forbidden if the
    caller may not put files from there; each object is checked again by itself.
    """
    where = source_at(dss.replicas, f"{url}any" if url.endswith("/") else url)
    dss.bucket_policy.source(who, where.url).require()
    return where.replica.name


def request_list(dss: Dss, import_id: str, order: ImportOrder) -> ImportJob:
    """Return the import of this id and order, which is listed, or has been; safe to repeat.

    Raises Conflict if another one has the id, TooManyUnderWay, Unavailable, and the errors of the reports
    bucket.
    """
    Reports(dss).check()
    return _executed(dss, dss.catalog.imports.begin(import_id, order, **_limits()))


def request_import(dss: Dss, job: ImportJob) -> ImportJob:
    """Return an import that goes on: begun, begun again, or the running one; safe to repeat.

    What is in is not done again. It acts as the person who began it. Raises as `request_list`, and
    Conflict if it is not listed yet.
    """
    return _executed(dss, dss.catalog.imports.start(job.id, job.order, **_limits()))


def _limits() -> dict[str, int]:
    return {"at_most": _AT_ONCE, "at_most_each": _OF_A_PERSON}


def _executed(dss: Dss, job: ImportJob) -> ImportJob:
    if job.state is JobState.RUNNING and not job.execution:
        # A kill between these lines, or two callers at once, cost no more than a second execution: steps may
        # run twice.
        execution = dss.workflows.start(IMPORT, {"job": job.id, "attempt": job.attempt})
        dss.catalog.imports.started(job, execution)
    return job


def cancel(dss: Dss, job: ImportJob, by: str) -> ImportJob:
    """End an import that is running, and return it; what is in stays, and it can go on later."""
    dss.catalog.imports.end(job, JobState.FAILED, code="cancelled", cause=f"{by} has cancelled it")
    return find_import(dss, job.id)


def find_import(dss: Dss, import_id: str) -> ImportJob:
    """Return an import. Raises NotFound."""
    job = dss.catalog.imports.get(import_id)
    if job is None:
        raise no_such_import(import_id)
    return job


def no_such_import(import_id: str) -> NotFound:
    """Return the error for an import that is not there."""
    return NotFound(f"uuid: there is no import {import_id}")


def status_of(dss: Dss, job: ImportJob) -> dict[str, Any]:
    """Return the status of an import: what it is of, what the list has, and how far it is.

    `listed` has what there is to do, and `done` what was done in the latest attempt. Costs a read for each
    shard.
    """
    done: Counter[str] = Counter()
    if job.stage is ImportStage.IMPORT:
        for progress in dss.catalog.imports.all_progress(job).values():
            done.update(progress.counts)
            done.update(copying=len(progress.waiting))
    return {
        "uuid": job.id,
        "stage": job.stage.value,
        "status": job.state.value,
        "ready": job.is_ready,
        **({"cause": job.cause} if job.state is JobState.FAILED else {}),
        "order": {name: value for name, value in job.order.content.items() if name != "email"},
        "by": job.order.email,
        "begun": version_of(job.created),
        "listed": dict(job.counts),
        **({"cost": estimate(dss.replicas, job)} if job.is_ready else {}),
        "done": dict(done),
        "report": Reports(dss).url(job),
    }


def report_lines(dss: Dss, job: ImportJob, part: int) -> tuple[list[dict[str, Any]], int | None]:
    """Return the lines of a part of the report on what did not go in, and the number of the next part.

    A part has some thousand lines at most. Costs a read for each slice and shard. Raises IllegalArguments if
    there is no such part.
    """
    parts = _report_parts(dss, job)
    if part > len(parts):
        raise IllegalArguments(f"part: there are {len(parts)}, from 0")
    if part == len(parts):
        return [], None
    name, where = parts[part]
    reports = Reports(dss)
    following = part + 1 if part + 1 < len(parts) else None
    if where:
        return [json.loads(line) for line in reports.read(job, name, *where).splitlines()], following
    return reports.lines(job, name)[:-1], following


def _report_parts(dss: Dss, job: ImportJob) -> list[tuple[str, tuple[int, int] | None]]:
    """Return the parts of the report: the name of each, and where its lines are if these are not all."""
    catalog = dss.catalog.imports
    parts: list[tuple[str, tuple[int, int] | None]] = []
    parts += [(slice_name(number), where) for number, where in _wrong(catalog.slices(job))]
    parts += [(check_name(number), None) for number in sorted(job.doubled)]
    if job.stage is ImportStage.IMPORT:
        for _, progress in sorted(catalog.all_progress(job).items()):
            parts += [(name, None) for name in progress.parts]
    return parts


def _wrong(slices: dict[int, ListSlice]) -> Iterator[tuple[int, tuple[int, int]]]:
    for number, piece in sorted(slices.items()):
        if WRONG in piece.offsets:
            yield number, piece.offsets[WRONG]


def resume_abandoned_imports(dss: Dss) -> list[str]:
    """Start again the imports that no step has worked on for an hour, and return their ids. For the sweep.

    One that was resumed _MOST_RESUMED times ends as failed.
    """
    resumed = []
    for job in dss.catalog.imports.abandoned(unstarted_seconds=dss.settings.unstarted_seconds):
        if job.resumed >= _MOST_RESUMED:
            cause = f"its execution ended without a result, and so did {job.resumed} further ones"
            dss.catalog.imports.end(job, JobState.FAILED, code="import_failed", cause=job.cause or cause)
            continue
        again = dss.catalog.imports.begin if job.stage is ImportStage.LIST else dss.catalog.imports.start
        resumed.append(_executed(dss, again(job.id, job.order, **_limits())).id)
    return resumed
