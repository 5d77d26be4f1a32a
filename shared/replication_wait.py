"""Waits for files, bundles and collections that are being verified, or come from another replica."""

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
    under_way: Callable[[Collection[Thing]], bool],
) -> None:
    """Return once all things are on a replica, within DSS_FILE_WAIT_SECONDS.

    `where` returns the replicas of each thing, and `under_way` whether jobs are making all of some things.
    Raises `missing` of the things that exist nowhere and are not under way, at once and without a reason, or
    of those that did not arrive in time, with the reason.
    """
    deadline = Deadline(dss.clock, dss.settings.file_wait_seconds)
    waiting = set(things)
    while True:
        places = dict(where(waiting))
        nowhere = [thing for thing in waiting if not places.get(thing)]
        if nowhere and not under_way(nowhere):
            # A job may have ended between the two.
            places.update(where(nowhere))
            if lost := [thing for thing in nowhere if not places.get(thing)]:
                raise missing(lost, "")
        waiting = {thing for thing in waiting if replica not in places.get(thing, ())}
        if not waiting:
            return
        if deadline.passed:
            raise missing(waiting, f"not yet on replica {replica}")
        dss.clock.sleep(_POLL_SECONDS)


def listed(things: Iterable[object]) -> str:
    """Return the names of things, the first few of them, for an error."""
    ordered = sorted(map(str, things))
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more
