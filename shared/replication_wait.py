"""Waiting for what is on its way from another replica: it exists there, and will be here."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from shared.clock import Deadline
from shared.errors import DssError
from shared.system import Dss

# How many names an error lists; the rest is counted.
_NAMED = 10
# Seconds between looks for what is on its way.
_POLL_SECONDS = 0.5

Thing = TypeVar("Thing")


def wait_for(
    dss: Dss,
    replica: str,
    things: Iterable[Thing],
    where: Callable[[Collection[Thing]], Mapping[Thing, Collection[str]]],
    missing: Callable[[Collection[Thing], str], DssError],
) -> None:
    """Return once all things are on a replica, within DSS_FILE_WAIT_SECONDS.

    `where` tells the replicas on which things are. Raises what `missing` makes of the things that exist
    nowhere, at once and without a reason, or that did not arrive in time, with the reason.
    """
    deadline = Deadline(dss.clock, dss.settings.file_wait_seconds)
    wanted = set(things)
    while True:
        found = where(wanted)
        nowhere = [thing for thing in wanted if not found.get(thing)]
        if nowhere:
            raise missing(nowhere, "")
        wanted = {thing for thing in wanted if replica not in found[thing]}
        if not wanted:
            return
        if deadline.passed:
            raise missing(wanted, f"not yet on replica {replica}")
        dss.clock.sleep(_POLL_SECONDS)


def listed(things: Iterable[object]) -> str:
    """Return the names of things, the first few of them, for an error."""
    ordered = sorted(map(str, things))
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more
