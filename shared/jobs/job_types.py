"""The job types, a row each. A job type checks the argument of a run, and works on a slice of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.catalog import AdminRun
from shared.errors import IllegalArguments
from shared.jobs import audit, cache, catalogue, index, purge, rebuild, resync, tombstones
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.system import Dss

# The most items of a slice.
_MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class JobType:
    """A kind of work over the whole store.

    `check` returns all options of an argument with their values. `work` continues from `run.cursor` (empty at
    first), fills the page, and returns the next cursor, None at the end; it may run twice for one cursor.
    `preview` is called like it, and fills the page with what it would do, but writes nothing. `items` is the
    number of items of a slice, unless the argument sets `page`. A job type that can be split by key range
    (shared/jobs/sharding.py) has `work_on_shard`, which is like `work`, of a shard.
    """

    check: Callable[[Dss, Argument], dict[str, Any]]
    work: Callable[[Dss, AdminRun, Page], dict[str, Any] | None]
    preview: Callable[[Dss, AdminRun, Page], dict[str, Any] | None]
    items: int
    work_on_shard: Callable[[Dss, AdminRun, Page], dict[str, Any] | None] | None = None


JOB_TYPES: Mapping[str, JobType] = {
    # Cloud Workflows: 100,000 steps, of which a slice takes seven. So time ends slices of these, not items.
    "audit": JobType(
        check=audit.check,
        work=audit.work,
        preview=audit.preview,
        items=_MOST,
        work_on_shard=audit.work_on_shard,
    ),
    "explore-check": JobType(
        check=catalogue.check_options, work=catalogue.check, preview=catalogue.check, items=20_000
    ),
    "explore-deindex": JobType(
        check=catalogue.deindex_options,
        work=catalogue.work_deindex,
        preview=catalogue.preview_deindex,
        items=2_000,
    ),
    # So few that an operator sees it move.
    "explore-reindex": JobType(
        check=catalogue.reindex_options,
        work=catalogue.work_reindex,
        preview=catalogue.preview_reindex,
        items=1_000,
    ),
    "fill-cache": JobType(check=cache.check, work=cache.work, preview=cache.preview, items=20_000),
    index.CHECK: JobType(check=index.check_options, work=index.check, preview=index.check, items=20_000),
    "index-rebuild": JobType(
        check=index.rebuild_options, work=index.rebuild, preview=index.check, items=5_000
    ),
    "purge": JobType(check=purge.check, work=purge.work, preview=purge.preview, items=2_000),
    "purge-undo": JobType(
        check=purge.check_undo, work=purge.work_undo, preview=purge.preview_undo, items=200
    ),
    purge.REMOVAL: JobType(
        check=purge.check_removal, work=purge.work_removal, preview=purge.preview_removal, items=100
    ),
    "rebuild": JobType(
        check=rebuild.check,
        work=rebuild.work,
        preview=rebuild.preview,
        items=_MOST,
        work_on_shard=rebuild.work_on_shard,
    ),
    "resync": JobType(check=resync.check, work=resync.work, preview=resync.preview, items=5_000),
    "tombstones": JobType(
        check=tombstones.check, work=tombstones.work, preview=tombstones.preview, items=1_000
    ),
}


def checked(dss: Dss, argument: Any) -> tuple[str, dict[str, Any]]:
    """Return the job type's name and the options of a run. Raises IllegalArguments."""
    options = Argument(argument)
    name = options.text("kind")
    job_type = JOB_TYPES.get(name)
    if job_type is None:
        raise IllegalArguments(f"kind: {name[:80]!r} is none of {', '.join(JOB_TYPES)}")
    page = options.number("page", job_type.items, least=1, most=_MOST)
    checked_options = job_type.check(dss, options)
    options.end()
    return name, {**checked_options, "page": page}
