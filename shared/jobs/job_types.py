"""The kinds of runs, a row each. A kind checks what it is asked for, and works on a slice of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.catalog import AdminRun
from shared.errors import IllegalArguments
from shared.jobs import audit, cache, index, resync, tombstones
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.system import Dss

# Of items that a slice takes on.
_MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class JobType:
    """What can be run.

    `check` returns the options of an argument, each with its value. `work` goes on from `run.cursor` (empty
    at first), fills the page, and returns the next cursor, None at the end; it may be done twice for the same
    cursor. `items` is how many of them a slice takes on, unless the argument says otherwise with `page`.
    """

    check: Callable[[Dss, Argument], dict[str, Any]]
    work: Callable[[Dss, AdminRun, Page], dict[str, Any] | None]
    items: int


JOB_TYPES: Mapping[str, JobType] = {
    # Cloud Workflows: 100,000 steps. At three for a slice, these are more than a thousand million keys.
    "audit": JobType(check=audit.check, work=audit.work, items=50_000),
    "fill-cache": JobType(check=cache.check, work=cache.work, items=20_000),
    index.CHECK: JobType(check=index.check_options, work=index.check, items=20_000),
    "index-rebuild": JobType(check=index.rebuild_options, work=index.rebuild, items=5_000),
    "resync": JobType(check=resync.check, work=resync.work, items=5_000),
    "tombstones": JobType(check=tombstones.check, work=tombstones.work, items=1_000),
}


def checked(dss: Dss, argument: Any) -> tuple[str, dict[str, Any]]:
    """Return the kind and the options of a run. Raises IllegalArguments, naming what is wrong."""
    options = Argument(argument)
    name = options.text("kind")
    kind = JOB_TYPES.get(name)
    if kind is None:
        raise IllegalArguments(f"kind: {name[:80]!r} is none of {', '.join(JOB_TYPES)}")
    page = options.number("page", kind.items, least=1, most=_MOST)
    known = kind.check(dss, options)
    options.end()
    return name, {**known, "page": page}
