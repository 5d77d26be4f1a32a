"""Waits for files, bundles and collections that are being verified, or come from another replica."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from shared.clock import Deadline
from shared.errors import DssError
from shared.system import Dss

# How many names an error lists; it counts the rest.
_NAMED = 10
# Seconds between two look-ups.
_POLL_SECONDS = 0.5

Item = TypeVar("Item")


def wait_for(
    dss: Dss,
    replica: str,
    items: Iterable[Item],
    available: Callable[[Collection[Item]], Mapping[Item, Collection[str]]],
    missing: Callable[[Collection[Item], str], DssError],
    under_way: Callable[[Collection[Item]], bool],
) -> None:
    """Return once all items are on a replica, at the latest after DSS_FILE_WAIT_SECONDS.

    `available` returns the replicas of each item that exists, and `under_way` whether jobs are making all of
    some items. Raises the error that `missing` returns for items that exist nowhere and are not under way, at
    once and with an empty reason, or that have not arrived in time, with the reason.
    """
    deadline = Deadline(dss.clock, dss.settings.file_wait_seconds)
    pending = set(items)
    while True:
        replicas = dict(available(pending))
        nowhere = [item for item in pending if not replicas.get(item)]
        if nowhere and not under_way(nowhere):
            # A job may have ended between the two look-ups.
            replicas.update(available(nowhere))
            if lost := [item for item in nowhere if not replicas.get(item)]:
                raise missing(lost, "")
        pending = {item for item in pending if replica not in replicas.get(item, ())}
        if not pending:
            return
        if deadline.passed:
            raise missing(pending, f"not yet on replica {replica}")
        dss.clock.sleep(_POLL_SECONDS)


def listed(items: Iterable[object]) -> str:
    """Return the first few names of items, in order, for an error."""
    ordered = sorted(map(str, items))
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more
