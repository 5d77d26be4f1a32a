"""Wait until objects that exist on another replica have been replicated."""

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
) -> None:
    """Return once all items are on a replica, at the latest after DSS_FILE_WAIT_SECONDS.

    `available` returns the replicas of each item that exists. Raises the error that `missing` returns for
    items that exist nowhere, at once and with an empty reason, or that have not arrived in time, with the
    reason.
    """
    deadline = Deadline(dss.clock, dss.settings.file_wait_seconds)
    pending = set(items)
    while True:
        replicas = available(pending)
        nowhere = [item for item in pending if not replicas.get(item)]
        if nowhere:
            raise missing(nowhere, "")
        pending = {item for item in pending if replica not in replicas[item]}
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
