"""`fill-cache`: files that CHECKOUT_CACHE_CRITERIA keeps for good, put into the checkout buckets.

Options: `replicas` (all). A line of the report is a file on a replica, and what became of it.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from shared.catalog import AdminRun, FileRecord
from shared.checkouts.objects import cache_file, wanted_of_file
from shared.errors import DssError, IllegalArguments, Unavailable
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.parallel import map_in_threads, retry
from shared.system import Dss

# Copies within a cloud, of which nothing passes through here.
_AT_ONCE = 8
_BATCH = 500


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments."""
    if not dss.settings.checkout_cache_criteria:
        raise IllegalArguments("CHECKOUT_CACHE_CRITERIA is not set: checkout buckets keep nothing for good")
    names = argument.texts("replicas")
    return {"replicas": [dss.replicas.named(name).name for name in names] or list(dss.replicas.names)}


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Put files into the checkout buckets from the cursor on; see `Kind`."""
    after = run.cursor.get("after", "")
    records = (record for record in dss.catalog.scan.files(after) if str(record.fqid) > after)
    while batch := list(islice(records, min(_BATCH, run.options["page"]))):
        page.count(files=len(batch))
        for line in map_in_threads(partial(_cached, dss), _kept(dss, run, batch), threads=_AT_ONCE):
            page.report(line)
            page.count(cached=int("failed" not in line), failed=int("failed" in line))
        if [page.taken() for _ in batch][-1]:
            return {"after": str(batch[-1].fqid)}
    return None


def _kept(dss: Dss, run: AdminRun, records: list[FileRecord]) -> Iterator[tuple[str, FileRecord]]:
    for record in records:
        for replica in map(dss.replicas.named, run.options["replicas"]):
            wanted = wanted_of_file(replica, replica.checkout_bucket, record)
            if replica.name in record.available and wanted.is_kept(dss.settings):
                yield replica.name, record


def _cached(dss: Dss, which: tuple[str, FileRecord]) -> dict[str, Any]:
    replica, record = which
    told = {"file": str(record.fqid), "replica": replica, "bytes": record.size}
    try:
        job_id = retry(dss.clock, partial(cache_file, dss, replica, record))
    except Unavailable:
        # The step is tried again.
        raise
    except DssError as error:
        return {**told, "failed": error.title}
    return {**told, "copy_job": job_id} if job_id else told
