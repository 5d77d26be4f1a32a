"""`fill-cache`: copies the files that match CHECKOUT_CACHE_CRITERIA into the checkout buckets.

Managed files are left out. Options: `replicas` (all). A line of the report is a file on a replica, and
its outcome.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from shared.access import Resource
from shared.catalog import AdminRun, FileRecord
from shared.checkouts.objects import copy_of_file
from shared.checkouts.sharing import cache_file
from shared.errors import DssError, IllegalArguments, Unavailable
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.parallel import map_in_threads
from shared.retry import retry
from shared.system import Dss

# Copies within a cloud: no bytes pass through this process.
_AT_ONCE = 8
_BATCH = 500


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments."""
    if not dss.settings.checkout_cache_criteria:
        raise IllegalArguments("CHECKOUT_CACHE_CRITERIA is not set, so checkout buckets keep no files")
    return {"replicas": argument.replicas(dss)}


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Copy files into the checkout buckets from the cursor on; see `JobType`."""
    after = run.cursor.get("after", "")
    records = (record for record in dss.catalog.scan.files(after) if str(record.fqid) > after)
    while batch := list(islice(records, min(_BATCH, run.options["page"]))):
        page.count(files=len(batch))
        for line in map_in_threads(partial(_cached, dss), _kept(dss, run, batch), threads=_AT_ONCE):
            page.report(line)
            page.count(cached=int("failed" not in line), failed=int("failed" in line))
        if page.taken(len(batch)):
            return {"after": str(batch[-1].fqid)}
    return None


def preview(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report the files that would be copied from the cursor on; see `JobType`."""
    after = run.cursor.get("after", "")
    for record in (record for record in dss.catalog.scan.files(after) if str(record.fqid) > after):
        page.count(files=1)
        for replica, kept in _kept(dss, run, [record]):
            page.report(_line(replica, kept))
            page.count(cached=1)
        if page.taken():
            return {"after": str(record.fqid)}
    return None


def _line(replica: str, record: FileRecord) -> dict[str, Any]:
    return {"file": str(record.fqid), "replica": replica, "bytes": record.size}


def _kept(dss: Dss, run: AdminRun, records: list[FileRecord]) -> Iterator[tuple[str, FileRecord]]:
    for record in records:
        if record.purged or Resource(name="", readers=record.readers).is_managed:
            # Everybody reads the checkout buckets.
            continue
        for replica in map(dss.replicas.named, run.options["replicas"]):
            copy = copy_of_file(replica, replica.checkout_bucket, record)
            if replica.name in record.available and copy.is_permanent(dss.settings):
                yield replica.name, record


def _cached(dss: Dss, item: tuple[str, FileRecord]) -> dict[str, Any]:
    replica, record = item
    line = _line(replica, record)
    try:
        job_id = retry(dss.clock, partial(cache_file, dss, replica, record))
    except Unavailable:
        # The workflow tries the step again.
        raise
    except DssError as error:
        return {**line, "failed": error.title}
    return {**line, "copy_job": job_id} if job_id else line
